/**
 * `A??D*` CR: the frame table, which declares the columns of a device's poll replies. The header line shows the dialect; the
 * firmware version does not.
 *
 *     A D00 ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________
 *     A D01 700 Unit ID                    string          1
 *     A D02 002 Abs Press                  s decimal     7/2 010 02 PSIA
 *     A D08 701 *Error                     string          3 ADC
 *
 * The legacy dialect has no statistic codes and no stars. Its rows named Error and Status declare flags.
 *
 *     A  D00 NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__
 *     A  D01 Unit ID     char         A         Z         na
 *     A  D02 Pressure    signed    +000.00  +160.00     PSIA
 *     A  D08 Error       string         na      ADC       na
 */
import { FrameFormat } from "@sampleline/core"
import { Result } from "effect"
import { lineText } from "./Framing.ts"
import { MalformedReply } from "./WireError.ts"

export const frameTableCommand = (unitId: string): string => `${unitId}??D*`

/** How to read the poll replies of a device. */
export interface FrameLayout {
  /** The columns, without the unit id. */
  readonly format: FrameFormat
  /** The status codes that the table declares. */
  readonly flags: ReadonlySet<string>
  /** Columns whose type is not documented, and what they are taken for: `Batch (uint, taken as a number)`. */
  readonly unknownTypes: ReadonlyArray<string>
}

const UNIT_ID = 700
const FLAGS: ReadonlySet<number> = new Set([701, 702])

/** What a row declares: a column, a flag by its mnemonic, or neither. */
type Row =
  | {
    readonly _tag: "Column"
    readonly field: Parameters<typeof FrameFormat.make>[0][number] & { readonly kind: "float" | "text" }
    /** Null if it is documented. */
    readonly unknownType: string | null
  }
  | { readonly _tag: "Flag"; readonly code: string }
  | { readonly _tag: "UnitId" }

/** One of the two forms of the table. */
interface Dialect {
  readonly header: RegExp
  /** The unit id of a row, and what the row declares; null if the text is not a row. */
  readonly parse: (text: string) => readonly [unit: string, row: Row] | null
}

/** A type that is not documented: any word in small letters. */
const OTHER_TYPE = "(?:[a-z] )?[a-z]+\\d*"
const SAYS_NUMBER = /\b(?:u?int(?:eger)?|float|double|real)\d*$/

const currentRow = (type: string) =>
  new RegExp(
    String.raw`^([A-Z])\s+D\d\d\s+(\d{1,5})\s+(\*?)(\S.*?)\s+(${type})\s+(\d+(?:\/\d+)?)(?:\s+(\S.*?))?\s*$`
  )
const CURRENT_ROW = currentRow("string|s decimal|decimal")
const CURRENT_OTHER_ROW = currentRow(OTHER_TYPE)
/** The notes of a number: the unit's code, a number of unknown meaning, the unit's label. */
const UNIT_NOTES = /^\d+\s+\d+\s+(\S.*)$/

const CURRENT: Dialect = {
  header: /^([A-Z])\s+D00\s+ID_+\s+NAME_*\s+TYPE_*\s+WIDTH_*\s+NOTES_*\s*$/,
  parse: (text) => {
    const known = CURRENT_ROW.exec(text)
    const [row, unit = "", code = "", star, name = "", type = "", width = "", notes = ""] = known
      ?? CURRENT_OTHER_ROW.exec(text) ?? []
    if (row === undefined) return null
    const statistic = Number(code)
    if (statistic === UNIT_ID) return [unit, { _tag: "UnitId" }]
    if (star === "*" && FLAGS.has(statistic)) return [unit, { _tag: "Flag", code: notes.split(" ")[0]! }]
    const label = UNIT_NOTES.exec(notes)?.[1]
    const isNumber = known === null
      ? SAYS_NUMBER.test(type) || width.includes("/") || label !== undefined
      : type !== "string"
    const field = {
      name: columnName(name),
      kind: isNumber ? "float" : "text",
      unit: isNumber && label !== undefined ? unitLabel(label) : null,
      statistic,
      conditional: star === "*"
    } as const
    return [unit, { _tag: "Column", field, unknownType: known === null ? type : null }]
  }
}

