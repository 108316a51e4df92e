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
import { lineText, textOf } from "./Framing.ts"
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

const SAYS_NUMBER = /\b(?:u?int(?:eger)?|float|double|real|decimal)\d*(?:_t)?$/i

/** A name as a row has it. */
const NAME = String.raw`(\S+(?: \S+)*)`
/** A word of a type does not begin like a width. */
const TYPE_WORD = String.raw`[^\s\d/]\S*`
const TYPE = `(${TYPE_WORD}(?: ${TYPE_WORD})*)`
/** The width and the notes. */
const REST = String.raw`([\d/].*?)`

const currentRow = (columns: string) => new RegExp(String.raw`^([A-Z])\s+D\d\d\s+(\d{1,5})\s+(\*?)${columns}\s*$`)
const CURRENT_ROWS = [
  currentRow(String.raw`${NAME}\s{2,}${TYPE}\s+${REST}`),
  // A long name fills its place, and one space follows it. Then the type is known by its word.
  currentRow(String.raw`(\S.*?)\s+(string|s decimal|decimal)(?:\s+${REST})?`),
  currentRow(String.raw`(\S.*?)\s+((?:[a-z] )?[a-z]+\d*)\s+${REST}`)
]
const CURRENT_TYPES: ReadonlySet<string> = new Set(["string", "s decimal", "decimal"])
/** The mnemonic of a flag is the last word of its row. */
const CURRENT_FLAG = /^([A-Z])\s+D\d\d\s+(\d{1,5})\s+\*\S.*\s(\S+)\s*$/
/** The width, which may be missing, and the notes of a number: the unit's code, a number of unknown meaning, the unit's label. */
const UNIT_NOTES = /^(?:\S+\s+)?\d+\s+\d+\s+(\S.*)$/

const CURRENT: Dialect = {
  header: /^([A-Z])\s+D00\s+ID_+\s+NAME_*\s+TYPE_*\s+WIDTH_*\s+NOTES_*\s*$/,
  parse: (text) => {
    const [, flagUnit = "", flagCode = "", mnemonic = ""] = CURRENT_FLAG.exec(text) ?? []
    if (FLAGS.has(Number(flagCode))) return [flagUnit, { _tag: "Flag", code: mnemonic }]
    const [row, unit = "", code = "", star, name = "", type = "", rest = ""] = firstMatch(CURRENT_ROWS, text)
    if (row === undefined) return null
    const statistic = Number(code)
    if (statistic === UNIT_ID) return [unit, { _tag: "UnitId" }]
    const isKnown = CURRENT_TYPES.has(type)
    const label = UNIT_NOTES.exec(rest)?.[1]
    const isNumber = isKnown
      ? type !== "string"
      : SAYS_NUMBER.test(type) || /^\d*[/.]/.test(rest) || label !== undefined
    const field = {
      name: columnName(name),
      kind: isNumber ? "float" : "text",
      unit: isNumber && label !== undefined ? unitLabel(label) : null,
      statistic,
      conditional: star === "*"
    } as const
    return [unit, {
      _tag: "Column",
      field,
      unknownType: rest === "" ? `${type} without a width` : isKnown ? null : type
    }]
  }
}

const LEGACY_ROWS = [String.raw`${NAME}\s{2,}${TYPE}`, String.raw`(\S.*?)\s+(${TYPE_WORD})`].map((nameAndType) =>
  new RegExp(String.raw`^([A-Z])\s+D\d\d\s+${nameAndType}\s+(\S+)\s+(\S+)\s+(\S+)\s*$`)
)
const LEGACY_TYPES: ReadonlySet<string> = new Set(["char", "string", "signed", "unsigned", "decimal"])

const LEGACY: Dialect = {
  header: /^([A-Z])\s+D00\s+NAME_*\s+TYPE_*\s+MinVal_*\s+MaxVal_*\s+UNITS_*\s*$/,
  parse: (text) => {
    const [row, unit = "", name = "", type = "", lowest = "", highest = "", label = ""] = firstMatch(LEGACY_ROWS, text)
    if (row === undefined) return null
    if (name === "Unit ID") return [unit, { _tag: "UnitId" }]
    if (name === "Error" || name === "Status") return [unit, { _tag: "Flag", code: highest }]
    const isKnown = LEGACY_TYPES.has(type)
    const isNumber = isKnown
      ? type !== "char" && type !== "string"
      : SAYS_NUMBER.test(type) || [lowest, highest].some((limit) => /^[+-]?\d/.test(limit))
    const field = {
      name: columnName(name),
      kind: isNumber ? "float" : "text",
      unit: label === "na" ? null : unitLabel(label),
      statistic: null
    } as const
    return [unit, { _tag: "Column", field, unknownType: isKnown ? null : type }]
  }
}

/** What the first form that fits finds in a row; empty if none fits. */
const firstMatch = (forms: ReadonlyArray<RegExp>, text: string): ReadonlyArray<string | undefined> => {
  for (const form of forms) {
    const found = form.exec(text)
    if (found !== null) return found
  }
  return []
}

/** Devices write degrees Celsius as a backquote and C, and in the legacy dialect as C alone. */
export const unitLabel = (label: string): string => label.replace(/^[CF]$/, "`$&").replace("`", "°")

/** `Mass Flow Setpt` as `Mass_Flow_Setpt`. */
export const columnName = (name: string): string => name.replaceAll(/\s+/g, "_")

/** The text of a row. Some devices send the degree sign as it is, in Latin-1 or UTF-8, and not as a backquote. */
const rowText = (bytes: Uint8Array): Result.Result<string, MalformedReply> =>
  lineText(Buffer.from(textOf(bytes).replaceAll(/\u00c2?\u00b0/g, "`"), "latin1"))

const ROW_NUMBER = /^[A-Z]\s+D(\d{1,2})\b/

/** Whether no number is missing between the rows of a frame table. The last rows may be missing all the same. */
export const hangsTogether = (lines: ReadonlyArray<Uint8Array>): boolean => {
  let next = 0
  return lines.every((bytes) => {
    const [, digits] = ROW_NUMBER.exec(textOf(bytes).trim()) ?? []
    if (digits === undefined) return true
    // An earlier table may have come late.
    if (Number(digits) === 0) next = 0
    return Number(digits) === next++
  })
}

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
