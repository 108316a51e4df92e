/**
 * A Parquet file that grows row group by row group. Plain code without Effect: it runs in a worker, because encoding a row group
 * takes milliseconds. The package `hyparquet-writer` writes the footer.
 *
 * A row group that does not fit is removed again. Room for the footer is reserved, so finished row groups stay readable on a full
 * disk.
 */
import type { EventRow, SavedColumn } from "@sampleline/core"
import { ByteWriter, ParquetWriter } from "hyparquet-writer"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as zlib from "node:zlib"
import { ARROW_SCHEMA, arrowSchema } from "./ArrowSchema.ts"
import { writeAll } from "./OutputFile.ts"
import { writeColumnChunk } from "./ParquetColumn.ts"
import { type FinishedGroup, GroupsFile, type GroupsHeader } from "./ParquetGroups.ts"
import { schemaOf } from "./ParquetSchema.ts"
import type { ColumnValues } from "./RowGroup.ts"

export interface ParquetSettings {
  readonly columns: ReadonlyArray<SavedColumn>
  readonly compression: "zstd" | "snappy" | "gzip" | "none"
  readonly dictionary: boolean
  /** The unit of each column that has one. */
  readonly units: { readonly [column: string]: string }
  readonly metadata: { readonly [key: string]: string }
}

/** An unfinished file. The descriptors stay open as long as it is written to. */
export interface UnfinishedFile {
  readonly fd: number
  /** An empty file on the same disk. */
  readonly reserve: number
  /** Its groups file: empty, or with what is given here. */
  readonly groups: number
  readonly header: GroupsHeader
  /** The row groups that it holds already. */
  readonly finished: ReadonlyArray<FinishedGroup>
}

/** What is recorded between two places: events, and the journal's position behind them, which is 0 without a journal. */
export interface Passed {
  readonly events: ReadonlyArray<EventRow>
  readonly through: number
}

const CODECS = { zstd: "ZSTD", snappy: "SNAPPY", gzip: "GZIP", none: "UNCOMPRESSED" } as const

/** "PAR1": how a Parquet file begins. The driver writes it once, before the first row group. */
const MAGIC = 0x31524150

export class ParquetFile {
  private readonly fd: number
  private readonly settings: ParquetSettings
  private readonly reserve: Reserve
  private readonly groups: GroupsFile
  private readonly groupsFd: number
  /** What is encoded and not yet handed to the operating system. Its `offset` is a position in the file. */
  private readonly encoded = new ByteWriter()
  private readonly writer: ParquetWriter
  /** The events before the end of the last finished row group. */
  private readonly events: Array<EventRow> = []
  /** Where the last finished row group ends. */
  private end = 0

  constructor({ fd, finished, groups, header, reserve }: UnfinishedFile) {
    this.fd = fd
    this.settings = header.settings
    this.reserve = new Reserve(reserve)
    this.groupsFd = groups
    this.groups = new GroupsFile(groups)
    this.writer = this.newWriter(this.encoded)
    if (fs.fstatSync(groups).size === 0) this.groups.append({ header })
    if (finished.length > 0) this.goOnBehind(finished)
  }

  private goOnBehind(finished: ReadonlyArray<FinishedGroup>): void {
    this.writer.row_groups = finished.map(({ group }) => group)
    this.writer.num_rows = finished.reduce((rows, { group }) => rows + group.num_rows, 0n)
    for (const { events } of finished) this.events.push(...events)
    this.end = finished.at(-1)!.end
    this.rewind()
    this.reserve.grow(this.footerBytes(0))
    fs.ftruncateSync(this.fd, this.end + this.reserve.bytes)
  }

  /** Writes a row group and its record. Throws if it cannot, and then has written nothing. */
  writeGroup(values: ReadonlyArray<ColumnValues>, { events, through }: Passed): void {
    const groups = this.writer.row_groups.length
    const rows = this.writer.num_rows
    try {
      this.encode(values)
      const { end, sum } = this.flush()
      this.reserve.grow(this.footerBytes(groups))
      // If the size of files is limited, the footer must still fit.
      fs.ftruncateSync(this.fd, end + this.reserve.bytes)
      this.groups.append({ finished: { group: this.writer.row_groups[groups]!, end, sum, through, events } })
      this.events.push(...events)
      this.end = end
    } catch (error) {
      this.writer.row_groups.length = groups
      this.writer.num_rows = rows
      this.rewind()
      fs.ftruncateSync(this.fd, this.end + this.reserve.bytes)
      throw error
    }
  }

  private encode(values: ReadonlyArray<ColumnValues>): void {
    const { columns, compression, dictionary } = this.settings
    const codec = CODECS[compression]
    const compress = this.writer.compressors[codec] ?? ((bytes: Uint8Array) => bytes)
    const start = this.encoded.offset
    const chunks = columns.map((column, at) =>
      writeColumnChunk(this.encoded, column, values[at]!, { codec, compress, dictionary })
    )
    const rows = chunks[0]!.meta_data!.num_values
    this.writer.num_rows += rows
    this.writer.row_groups.push({
      columns: chunks,
      num_rows: rows,
      total_byte_size: chunks.reduce((sum, { meta_data }) => sum + meta_data!.total_uncompressed_size, 0n),
      total_compressed_size: BigInt(this.encoded.offset - start)
    })
  }

  /** Writes the footer with all events, and forces everything to disk. After that the file is complete. */
  finish({ events, through }: Passed): void {
    this.reserve.release()
    this.rewind()
    const all = [...this.events, ...events]
    this.writer.kvMetadata = this.entriesOf({
      ...this.settings.metadata,
      ...(all.length === 0 ? {} : { events: JSON.stringify(all) })
    })
    void this.writer.finish()
    const { end, sum } = this.flush()
    fs.ftruncateSync(this.fd, end)
    fs.fsyncSync(this.fd)
    this.groups.append({ complete: { bytes: end, sum, through } })
    fs.fsyncSync(this.groupsFd)
  }

  /** Goes back behind the last finished row group. */
  private rewind(): void {
    this.encoded.offset = this.end
    this.encoded.index = 0
    if (this.end === 0) this.encoded.appendUint32(MAGIC)
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
      schema: schemaOf(columns),
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

  /** Hands what is encoded to the operating system; gives its end in the file and its checksum. */
  private flush(): { readonly end: number; readonly sum: number } {
    const bytes = this.encoded.getBytes()
    writeAll(this.fd, bytes, this.encoded.offset - bytes.length)
    this.encoded.index = 0
    return { end: this.encoded.offset, sum: zlib.crc32(bytes) }
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
