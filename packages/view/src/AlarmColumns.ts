/**
 * Whether an alarm fits the devices of a recording: their names, their fields and the units of these. Pure.
 */
import { type FrameFormat, nearestName } from "@sampleline/core"
import { type AlarmExpression, AlarmExpressionError } from "./AlarmExpression.ts"

/** A device, as far as alarms must know it. */
interface Source {
  readonly name: string
  /** Null: not known before the first reading. */
  readonly format: FrameFormat | null
}

/** Why an alarm does not fit the devices; undefined if it fits. Devices whose fields are not known yet fit. */
export const misfit = (
  expression: AlarmExpression,
  devices: ReadonlyArray<Source>
): AlarmExpressionError | undefined => {
  const { condition, places } = expression
  if (condition._tag === "Disk" || condition._tag === "Behind" || condition.device === null && devices.length === 0) {
    return
  }
  const { device } = condition
  const meant = device === null ? devices : devices.filter(({ name }) => name === device)
  if (meant.length === 0) {
    return refuse(expression, places.name, noSuch("device", device ?? "*", devices.map(({ name }) => name)))
  }
  const formats = meant.flatMap(({ format }) => format ?? [])
  if (condition._tag !== "Value" || formats.length === 0) return
  return misfitOfField(expression, formats, formats.length === meant.length)
}

/** Why an alarm of a value does not fit these formats. `areAll`: no device may have another one. */
export const misfitOfField = (
  expression: AlarmExpression,
  formats: ReadonlyArray<FrameFormat>,
  areAll = true
): AlarmExpressionError | undefined => {
  const { condition, places } = expression
  if (condition._tag !== "Value") return
  const fields = formats.flatMap(({ fields }) => fields)
  const named = fields.filter(({ name }) => name === condition.field)
  if (named.length === 0) {
    const numbers = new Set(fields.filter(({ kind }) => kind !== "text").map(({ name }) => name))
    return areAll ? refuse(expression, places.field, noSuch("field", condition.field, [...numbers])) : undefined
  }
  if (named.every(({ kind }) => kind === "text")) {
    return refuse(expression, places.field, `expected a field with numbers; ${condition.field} is a text`)
  }
  const other = named.find(({ unit }) => condition.unit !== null && unit !== condition.unit)
  if (other === undefined) return
  return refuse(
    expression,
    places.unit,
    other.unit === null
      ? `expected no unit; ${condition.field} has none`
      : `expected ${other.unit}, the unit of ${condition.field}`
  )
}

/** The message for a name that is none of the known ones. */
export const noSuch = (kind: string, name: string, known: ReadonlyArray<string>): string => {
  const nearest = nearestName(name, known)
  return `there is no ${kind} ${JSON.stringify(name)}; ${
    nearest === undefined ? `use ${known.join(", ") || "none"}` : `did you mean ${nearest}?`
  }`
}

/** An alarm that does not fit. */
export const refuse = (
  { text }: AlarmExpression,
  position: number,
  problem: string
): AlarmExpressionError => new AlarmExpressionError({ text, position, problem })
