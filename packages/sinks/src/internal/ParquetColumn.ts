/**
 * One column of a row group as a Parquet column chunk: its pages, and what the footer says of them. Plain code without Effect, for
 * the worker.
 */
import type { Column } from "@sampleline/core"
import type { ByteWriter, ParquetWriter } from "hyparquet-writer"
import { writePageHeader } from "hyparquet-writer/src/datapage.js"
import { bitsFor, fitDeltas, PageBytes } from "./PageBytes.ts"
import type { ColumnValues } from "./RowGroup.ts"

type ColumnChunk = ParquetWriter["row_groups"][number]["columns"][number]
type ChunkMetadata = NonNullable<ColumnChunk["meta_data"]>
type Statistics = NonNullable<ChunkMetadata["statistics"]>

export interface ChunkOptions {
  readonly codec: ChunkMetadata["codec"]
  readonly compress: (bytes: Uint8Array) => Uint8Array
  /** Whether repeated values may be kept once, in a dictionary. */
  readonly dictionary: boolean
}

/** The values of a column that are not null, as they are stored. */
interface Content {
  readonly type: ChunkMetadata["type"]
  readonly statistics: Statistics
  readonly encoding: "PLAIN" | "RLE_DICTIONARY" | "DELTA_BINARY_PACKED"
  /** The values in the encoding. */
  readonly write: (page: PageBytes) => void
  readonly dictionary: { readonly count: number; readonly write: (page: PageBytes) => void } | null
}

/** Appends a column chunk to the file. */
export const writeColumnChunk = (
  file: ByteWriter,
  column: Column,
  values: ColumnValues,
  { codec, compress, dictionary }: ChunkOptions
): ColumnChunk => {
  const start = file.offset
  const rows = rowsIn(values)
  const content = "places" in values ? textContent(values, dictionary) : numberContent(column, values, dictionary)

  let uncompressed = 0
  /** What is compressed comes behind the levels, which are not. */
  const writePage = (levels: Uint8Array, header: (sizes: PageSizes) => Parameters<typeof writePageHeader>[1]) => {
    const bytes = page.content()
    const compressed = compress(bytes)
    const before = file.offset
    writePageHeader(
      file,
      header({
        uncompressed_page_size: levels.length + bytes.length,
        compressed_page_size: levels.length + compressed.length
      })
    )
    uncompressed += file.offset - before + levels.length + bytes.length
    file.appendBytes(levels)
    file.appendBytes(compressed)
  }

  if (content.dictionary !== null) {
    const { count, write } = content.dictionary
    page.clear()
    write(page)
    writePage(NO_LEVELS, (sizes) => ({
      type: "DICTIONARY_PAGE",
      ...sizes,
      dictionary_page_header: { num_values: count, encoding: "PLAIN" }
    }))
  }
  const dataStart = file.offset
  levels.clear()
  if (column.nullable) levels.hybrid(definitionLevels(values), 1)
  page.clear()
  content.write(page)
  writePage(levels.content(), (sizes) => ({
    type: "DATA_PAGE_V2",
    ...sizes,
    data_page_header_v2: {
      num_values: rows,
      num_nulls: Number(content.statistics.null_count),
      num_rows: rows,
      encoding: content.encoding,
      definition_levels_byte_length: levels.length,
      repetition_levels_byte_length: 0,
      is_compressed: true
    }
  }))

  const isDictionary = content.dictionary !== null
  return {
    file_offset: BigInt(start),
    meta_data: {
      type: content.type,
      encodings: isDictionary ? ["PLAIN", content.encoding] : [content.encoding],
      path_in_schema: [column.name],
      codec,
      num_values: BigInt(rows),
      total_compressed_size: BigInt(file.offset - start),
      total_uncompressed_size: BigInt(uncompressed),
      data_page_offset: BigInt(dataStart),
      ...(isDictionary ? { dictionary_page_offset: BigInt(start) } : {}),
      statistics: content.statistics,
      encoding_stats: [
        ...(isDictionary ? [{ page_type: "DICTIONARY_PAGE", encoding: "PLAIN", count: 1 } as const] : []),
        { page_type: "DATA_PAGE_V2", encoding: content.encoding, count: 1 }
      ]
    }
  }
}

interface PageSizes {
  readonly uncompressed_page_size: number
  readonly compressed_page_size: number
}

/** The worker writes one page at a time. */
const page = new PageBytes()
const levels = new PageBytes()
const NO_LEVELS = new Uint8Array()

/** A 1 for each row that has a value. A plain loop: a callback for each row took most of the encoding time. */
const definitionLevels = (values: ColumnValues): Int32Array => {
  const levels = new Int32Array(rowsIn(values))
  if ("places" in values) {
    for (let row = 0; row < levels.length; row++) levels[row] = values.places[row]! < 0 ? 0 : 1
  } else {
    for (let row = 0; row < levels.length; row++) levels[row] = 1 - values.nulls[row]!
  }
  return levels
}

const rowsIn = (values: ColumnValues): number => "places" in values ? values.places.length : values.numbers.length

type Numbers = Extract<ColumnValues, { readonly numbers: Float64Array }>
type Texts = Extract<ColumnValues, { readonly texts: ReadonlyArray<string> }>

