/**
 * What Postgres makes of a cell: for each column type how a value is converted to it, and how it is written, as text for
 * statements and as bytes for COPY. Pure; the bytes are those of the server's own binary formats.
 */
import { type Cell, type CellWriter, formatTimestamp, type Sample, type SchemaLock } from "@sampleline/core"
import { ByteBuffer, readyBytes } from "./ByteBuffer.ts"
import { TextCache } from "./TextBuffer.ts"

/** The column types that can be written. `text` stands for all that take their own text as it is: varchar, char, enums. */
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

/** The kind of a type by its name in the catalogue, or undefined where it cannot be written. */
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

/** `2026-03-01T12:00:00.000123Z`, and the microseconds of a far-off day. */
const TIME_LENGTH = 27
const FAR_MICROS = 9_000_000_000_000_000

export const canHoldTimes = (kind: PostgresKind, modifier: number): boolean =>
  TIME_KINDS.has(kind)
  && (kind !== "numeric" || fitsNumeric(FAR_MICROS, modifier) !== null)
  && (kind !== "text" || fitsText("0".repeat(TIME_LENGTH), modifier) !== null)

/** What a column holds of a value; undefined where that is the row's own value, but for what all texts lose on their way. */
export type Conversion = ((value: number | string) => Cell) | undefined

/**
 * A time in microseconds since the epoch, as a column holds it: a time, RFC 3339 text, or the number.
 */
export const convertTime = (kind: PostgresKind): Conversion => {
  if (kind === "text") return (micros) => formatTimestamp(Number(micros))
  return kind === "json" || kind === "jsonb" ? (micros) => JSON.stringify(formatTimestamp(Number(micros))) : undefined
}

/**
 * A value as a column holds it, or null where it cannot: rounded to integers as the server rounds, numbers of text where text
 * is one. `modifier` is the type's, as in `numeric(7,2)` or `varchar(20)`, -1 for none; `labels` are an enum's.
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
      const single = Math.fround(toNumber(value) ?? Number.NaN)
      return Number.isFinite(single) ? single + 0 : null
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
      return JSON.stringify(typeof value === "string" ? storable(value) : value)
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

/** Halves go to the even neighbour, as in the server. */
const toInteger = (value: number | string, limit: number): number | null => {
  const number = toNumber(value)
  if (number === null) return null
  const floor = Math.floor(number)
  const half = number - floor === 0.5
  const rounded = (half ? floor + Math.abs(floor % 2) : Math.round(number)) + 0
  return rounded >= -limit && rounded < limit ? rounded : null
}

/** A numeric's modifier holds precision and scale; what does not fit is refused by the server, and the whole batch with it. */
const fitsNumeric = (value: number | null, modifier: number): number | null => {
  if (value === null || modifier < 4) return value
  const precision = ((modifier - 4) >> 16) & 0xffff
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024
  const limit = 10 ** (precision - scale)
  return Math.abs(value) + 0.5 * 10 ** -scale < limit ? value : null
}

const fitsText = (text: string, modifier: number): string | null =>
  modifier < 4 || text.length <= modifier - 4 || Array.from(text).length <= modifier - 4 ? text : null

/** Postgres stores every character but one. */
const storable = (text: string): string => text.includes("\0") ? text.replaceAll("\0", "\uFFFD") : text

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