const legacyRow = (type: string) =>
  new RegExp(String.raw`^([A-Z])\s+D\d\d\s+(\S.*?)\s+(${type})\s+(\S+)\s+(\S+)\s+(\S+)\s*$`)
const LEGACY_ROW = legacyRow("char|string|signed|unsigned|decimal")
const LEGACY_OTHER_ROW = legacyRow(OTHER_TYPE)

const LEGACY: Dialect = {
  header: /^([A-Z])\s+D00\s+NAME_*\s+TYPE_*\s+MinVal_*\s+MaxVal_*\s+UNITS_*\s*$/,
  parse: (text) => {
    const known = LEGACY_ROW.exec(text)
    const [row, unit = "", name = "", type = "", lowest = "", highest = "", label = ""] = known
      ?? LEGACY_OTHER_ROW.exec(text) ?? []
    if (row === undefined) return null
    if (name === "Unit ID") return [unit, { _tag: "UnitId" }]
    if (name === "Error" || name === "Status") return [unit, { _tag: "Flag", code: highest }]
    const isNumber = known === null
      ? SAYS_NUMBER.test(type) || [lowest, highest].some((limit) => /^[+-]?\d/.test(limit))
      : type !== "char" && type !== "string"
    const field = {
      name: columnName(name),
      kind: isNumber ? "float" : "text",
      unit: label === "na" ? null : unitLabel(label),
      statistic: null
    } as const
    return [unit, { _tag: "Column", field, unknownType: known === null ? type : null }]
  }
}

/** Devices write degrees Celsius as a backquote and C, and in the legacy dialect as C alone. */
export const unitLabel = (label: string): string => label.replace(/^[CF]$/, "`$&").replace("`", "°")

/** `Mass Flow Setpt` as `Mass_Flow_Setpt`. */
export const columnName = (name: string): string => name.replaceAll(/\s+/g, "_")

/** The text of a row. Some devices send the degree sign as it is, in Latin-1 or UTF-8, and not as a backquote. */
const rowText = (bytes: Uint8Array): Result.Result<string, MalformedReply> =>
  lineText(Buffer.from(String.fromCharCode(...bytes).replaceAll(/\u00c2?\u00b0/g, "`"), "latin1"))

/** The layout in the lines of a frame table. */
export const decodeFrameTable = (
  lines: ReadonlyArray<Uint8Array>,
  unitId: string
): Result.Result<FrameLayout, MalformedReply> => {
  const malformed = (bytes: Uint8Array, expected: string) => Result.fail(new MalformedReply({ expected, bytes }))
  const fields: Array<Extract<Row, { readonly _tag: "Column" }>["field"]> = []
  const flags = new Set<string>()
  const unknownTypes: Array<string> = []
  let dialect: Dialect | undefined

  for (const bytes of lines) {
    const line = rowText(bytes)
    if (Result.isFailure(line)) return Result.fail(line.failure)
    const text = line.success.trim()
    if (text === "") continue
    if (dialect === undefined) {
      dialect = [CURRENT, LEGACY].find(({ header }) => header.exec(text)?.[1] === unitId)
      if (dialect === undefined) return malformed(bytes, `the header of the frame table of unit ${unitId}`)
      continue
    }
    if (dialect.header.exec(text)?.[1] === unitId) {
      // An earlier table came late, and this one follows it.
      fields.length = 0
      flags.clear()
      unknownTypes.length = 0
      continue
    }
    const [unit, row] = dialect.parse(text) ?? []
    if (row === undefined || unit !== unitId) return malformed(bytes, `a row of the frame table of unit ${unitId}`)
    if (row._tag === "Column") {
      const { field, unknownType } = row
      fields.push(field)
      if (unknownType !== null) {
        unknownTypes.push(`${field.name} (${unknownType}, taken as ${field.kind === "text" ? "text" : "a number"})`)
      }
    }
    if (row._tag === "Flag") flags.add(row.code)
  }
  return fields.length > 0
    ? Result.succeed({ format: FrameFormat.make(fields), flags, unknownTypes })
    : malformed(lines.at(-1) ?? new Uint8Array(), "a row for each column")
}