const numberContent = ({ name, type }: Column, column: Numbers, mayUseDictionary: boolean): Content => {
  const values = present(column)
  const isInteger = type === "int" || type === "timestamp"
  let least = Infinity
  let most = -Infinity
  let nans = 0
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!
    if (value < least) least = value
    if (value > most) most = value
    if (value !== value) nans++
  }
  const hasRange = least <= most
  const statistics: Statistics = {
    null_count: BigInt(column.numbers.length - values.length),
    ...(isInteger ? {} : { nan_count: BigInt(nans) }),
    ...(hasRange && isInteger ? { min_value: BigInt(least), max_value: BigInt(most) } : {}),
    // A reader that looks for 0 must find both of its signs.
    ...(hasRange && !isInteger ? { min_value: least === 0 ? -0 : least, max_value: most === 0 ? 0 : most } : {})
  }
  const plain = (numbers: Float64Array) => (page: PageBytes) =>
    isInteger ? page.integers(numbers) : page.doubles(numbers)
  const common = { type: isInteger ? "INT64" : "DOUBLE", statistics } as const
  if (hasDeltas(name, type)) {
    return hasRange && !fitDeltas(least, most)
      ? { ...common, encoding: "PLAIN", write: plain(values), dictionary: null }
      : { ...common, encoding: "DELTA_BINARY_PACKED", write: (page) => page.differences(values), dictionary: null }
  }
  const found = mayUseDictionary ? distinct(values) : null
  if (found !== null && isSmaller(found.numbers.length * 8, found, values.length * 8)) {
    return {
      ...common,
      encoding: "RLE_DICTIONARY",
      write: writePlaces(found),
      dictionary: { count: found.count, write: plain(found.numbers) }
    }
  }
  return { ...common, encoding: "PLAIN", write: plain(values), dictionary: null }
}

/** Times and counters are stored as differences. */
const hasDeltas = (name: string, type: Column["type"]): boolean =>
  type === "timestamp" || name === "sequence" || name === "tick"

const present = ({ nulls, numbers }: Numbers): Float64Array => {
  if (!nulls.includes(1)) return numbers
  return numbers.filter((_, row) => nulls[row] === 0)
}

const textContent = ({ places, texts }: Texts, mayUseDictionary: boolean): Content => {
  // Not all texts need be there: rows may have been dropped.
  const utf8: Array<Buffer> = []
  const placeOf = new Int32Array(texts.length).fill(-1)
  const present = new Int32Array(places.length)
  let values = 0
  let plainBytes = 0
  let least: number | undefined
  let most: number | undefined
  for (let row = 0; row < places.length; row++) {
    const at = places[row]!
    if (at < 0) continue
    if (placeOf[at]! < 0) {
      const place = placeOf[at] = utf8.push(Buffer.from(texts[at]!)) - 1
      if (least === undefined || Buffer.compare(utf8[place]!, utf8[least]!) < 0) least = place
      if (most === undefined || Buffer.compare(utf8[place]!, utf8[most]!) > 0) most = place
    }
    const place = placeOf[at]!
    present[values++] = place
    plainBytes += 4 + utf8[place]!.length
  }
  const found = { count: utf8.length, places: present.subarray(0, values) }
  const writeAll = (page: PageBytes) => {
    for (const text of utf8) page.text(text)
  }
  const common = {
    type: "BYTE_ARRAY",
    statistics: {
      null_count: BigInt(places.length - values),
      ...(least === undefined ? {} : { min_value: utf8[least]!.toString() }),
      ...(most === undefined ? {} : { max_value: utf8[most]!.toString() })
    }
  } as const
  const distinctBytes = utf8.reduce((sum, { length }) => sum + 4 + length, 0)
  if (mayUseDictionary && isSmaller(distinctBytes, found, plainBytes)) {
    return {
      ...common,
      encoding: "RLE_DICTIONARY",
      write: writePlaces(found),
      dictionary: { count: found.count, write: writeAll }
    }
  }
  return {
    ...common,
    encoding: "PLAIN",
    write: (page) => {
      for (const place of found.places) page.text(utf8[place]!)
    },
    dictionary: null
  }
}

/** Values as positions in a list of those that differ. */
interface Places {
  readonly count: number
  readonly places: Int32Array
}

const writePlaces = ({ count, places }: Places) => (page: PageBytes) => {
  const bits = bitsFor(count - 1)
  page.byte(bits)
  page.hybrid(places, bits)
}

/** More entries are no gain, and their places must fit a page's packed bits. */
const LARGEST_DICTIONARY = 1 << 20

/** Whether a dictionary and the places in it take half of the plain values, or less. */
const isSmaller = (distinctBytes: number, { count, places }: Places, plainBytes: number): boolean =>
  count > 0 && count <= LARGEST_DICTIONARY
  && 2 * (distinctBytes + Math.ceil(places.length * bitsFor(count - 1) / 8)) <= plainBytes

/** The numbers that differ in their bits, in the order in which they come. Null if they are more than half of all. */
const distinct = (values: Float64Array): Places & { readonly numbers: Float64Array } | null => {
  const limit = values.length >> 1
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length * 2)
  const size = 1 << bitsFor(values.length)
  // For each hash, the row that was the first with its number, plus 1.
  const first = new Int32Array(size)
  const places = new Int32Array(values.length)
  const numbers = new Float64Array(limit)
  let count = 0
  for (let row = 0; row < values.length; row++) {
    const low = bits[row * 2]!
    const high = bits[row * 2 + 1]!
    let hash = (Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b) >>> 7) & (size - 1)
    let before = first[hash]! - 1
    while (before >= 0 && (bits[before * 2] !== low || bits[before * 2 + 1] !== high)) {
      hash = (hash + 1) & (size - 1)
      before = first[hash]! - 1
    }
    if (before >= 0) places[row] = places[before]!
    else {
      if (count === limit) return null
      first[hash] = row + 1
      numbers[count] = values[row]!
      places[row] = count++
    }
  }
  return { count, places, numbers: numbers.subarray(0, count) }
}
