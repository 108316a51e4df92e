/**
 * `A??D*` CR: the table of a device's frame. Its header line tells the dialect.
 *
 *     A D00 ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________
 *     A D01 700 Unit ID                    string          1
 *     A D02 002 Abs Press                  s decimal     7/2 010 02 PSIA
 *     A D08 701 *Error                     string          3 ADC
 *
 * Limits: the dialect with statistic codes, as firmware 6v21 to 10v20 speaks it.
 */
import { FrameFormat } from "@sampleline/core"
import { Result } from "effect"
import { lineText } from "./Framing.ts"
import { MalformedReply } from "./WireError.ts"

/**
 * @since 0.1.0
 * @category commands
 */
export const frameTableCommand = (unitId: string): string => `${unitId}??D*`

/**
 * How a device's poll replies are to be read.
 *
 * @since 0.1.0
 * @category models
 */
export interface FrameLayout {
  /** The columns, without the unit id. */
  readonly format: FrameFormat
  /** The status codes that the table declares. */
  readonly flags: ReadonlySet<string>
}

const UNIT_ID = 700
const FLAGS: ReadonlySet<number> = new Set([701, 702])

const HEADER = /^([A-Z])\s+D00\s+ID_+\s+NAME_*\s+TYPE_*\s+WIDTH_*\s+NOTES_*\s*$/
const ROW =
  /^([A-Z])\s+D\d\d\s+(\d{1,5})\s+(\*?)(\S.*?)\s+(string|s decimal|decimal)\s+\d+(?:\/\d+)?(?:\s+(\S.*?))?\s*$/
/** The notes of a number: the unit's code, a number of unknown meaning, the unit's label. */
const UNIT_NOTES = /^\d+\s+\d+\s+(\S.*)$/

/**
 * The layout in the lines of a frame table.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodeFrameTable = (
  lines: ReadonlyArray<Uint8Array>,
  unitId: string
): Result.Result<FrameLayout, MalformedReply> => {
  const malformed = (bytes: Uint8Array, expected: string) => Result.fail(new MalformedReply({ expected, bytes }))
  const fields: Array<Parameters<typeof FrameFormat.make>[0][number]> = []
  const flags = new Set<string>()
  let headerSeen = false

  for (const bytes of lines) {
    const line = lineText(bytes)
    if (Result.isFailure(line)) return Result.fail(line.failure)
    const text = line.success.trim()
    if (text === "") continue
    if (!headerSeen) {
      if (HEADER.exec(text)?.[1] !== unitId) return malformed(bytes, `the header of the frame table of unit ${unitId}`)
      headerSeen = true
      continue
    }
    const [, unit, code = "", star, name = "", type, notes = ""] = ROW.exec(text) ?? []
    if (unit !== unitId) return malformed(bytes, `a row of the frame table of unit ${unitId}`)
    const statistic = Number(code)
    if (statistic === UNIT_ID) continue
    if (star === "*" && FLAGS.has(statistic)) {
      flags.add(notes.split(" ")[0]!)
      continue
    }
    fields.push({
      name: name.replaceAll(/\s+/g, "_"),
      kind: type === "string" ? "text" : "float",
      unit: type === "string" ? null : unitLabel(notes),
      statistic,
      conditional: star === "*"
    })
  }
  return fields.length > 0
    ? Result.succeed({ format: FrameFormat.make(fields), flags })
    : malformed(lines.at(-1) ?? new Uint8Array(), "a row for each column")
}

/** The label; the wire writes a degree sign as a backquote. */
const unitLabel = (notes: string): string | null => UNIT_NOTES.exec(notes)?.[1]?.replace("`", "°") ?? null
