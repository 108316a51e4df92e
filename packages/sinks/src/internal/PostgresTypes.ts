/**
 * The column types of Postgres: how a value is converted to each, and how it is written as text. Pure.
 */
import { type Cell, type ColumnType, formatTimestamp } from "@sampleline/core"

/** The column types that can be written. `text` also stands for varchar, char and enums. */
export type PostgresKind =
  | "float8"
  | "float4"
  | "numeric"
  | "int2"
  | "int4"
  | "int8"
  | "text"
  | "timestamptz"
  | "timestamp"
  | "bool"
  | "json"
  | "jsonb"
  | "uuid"

const KINDS: { readonly [type: string]: PostgresKind } = {
  float8: "float8",
  float4: "float4",
  numeric: "numeric",
  int2: "int2",
  int4: "int4",
  int8: "int8",
  text: "text",
  varchar: "text",
  bpchar: "text",
  citext: "text",
  timestamptz: "timestamptz",
  timestamp: "timestamp",
  bool: "bool",
  json: "json",
  jsonb: "jsonb",
  uuid: "uuid"
}

/** The kind of a type by its name in the catalogue. Undefined if the type cannot be written. */
export const kindOf = (typeName: string, isEnum: boolean): PostgresKind | undefined => isEnum ? "text" : KINDS[typeName]

/** The kinds that can hold a time, in text or in microseconds. */
const TIME_KINDS: ReadonlySet<PostgresKind> = new Set([
  "timestamptz",
  "timestamp",
  "text",
  "int8",
  "float8",
  "numeric",
  "json",
  "jsonb"
])

/** The length of `2026-03-01T12:00:00.000123Z`, and the microseconds of a day in the year 2255. */
const TIME_LENGTH = 27
const FAR_MICROS = 9_000_000_000_000_000

/** Whether a column can hold values of a type. Of texts, and of integers in a boolean, it may hold only some. */
export const canHold = (
  kind: PostgresKind,
  modifier: number,
  labels: ReadonlyArray<string> | null,
  type: ColumnType
): boolean => {
  if (type === "timestamp") return labels === null && canHoldTimes(kind, modifier)
  if (labels !== null) return type === "text" || type === "any"
  switch (kind) {
    case "timestamptz":
    case "timestamp":
      return false
    case "uuid":
      return type === "text" || type === "any"
    case "bool":
      return type !== "float"
    case "text":
    case "json":
    case "jsonb":
      return true
    default:
      return type !== "text"
  }
}

const canHoldTimes = (kind: PostgresKind, modifier: number): boolean =>
  TIME_KINDS.has(kind)
  && (kind !== "numeric" || fitsNumeric(FAR_MICROS, modifier) !== null)
  && (kind !== "text" || fitsText("0".repeat(TIME_LENGTH), modifier) !== null)

/** The value as a column stores it, or null if the column cannot. Undefined if the column stores the row's own value. */
export type Conversion = ((value: number | string) => Cell) | undefined

/** For times in microseconds since the epoch. They are stored as a time, as RFC 3339 text, or as the number. */
export const convertTime = (kind: PostgresKind): Conversion => {
  if (kind === "text") return (micros) => formatTimestamp(Number(micros))
  return kind === "json" || kind === "jsonb" ? (micros) => JSON.stringify(formatTimestamp(Number(micros))) : undefined
}

/**
 * For all other values. Integers are rounded as the server rounds; text that is a number becomes one. NaN and infinities are kept
 * by `real` and `double precision` alone, and by text as words. `modifier` is that of the
 * type, as in `numeric(7,2)` or `varchar(20)`, and -1 if there is none. `labels` are those of an enum.
 */
export const convertValue = (
  kind: PostgresKind,
  modifier: number,
  labels: ReadonlyArray<string> | null
): Conversion => {
  if (labels !== null) return (value) => labels.includes(String(value)) ? value : null
  return kind === "float8" || (kind === "text" && modifier < 4)
    ? undefined
    : (value) => converted(kind, modifier, value)
}

const converted = (kind: Exclude<PostgresKind, "float8">, modifier: number, value: number | string): Cell => {
  switch (kind) {
    case "float4": {
      const number = toNumber(value)
      if (number === null) return null
      const single = Math.fround(number) + 0
      // A finite number that is too large must not become an infinity.
      return Number.isFinite(single) || !Number.isFinite(number) ? single : null
    }
    case "numeric":
      return fitsNumeric(toNumber(value), modifier)
    case "int2":
      return toInteger(value, 2 ** 15)
    case "int4":
      return toInteger(value, 2 ** 31)
    case "int8":
      return toInteger(value, 2 ** 63)
    case "bool":
      return TRUE.has(String(value).toLowerCase()) ? 1 : FALSE.has(String(value).toLowerCase()) ? 0 : null
    case "json":
    case "jsonb":
      if (typeof value === "string") return JSON.stringify(storable(value))
      return Number.isFinite(value) ? JSON.stringify(value) : null
    case "uuid":
      return UUID.test(String(value)) ? String(value).toLowerCase() : null
    case "text":
      return fitsText(storable(String(value)), modifier)
    case "timestamptz":
    case "timestamp":
      return null
  }
}

const TRUE = new Set(["1", "t", "true", "y", "yes", "on"])
const FALSE = new Set(["0", "f", "false", "n", "no", "off"])
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const toNumber = (value: number | string): number | null => {
  if (typeof value === "number") return value
  if (!/^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(value)) return null
  const number = Number(value)
  return Number.isFinite(number) ? number + 0 : null
}

/** Halves are rounded to the even neighbour, as the server does. */
const toInteger = (value: number | string, limit: number): number | null => {
  const number = toNumber(value)
  if (number === null) return null
  const floor = Math.floor(number)
  const half = number - floor === 0.5
  const rounded = (half ? floor + Math.abs(floor % 2) : Math.round(number)) + 0
  return rounded >= -limit && rounded < limit ? rounded : null
}

/** The modifier of a numeric holds precision and scale. The server would refuse the whole batch for one value that does not fit. */
const fitsNumeric = (value: number | null, modifier: number): number | null => {
  if (value === null || !Number.isFinite(value)) return null
  if (modifier < 4) return value
  const precision = ((modifier - 4) >> 16) & 0xffff
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024
  const limit = 10 ** (precision - scale)
  return Math.abs(value) + 0.5 * 10 ** -scale < limit ? value : null
}

const fitsText = (text: string, modifier: number): string | null =>
  modifier < 4 || text.length <= modifier - 4 || Array.from(text).length <= modifier - 4 ? text : null

/** Postgres stores every character but NUL. */
export const storable = (text: string): string => text.includes("\0") ? text.replaceAll("\0", "\uFFFD") : text

/** A converted value as the server reads it from text. */
const toText = (kind: PostgresKind, value: number | string): string =>
  kind === "timestamptz" || kind === "timestamp"
    ? formatTimestamp(Number(value))
    : kind === "bool"
    ? (value === 1 ? "true" : "false")
    : kind === "int8"
    ? BigInt(value).toString()
    : storable(String(value))

/** Values of one column as the text of an array: `{1.5,NULL,"a \"b\""}`. */
export const toArrayText = (kind: PostgresKind, cells: ReadonlyArray<Cell>): string =>
  `{${cells.map((cell) => cell === null ? "NULL" : `"${toText(kind, cell).replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`
