/**
 * A Parquet file that grows row group by row group, written with the package `hyparquet-writer`. Plain code without Effect: it runs
 * in a worker, because encoding a row group takes tens of milliseconds.
 *
 * A row group that does not fit is removed again. Room for the footer is reserved, so finished row groups stay readable on a full
 * disk.
 */
import type { Column } from "@sampleline/core"
import { ByteWriter, ParquetWriter } from "hyparquet-writer"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as zlib from "node:zlib"
import { ARROW_SCHEMA, arrowSchema } from "./ArrowSchema.ts"
import type { ColumnValues } from "./RowGroup.ts"

type SchemaElement = ParquetWriter["schema"][number]

export interface ParquetSettings {
  readonly columns: ReadonlyArray<Column>
  readonly compression: "zstd" | "snappy" | "gzip" | "none"
  readonly dictionary: boolean
  /** The unit of each column that has one. */
  readonly units: { readonly [column: string]: string }
  readonly metadata: { readonly [key: string]: string }
}

const CODECS = { zstd: "ZSTD", snappy: "SNAPPY", gzip: "GZIP", none: "UNCOMPRESSED" } as const

export class ParquetFile {
  private readonly fd: number
  private readonly settings: ParquetSettings
  private readonly reserve: Reserve
  /** What is encoded and not yet handed to the operating system. Its `offset` is a position in the file. */
  private readonly encoded = new ByteWriter()
  private readonly writer: ParquetWriter
  /** Where the last finished row group ends. */
  private end = 0

  /** Begins a file in the empty file `fd`. `reserve` is another empty file on the same disk. */
  constructor(fd: number, reserve: number, settings: ParquetSettings) {
    this.fd = fd
    this.settings = settings
    this.reserve = new Reserve(reserve)
    this.writer = this.newWriter(this.encoded)
  }

  /** Writes a row group. Throws if it cannot, and then has written nothing. */
  writeGroup(values: ReadonlyArray<ColumnValues>): void {
    const { columns, dictionary } = this.settings
    const groups = this.writer.row_groups.length
    const rows = this.writer.num_rows
    const columnData = columns.map((column, at) => ({
      name: column.name,
      data: physicalValues(column, values[at]!),
      offsetIndex: false,
      ...encodingOf(column, dictionary)
    }))
    try {
      void this.writer.write({ columnData, rowGroupSize: columnData[0]!.data.length, pageSize: 0 })
      const end = this.flush()
      this.reserve.grow(this.footerBytes(groups))
      // If the size of files is limited, the footer must still fit.
      fs.ftruncateSync(this.fd, end + this.reserve.bytes)
      this.end = end
    } catch (error) {
      this.writer.row_groups.length = groups
      this.writer.num_rows = rows
      this.encoded.offset = this.end
      this.encoded.index = 0
      fs.ftruncateSync(this.fd, this.end + this.reserve.bytes)
      throw error
    } finally {
      this.writer.pendingIndexes = []
    }
  }

  /** Writes the footer, with more metadata. After that the file is complete. */
  finish(metadata: ParquetSettings["metadata"] = {}): void {
    this.reserve.release()
    this.writer.kvMetadata = this.entriesOf({ ...this.settings.metadata, ...metadata })
    void this.writer.finish()
    fs.ftruncateSync(this.fd, this.flush())
  }

  /** The most bytes that a row group adds to the footer. */
  private footerBytes(group: number): number {
    const footer = new ByteWriter()
    const alone = this.newWriter(footer)
    alone.row_groups = this.writer.row_groups.slice(group)
    void alone.finish()
    return footer.offset
  }

  private newWriter(writer: ByteWriter): ParquetWriter {
    const { columns, compression, metadata } = this.settings
    return new ParquetWriter({
      writer,
      schema: [{ name: "root", num_children: columns.length }, ...columns.map(schemaElement)],
      codec: CODECS[compression],
      compressors: { ZSTD: (bytes) => zlib.zstdCompressSync(bytes), GZIP: (bytes) => zlib.gzipSync(bytes) },
      kvMetadata: this.entriesOf(metadata),
      createdBy: "sampleline"
    })
  }

  private entriesOf(metadata: ParquetSettings["metadata"]) {
    const { columns, units } = this.settings
    const all = { ...metadata, [ARROW_SCHEMA]: arrowSchema(columns, units, metadata) }
    return Object.entries(all).map(([key, value]) => ({ key, value }))
  }

  /** Hands what is encoded to the operating system; gives its end in the file. */
  private flush(): number {
    const bytes = this.encoded.getBytes()
    writeAll(this.fd, bytes, this.encoded.offset - bytes.length)
    this.encoded.index = 0
    return this.encoded.offset
  }
}

/** Reserved disk space. */
class Reserve {
  bytes = 0
  private readonly fd: number

  constructor(fd: number) {
    this.fd = fd
  }

  grow(bytes: number): void {
    // Random bytes: some file systems store no zeros.
    writeAll(this.fd, randomBytes(bytes), this.bytes)
    this.bytes += bytes
  }

  release(): void {
    fs.ftruncateSync(this.fd, 0)
  }
}

const writeAll = (fd: number, bytes: Uint8Array, position: number): void => {
  for (let written = 0; written < bytes.length;) {
    written += fs.writeSync(fd, bytes, written, bytes.length - written, position + written)
  }
}

const schemaElement = ({ name, nullable, type }: Column): SchemaElement => {
  const repetition_type = nullable ? "OPTIONAL" : "REQUIRED"
  switch (type) {
    case "float":
      return { name, repetition_type, type: "DOUBLE" }
    case "int":
      return { name, repetition_type, type: "INT64" }
    case "text":
    case "any":
      return { name, repetition_type, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } }
    case "timestamp":
      return {
        name,
        repetition_type,
        type: "INT64",
        converted_type: "TIMESTAMP_MICROS",
        logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" }
      }
  }
}

/** The values in the types that the driver wants. A plain loop: calls for each value took a quarter of the encoding time. */
const physicalValues = ({ type }: Column, values: ColumnValues): Array<unknown> => {
  const physical: Array<unknown> = []
  if ("places" in values) {
    const { places, texts } = values
    for (let row = 0; row < places.length; row++) physical.push(texts[places[row]!] ?? null)
    return physical
  }
  const { nulls, numbers } = values
  const isInteger = type === "timestamp" || type === "int"
  for (let row = 0; row < numbers.length; row++) {
    const value = numbers[row]!
    physical.push(nulls[row] === 1 ? null : isInteger ? BigInt(value) : value)
  }
  return physical
}

/** Times and counters are stored as differences. For other columns the driver decides whether a dictionary helps. */
const encodingOf = ({ name, type }: Column, dictionary: boolean) =>
  type === "timestamp" || name === "sequence" || name === "tick"
    ? { encoding: "DELTA_BINARY_PACKED" } as const
    : dictionary
    ? {}
    : { encoding: "PLAIN" } as const
