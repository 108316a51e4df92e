/**
 * The values of a Parquet column as this package gives them, from those that `hyparquet` decodes. Pure.
 */
import type { ParquetParsers, SchemaElement } from "hyparquet"
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib"
import type { ColumnValues, RecordedColumn } from "../Recorded.ts"

/** What a column holds; null for one that no recording has, such as a list. */
export const typeOf = (
  { converted_type, logical_type, num_children, repetition_type, type }: SchemaElement
): RecordedColumn["type"] | null => {
  if (num_children !== undefined || repetition_type === "REPEATED") return null
  const kind: string = logical_type?.type ?? converted_type ?? type ?? ""
  if (/^(TIMESTAMP|INT96)/.test(kind)) return "timestamp"
  if (/^(STRING|UTF8|ENUM|JSON|UUID|BYTE_ARRAY)$/.test(kind)) return "text"
  return /^(INT|UINT|FLOAT|DOUBLE|DECIMAL|BOOLEAN)/.test(kind) && kind !== "INTERVAL" ? "number" : null
}

/** Times as microseconds since the epoch, and JSON as its text. */
export const PARSERS: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (millis) => Number(millis) * 1000,
  timestampFromMicroseconds: Number,
  // A double does not hold nanoseconds since the epoch.
  timestampFromNanoseconds: (nanos) => Number(nanos / 1000n),
  jsonFromBytes: (bytes) => new TextDecoder().decode(bytes)
}

/** `hyparquet` itself has Snappy. */
export const COMPRESSORS = {
  ZSTD: (bytes: Uint8Array) => zstdDecompressSync(bytes),
  GZIP: (bytes: Uint8Array) => gunzipSync(bytes),
  BROTLI: (bytes: Uint8Array) => brotliDecompressSync(bytes)
}

/** Values as `hyparquet` gives them: numbers, bigints, booleans and texts; null or undefined for none. */
export const valuesOf = (type: RecordedColumn["type"], values: ArrayLike<unknown>): ColumnValues =>
  type === "text" ? textsOf(values) : numbersOf(values)

const numbersOf = (values: ArrayLike<unknown>): ColumnValues => {
  const numbers = new Float64Array(values.length)
  const nulls = new Uint8Array(values.length)
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    if (typeof value === "number") numbers[row] = value
    else if (value === null || value === undefined) nulls[row] = 1
    else numbers[row] = Number(value)
  }
  return { numbers, nulls }
}

const textsOf = (values: ArrayLike<unknown>): ColumnValues => {
  const places = new Int32Array(values.length)
  const texts: Array<string> = []
  const placeOf = new Map<unknown, number>()
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    let place = value === null || value === undefined ? -1 : placeOf.get(value)
    if (place === undefined) {
      place = texts.push(String(value)) - 1
      placeOf.set(value, place)
    }
    places[row] = place
  }
  return { places, texts }
}

/** Some of the values of a column, in the same memory. */
export const sliceOf = (values: ColumnValues, from: number, to: number): ColumnValues =>
  "places" in values
    ? { places: values.places.subarray(from, to), texts: values.texts }
    : { numbers: values.numbers.subarray(from, to), nulls: values.nulls.subarray(from, to) }