const SIGNATURE = readyBytes(Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1"))
/** 2000-01-01, where the server's times begin, in microseconds since 1970. */
const EPOCH_MICROS = 946_684_800_000_000

/** Rows of one batch in the format of COPY ... (FORMAT binary). */
export class CopyBuffer extends ByteBuffer implements CellWriter {
  private readonly kinds: ReadonlyArray<PostgresKind>
  /** The column of the next cell. */
  private at = 0
  private readonly texts = new TextCache((text) => {
    const bytes = Buffer.from(`\0\0\0\0${storable(text)}`)
    bytes.writeInt32BE(bytes.length - 4)
    return readyBytes(bytes)
  })

  constructor(kinds: ReadonlyArray<PostgresKind>) {
    super()
    this.kinds = kinds
  }

  /** All rows of a batch, with header and trailer; valid until the next call. */
  encode(lock: SchemaLock, batch: Iterable<Sample>): Buffer {
    this.clear()
    this.ready(SIGNATURE)
    for (const sample of batch) {
      this.ensure(0)
      this.int16(this.kinds.length)
      this.at = 0
      lock.write(sample, this)
    }
    this.ensure(0)
    this.int16(-1)
    return this.content()
  }

  number(value: number): void {
    this.value(this.kinds[this.at++]!, value)
  }

  timestamp(micros: number): void {
    this.value(this.kinds[this.at++]!, micros)
  }

  text(value: string): void {
    this.value(this.kinds[this.at++]!, value)
  }

  missing(): void {
    this.at++
    this.ensure(0)
    this.int32(-1)
  }

  private value(kind: PostgresKind, cell: number | string): void {
    this.ensure(0)
    switch (kind) {
      case "float8":
        this.int32(8)
        this.view.setFloat64(this.end, cell as number)
        this.end += 8
        return
      case "float4":
        this.int32(4)
        this.view.setFloat32(this.end, cell as number)
        this.end += 4
        return
      case "int2":
        this.int32(2)
        this.int16(cell as number)
        return
      case "int4":
        this.int32(4)
        this.int32(cell as number)
        return
      case "int8":
        this.int64(cell as number)
        return
      case "timestamptz":
      case "timestamp":
        this.int64((cell as number) - EPOCH_MICROS)
        return
      case "bool":
        this.int32(1)
        this.view.setInt8(this.end++, cell as number)
        return
      case "numeric":
        return this.numeric(cell as number)
      case "uuid":
        this.int32(16)
        this.end += this.bytes.write(String(cell).replaceAll("-", ""), this.end, "hex")
        return
      case "jsonb":
        // Its format's version, then the text.
        return this.ready(this.texts.get(`\u0001${cell}`, this.at))
      case "json":
      case "text":
        return this.ready(this.texts.get(String(cell), this.at))
    }
  }

  private int16(value: number): void {
    this.view.setInt16(this.end, value)
    this.end += 2
  }

  private int32(value: number): void {
    this.view.setInt32(this.end, value)
    this.end += 4
  }

  /** With its length before it; in two halves, which is several times faster than by way of a BigInt. */
  private int64(value: number): void {
    const high = Math.floor(value / 0x1_0000_0000)
    this.int32(8)
    this.int32(high)
    this.view.setUint32(this.end, value - high * 0x1_0000_0000)
    this.end += 4
  }

  /** Digits to the base of ten thousand, from the shortest decimal that gives this double. */
  private numeric(value: number): void {
    const { digits, scale, weight } = numericDigits(value)
    this.ensure(2 * digits.length)
    this.int32(8 + 2 * digits.length)
    for (const part of [digits.length, weight, value < 0 ? 0x4000 : 0, scale, ...digits]) this.int16(part)
  }
}

const numericDigits = (value: number) => {
  const [mantissa = "", exponent = "0"] = String(Math.abs(value)).split("e")
  const [whole = "", fraction = ""] = mantissa.split(".")
  const shift = Number(exponent)
  const decimals = `${whole}${fraction}`
  // How many of the decimals stand before the point; below zero, how many zeros follow it first.
  const point = whole.length + shift
  const padded = point <= 0 ? "0".repeat(-point) + decimals : decimals.padEnd(point, "0")
  const before = point <= 0 ? "" : padded.slice(0, point)
  const after = point <= 0 ? padded : padded.slice(point)
  const groups = [
    ...groupsOf(before.padStart(Math.ceil(before.length / 4) * 4, "0")),
    ...groupsOf(after.padEnd(Math.ceil(after.length / 4) * 4, "0"))
  ]
  let weight = Math.ceil(before.length / 4) - 1
  while (groups.length > 0 && groups[0] === 0) {
    groups.shift()
    weight--
  }
  while (groups.at(-1) === 0) groups.pop()
  return { digits: groups, weight: groups.length === 0 ? 0 : weight, scale: after.length }
}

const groupsOf = (decimals: string): Array<number> =>
  Array.from({ length: decimals.length / 4 }, (_, at) => Number(decimals.slice(at * 4, at * 4 + 4)))
