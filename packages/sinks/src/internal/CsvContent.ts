/**
 * Reads an existing CSV file before it is appended to. Of a long file the records at both ends are checked. Between them only NULs
 * and quotes are looked for, which takes as long as to read it.
 */
import { FrameFormat, SchemaLock } from "@sampleline/core"
import { Result } from "effect"
import {
  beginningOf,
  chunksOf,
  type Content,
  FOREIGN_BEGINNING,
  readRecords,
  type RecordReader
} from "./TextContent.ts"

export interface CsvContent extends Content {
  /** Null if the header itself is incomplete. */
  readonly header: ReadonlyArray<string> | null
}

const COMMA = 0x2c
const NEWLINE = 0x0a
const QUOTE = 0x22
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39

/** How each header of ours begins: with the columns before the frame's fields. */
const BEGINNING = SchemaLock.fromFormats([FrameFormat.make([])]).columns
  .filter(({ name }) => name !== "status")
  .map(({ name }) => `${name},`)
  .join("")

/**
 * The header, and where the last complete record ends. Fails if a record has another number of fields than the header, or if an
 * incomplete header is not ours.
 */
export const inspectCsv = (fd: number, size: number): Result.Result<CsvContent, string> =>
  readRecords(fd, size, () => new Records())

/** Whether a part of a file ends within quotes, if it began so; null if it has a NUL. */
const endsInQuotes = (fd: number, from: number, to: number, begins: boolean): boolean | null => {
  let inQuotes = begins
  for (const [chunk] of chunksOf(fd, to, from)) {
    if (chunk.includes(0)) return null
    for (let at = chunk.indexOf(QUOTE); at >= 0; at = chunk.indexOf(QUOTE, at + 1)) inQuotes = !inQuotes
  }
  return inQuotes
}

/** Reads records byte by byte. */
class Records implements RecordReader<CsvContent> {
  private header: ReadonlyArray<string> | null = null
  private inQuotes = false
  private readonly headerBytes: Array<Buffer> = []
  /** Where the last complete record ends. */
  private bytes = 0
  /** The number of this record; null if it is not known. The header is 0. */
  private record: number | null = 0
  private commas = 0
  /** Whether the beginning of this record was not read. */
  private isCut = false
  private isDamaged = false
  private digits = 0
  private isWhole = true
  /** By position. */
  private readonly wholeNumbers = new Set<number>()

  skip(fd: number, from: number, to: number): boolean {
    const inQuotes = this.header === null ? null : endsInQuotes(fd, from, to, this.inQuotes)
    if (inQuotes === null) return false
    this.inQuotes = inQuotes
    this.isCut = true
    this.record = null
    return true
  }

  read(fd: number, from: number, to: number): string | null {
    for (const [chunk, offset] of chunksOf(fd, to, from)) {
      for (let at = 0; at < chunk.length; at++) {
        const byte = chunk[at]!
        if (byte === QUOTE) this.inQuotes = !this.inQuotes
        else if (byte === 0 && !this.inQuotes) this.isDamaged = true
        else if (byte === COMMA && !this.inQuotes) {
          this.endField()
          this.commas++
        } else if (byte === NEWLINE && !this.inQuotes) {
          this.endField()
          this.header ??= parseRecord(Buffer.concat([...this.headerBytes, chunk.subarray(0, at)]).toString())
          if (this.isDamaged || !this.isCut && this.commas !== this.header.length - 1) {
            const which = this.record === null ? `the record that ends at byte ${offset + at}` : `record ${this.record}`
            return `${which} does not have the ${this.header.length} fields of the header`
          }
          this.bytes = offset + at + 1
          this.commas = 0
          this.isCut = false
          if (this.record !== null) this.record++
        } else if (byte >= ZERO && byte <= NINE) this.digits++
        else if (byte !== MINUS) this.isWhole = false
      }
      if (this.header === null) this.headerBytes.push(Buffer.from(chunk))
    }
    return null
  }

  result(problem: string | null): Result.Result<CsvContent, string> {
    if (problem !== null) return Result.fail(problem)
    const { bytes, header, headerBytes, wholeNumbers } = this
    if (header === null) {
      const begun = beginningOf(headerBytes)
      if (!begun.startsWith(BEGINNING) && !BEGINNING.startsWith(begun)) return Result.fail(FOREIGN_BEGINNING)
    }
    return Result.succeed({
      bytes,
      header,
      wholeNumbers: new Set(header?.filter((_, at) => wholeNumbers.has(at)))
    })
  }

  private endField(): void {
    if (this.isWhole && this.digits > 0 && this.record !== 0 && !this.isCut) this.wholeNumbers.add(this.commas)
    this.digits = 0
    this.isWhole = true
  }
}

/** The fields of one record, without its line end. */
const parseRecord = (record: string): ReadonlyArray<string> => {
  const fields: Array<string> = []
  const text = record.endsWith("\r") ? record.slice(0, -1) : record
  let field = ""
  let inQuotes = false
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\"") {
      if (inQuotes && text[at + 1] === "\"") field += text[at++]
      else inQuotes = !inQuotes
    } else if (text[at] === "," && !inQuotes) {
      fields.push(field)
      field = ""
    } else field += text[at]
  }
  return [...fields, field]
}
