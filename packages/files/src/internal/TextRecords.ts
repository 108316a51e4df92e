/**
 * The records of a text file, read in parts: batches of rows from any byte on. Positions are bytes from the beginning of the recording, and
 * a record is where it begins. A last record without its end is left out.
 */
import * as fs from "node:fs"
import type { Extent, SampleBatch } from "../Recorded.ts"
import type { ColumnBuilder } from "./ColumnBuilder.ts"
import { DamagedContent } from "./failures.ts"
import type { NamedFile } from "./NamedFile.ts"

/** The record goes on behind these bytes. */
export const INCOMPLETE = -1
/** These bytes are no record. */
export const DAMAGED = -2

/** How records of one format are read. `bytes` end at `end`, and a line feed follows there that is not theirs. */
export interface RecordReader {
  /** The columns that it fills. */
  readonly builders: ReadonlyMap<string, ColumnBuilder>
  /** Reads the record at a place into a row. Gives the place behind it, or `INCOMPLETE` or `DAMAGED`. */
  readonly read: (bytes: Buffer, at: number, end: number, row: number) => number
  /** The first record that begins behind `at`, which may be within one, or is the byte before one. `INCOMPLETE` if there is none. */
  readonly nextAfter: (bytes: Buffer, at: number, end: number, isLast: boolean) => number
}

/** Records from byte `first` to byte `size` of an open file. */
export interface RecordFile {
  readonly file: NamedFile
  readonly first: number
  readonly size: number
}

/** Batches of the records that begin at `from` or behind it, and before `to`. */
export function* batchesOf(
  records: RecordFile,
  reader: RecordReader,
  { batchRows, from, to }: { readonly batchRows: number; readonly from: number; readonly to: number }
): Generator<SampleBatch> {
  const { begin: fileBegin } = records.file
  const part = new Part(records, from - fileBegin)
  const position = () => fileBegin + part.place
  if (!part.find(reader)) return
  let begin = position()
  let rows = 0
  const batch = (): SampleBatch => {
    const columns = new Map([...reader.builders].map(([name, builder]) => [name, builder.take(rows)]))
    return { from: begin, to: position(), rows, columns }
  }
  while (position() < to) {
    const next = reader.read(part.bytes, part.at, part.end, rows)
    if (next === DAMAGED) {
      if (rows > 0) yield batch()
      throw damaged(part.place, position())
    }
    if (next === INCOMPLETE) {
      if (part.more()) continue
      break
    }
    part.at = next
    if (++rows === batchRows) {
      yield batch()
      begin = position()
      rows = 0
    }
  }
  if (rows > 0) yield batch()
}

const damaged = (byte: number, position: number) =>
  new DamagedContent({
    message: `the record at byte ${byte} is not as it was written; read on from position ${position + 1}`
  })

/** The end is looked for in so many bytes, or in more if there is no record in them. */
const TAIL = 1 << 16

/** What there is to read. `reader` fills no columns. */
export const extentOf = (records: RecordFile, reader: RecordReader): Extent => {
  const { file: { begin }, first, size } = records
  for (let length = TAIL;; length *= 4) {
    const from = Math.max(first, size - length)
    const part = new Part(records, from)
    if (!part.find(reader)) {
      if (from === first) return { first: begin + first, end: begin + first }
      continue
    }
    for (;;) {
      const next = reader.read(part.bytes, part.at, part.end, 0)
      if (next >= 0) part.at = next
      else if (next === DAMAGED ? !part.findNext(reader) : !part.more()) {
        return { first: begin + first, end: begin + part.place }
      }
    }
  }
}

const FIRST_READ = 1 << 16
const LARGEST_READ = 1 << 20
const NEWLINE = 0x0a

/** A part of a file in memory. It begins small: many readers want only a few rows of some place. */
export class Part {
  bytes = Buffer.alloc(1)
  /** The place in `bytes` that is read next. */
  at = 0
  /** The end of what is there; a line feed follows that is not in the file. */
  end = 0
  private offset: number
  private size = FIRST_READ / 4
  private readonly records: RecordFile
  private readonly from: number

  constructor(records: RecordFile, from: number) {
    this.records = records
    this.from = Math.max(from, records.first)
    // The byte before it tells whether a record begins there.
    this.offset = this.from > records.first ? this.from - 1 : this.from
  }

  /** Where `at` is in the file. */
  get place(): number {
    return this.offset + this.at
  }

  /** Goes to the first record; false if there is none. */
  find(reader: RecordReader): boolean {
    return this.from === this.records.first ? this.more() : this.findNext(reader)
  }

  /** Goes to the next record that begins behind `at`; false if there is none, and then it stays. */
  findNext(reader: RecordReader): boolean {
    for (let isLast = !this.more();; isLast = !this.more()) {
      const next = reader.nextAfter(this.bytes, this.at, this.end, isLast)
      if (next >= 0) this.at = next
      if (next >= 0 || isLast) return next >= 0
    }
  }

  /** Drops the bytes before `at`, and reads on. False if there is no more. */
  more(): boolean {
    const kept = this.end - this.at
    this.size = Math.max(Math.min(4 * this.size, LARGEST_READ), 2 * kept)
    const bytes = this.bytes.length > this.size ? this.bytes : Buffer.allocUnsafe(this.size + 1)
    this.bytes.copy(bytes, 0, this.at, this.end)
    this.bytes = bytes
    this.offset += this.at
    this.at = 0
    const place = this.offset + kept
    const room = Math.min(this.size - kept, this.records.size - place)
    const read = room > 0 ? fs.readSync(this.records.file.fd, bytes, kept, room, place) : 0
    this.end = kept + read
    bytes[this.end] = NEWLINE
    return read > 0
  }
}
