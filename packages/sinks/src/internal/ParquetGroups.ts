/**
 * `<name>.partial-groups` beside an unfinished Parquet file: what its footer will say of the row groups that are finished. With it
 * another process completes the file, or goes on with it. Plain code without Effect, for the worker too.
 *
 * The file only grows: a header, a record for each finished row group, and a last one when the footer is there. Each has its length
 * and its checksum before it, and one that is torn counts as missing. A row group that has no record does not count either.
 *
 * The statistics of a row group are kept as the writer made them. Read back from a Parquet file, times are cut to milliseconds, and
 * readers then skip rows that match.
 */
import type { EventRow } from "@sampleline/core"
import type { ParquetWriter } from "hyparquet-writer"
import * as fs from "node:fs"
import * as v8 from "node:v8"
import { crc32 } from "node:zlib"
import { writeAll } from "./OutputFile.ts"
import type { ParquetSettings } from "./ParquetFile.ts"

export const groupsOf = (path: string): string => `${path}.partial-groups`

/** Of the next one, until it replaces it: the longest name of a file beside the Parquet file. */
export const newGroupsOf = (path: string): string => `${groupsOf(path)}.new`

const VERSION = 1

export interface GroupsHeader {
  readonly version: typeof VERSION
  /** The id of the journal that writes the file; null if there is none. */
  readonly journal: string | null
  /** Whether the finished file replaces one that has its name. */
  readonly replaces: boolean
  readonly settings: ParquetSettings
}

/** A row group that is in the file, with the events that came before its end. */
export interface FinishedGroup {
  readonly group: ParquetWriter["row_groups"][number]
  /** Where it ends in the file, and the checksum of its bytes. */
  readonly end: number
  readonly sum: number
  /** The journal's position behind its last item; 0 without a journal. */
  readonly through: number
  readonly events: ReadonlyArray<EventRow>
}

/** A file with its footer. */
interface CompleteFile {
  readonly bytes: number
  /** The checksum of what follows the last row group. */
  readonly sum: number
  readonly through: number
}

type GroupsRecord =
  | { readonly header: GroupsHeader }
  | { readonly finished: FinishedGroup }
  | { readonly complete: CompleteFile }

/** What a groups file says. */
export interface Groups {
  readonly header: GroupsHeader
  readonly finished: ReadonlyArray<FinishedGroup>
  /** Null if the footer is not known to be there. */
  readonly complete: CompleteFile | null
}

const PREFIX_BYTES = 8

/** Adds records to an open groups file that is empty, or that holds whole records. */
export class GroupsFile {
  private readonly fd: number
  private end: number

  constructor(fd: number) {
    this.fd = fd
    this.end = fs.fstatSync(fd).size
  }

  /** Adds a record, or throws and adds nothing. */
  append(record: GroupsRecord): void {
    const content = v8.serialize(record)
    const bytes = Buffer.alloc(PREFIX_BYTES + content.length)
    bytes.writeUInt32LE(content.length, 0)
    bytes.writeUInt32LE(crc32(content), 4)
    content.copy(bytes, PREFIX_BYTES)
    try {
      writeAll(this.fd, bytes, this.end)
    } catch (error) {
      fs.ftruncateSync(this.fd, this.end)
      throw error
    }
    this.end += bytes.length
  }
}

/** What the groups file of a Parquet file says; null if there is none that has a header of this version. */
export const readGroups = (path: string): Groups | null => new GroupsReader(path).read()

/** Reads a groups file, and each time again only what was added to it. */
export class GroupsReader {
  private readonly file: string
  private inode = -1
  private end = 0
  private records: Array<GroupsRecord> = []

  /** `path` is that of the Parquet file. */
  constructor(path: string) {
    this.file = groupsOf(path)
  }

  /** What the file says now; null if there is none that has a header of this version. */
  read(): Groups | null {
    if (!fs.existsSync(this.file)) return null
    const fd = fs.openSync(this.file, "r")
    try {
      this.readAdded(fd)
    } finally {
      fs.closeSync(fd)
    }
    const [first] = this.records
    if (first === undefined || !("header" in first) || first.header.version !== VERSION) return null
    const last = this.records.at(-1)!
    return {
      header: first.header,
      finished: this.records.flatMap((record) => "finished" in record ? [record.finished] : []),
      complete: "complete" in last ? last.complete : null
    }
  }

  private readAdded(fd: number): void {
    const { ino, size } = fs.fstatSync(fd)
    // One that says less replaces it, when a recorder goes on with what another one has left.
    if (ino !== this.inode || size < this.end) {
      this.inode = ino
      this.end = 0
      this.records = []
    }
    const bytes = Buffer.alloc(size - this.end)
    const read = fs.readSync(fd, bytes, 0, bytes.length, this.end)
    const { end, records } = recordsIn(bytes.subarray(0, read))
    this.end += end
    for (const record of records) this.records.push(record)
  }
}

/** The records up to the first that is torn, and where it begins. A power cut may leave zeros in place of one. */
const recordsIn = (bytes: Buffer): { readonly records: ReadonlyArray<GroupsRecord>; readonly end: number } => {
  const records: Array<GroupsRecord> = []
  let at = 0
  while (at + PREFIX_BYTES <= bytes.length) {
    const length = bytes.readUInt32LE(at)
    const content = bytes.subarray(at + PREFIX_BYTES, at + PREFIX_BYTES + length)
    if (length === 0 || content.length < length || crc32(content) !== bytes.readUInt32LE(at + 4)) break
    records.push(v8.deserialize(content))
    at += PREFIX_BYTES + length
  }
  return { records, end: at }
}

/** For each row group, whether it is in the file as it was written. */
export const areWhole = (fd: number, finished: ReadonlyArray<FinishedGroup>): ReadonlyArray<boolean> =>
  finished.map((_, at) => isWhole(fd, finished, at))

/** Whether one of the row groups is in the file as it was written. */
export const isWhole = (fd: number, finished: ReadonlyArray<FinishedGroup>, at: number): boolean =>
  sumBetween(fd, finished[at - 1]?.end ?? 0, finished[at]!.end) === finished[at]!.sum

/** Whether a file is the one that was completed. */
export const isComplete = (fd: number, { complete, finished }: Groups): boolean =>
  complete !== null && fs.fstatSync(fd).size === complete.bytes
  && sumBetween(fd, finished.at(-1)?.end ?? 0, complete.bytes) === complete.sum

const sumBetween = (fd: number, start: number, end: number): number => {
  const bytes = Buffer.alloc(end - start)
  return crc32(bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, start)))
}

/** Makes a groups file say this and no more, and opens it. The one that was there is replaced as a whole. */
export const rewriteGroups = (
  path: string,
  header: GroupsHeader,
  finished: ReadonlyArray<FinishedGroup>
): number => {
  const name = newGroupsOf(path)
  const fd = fs.openSync(name, "w+", 0o666)
  try {
    const file = new GroupsFile(fd)
    file.append({ header })
    for (const group of finished) file.append({ finished: group })
    fs.fsyncSync(fd)
    fs.renameSync(name, groupsOf(path))
    return fd
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}
