/**
 * What a text file holds, as the sinks look at it before they add to it.
 */
import { Result } from "effect"
import * as fs from "node:fs"

/** What the file holds up to the end of its last complete record. */
export interface Content {
  readonly bytes: number
  /** The columns with a number that has no decimal point. */
  readonly wholeNumbers: ReadonlySet<string>
}

/** What a sink knows of its files. */
export interface TextFormat<C extends Content> {
  /** Reads the content of a file up to `size`. Fails with a text if the sink did not write the file. */
  readonly inspect: (fd: number, size: number) => Result.Result<C, string>
  /** Whether the rows of this run can follow those of a file that begins like this. */
  readonly takesMore: (beginning: C) => boolean
}

/** What is said of a file without a complete record that does not begin as the sink's own files do. */
export const FOREIGN_BEGINNING = "it has no complete record and does not begin like a file of this sink"

/** The beginning of a file as text, without the NULs that a power cut leaves behind. */
export const beginningOf = (chunks: ReadonlyArray<Buffer>): string =>
  Buffer.concat(chunks).toString().replace(/\0+$/, "")

/** So much of a long file is read record by record, at each end. */
export const END_BYTES = 1 << 20

/** Reads a file record by record. */
export interface RecordReader<C> {
  /** Reads a part of the file. Null, or what is wrong with a record. */
  readonly read: (fd: number, from: number, to: number) => string | null
  /** Passes over a part of the file, in which it only looks for damage. False if it must be read. */
  readonly skip: (fd: number, from: number, to: number) => boolean
  /** What was read. It fails with a problem. */
  readonly result: (problem: string | null) => Result.Result<C, string>
}

/** Reads the records of a file up to `size`: all of them, or those at both ends of a long one. */
export const readRecords = <C>(
  fd: number,
  size: number,
  newReader: () => RecordReader<C>
): Result.Result<C, string> => {
  const [ends, all] = [newReader(), newReader()]
  const tail = size - END_BYTES
  const isLong = size > 3 * END_BYTES && ends.read(fd, 0, END_BYTES) === null && ends.skip(fd, END_BYTES, tail)
  return isLong ? ends.result(ends.read(fd, tail, size)) : all.result(all.read(fd, 0, size))
}

/** The bytes of a file from `start` to `size`, in chunks, each with the offset of its first byte. A chunk is valid until the next one. */
export function* chunksOf(fd: number, size: number, start = 0): Generator<readonly [Buffer, number]> {
  const buffer = Buffer.allocUnsafe(1 << 20)
  for (let offset = start; offset < size;) {
    const read = fs.readSync(fd, buffer, 0, Math.min(buffer.length, size - offset), offset)
    if (read === 0) return
    yield [buffer.subarray(0, read), offset]
    offset += read
  }
}

/**
 * Whether rows can follow, as far as the first and the last line tell: a file of hours is too long to be read while a recording
 * goes on.
 */
export const canFollow = <C extends Content>(fd: number, size: number, format: TextFormat<C>): boolean => {
  const last = Buffer.alloc(1)
  fs.readSync(fd, last, 0, 1, size - 1)
  const beginning = format.inspect(fd, firstLineLength(fd, size))
  return last.toString() === "\n"
    && Result.isSuccess(beginning)
    && beginning.success.bytes > 0
    && format.takesMore(beginning.success)
}

/** The latest time in the last line up to `end`, as text; null if there is none. */
export const lastTimeIn = (fd: number, end: number): string | null => {
  const tail = Buffer.alloc(Math.min(end, LONGEST_TAIL))
  fs.readSync(fd, tail, 0, tail.length, end - tail.length)
  const [last = ""] = tail.toString().trimEnd().split("\n").slice(-1)
  return (last.match(TIME) ?? []).toSorted().at(-1) ?? null
}

const LONGEST_TAIL = 1 << 16
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/g

const firstLineLength = (fd: number, size: number): number => {
  for (const [chunk] of chunksOf(fd, size)) return chunk.indexOf("\n") + 1
  return 0
}
