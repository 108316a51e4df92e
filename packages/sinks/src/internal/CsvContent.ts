/**
 * Reads an existing CSV file before it is appended to.
 */
import { FrameFormat, SchemaLock } from "@sampleline/core"
import { Result } from "effect"
import { beginningOf, chunksOf, type Content, FOREIGN_BEGINNING } from "./TextContent.ts"

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
export const inspectCsv = (fd: number, size: number): Result.Result<CsvContent, string> => {
  let header = null as ReadonlyArray<string> | null
  const headerBytes: Array<Buffer> = []
  let bytes = 0
  let record = 0
  let commas = 0
  let inQuotes = false
  let damaged = false
  let digits = 0
  let isWhole = true
  /** By position. */
  const wholeNumbers = new Set<number>()
  const endField = () => {
    if (isWhole && digits > 0 && record > 0) wholeNumbers.add(commas)
    digits = 0
    isWhole = true
  }

  for (const [chunk, offset] of chunksOf(fd, size)) {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!
      if (byte === QUOTE) inQuotes = !inQuotes
      else if (byte === 0 && !inQuotes) damaged = true
      else if (byte === COMMA && !inQuotes) {
        endField()
        commas++
      } else if (byte === NEWLINE && !inQuotes) {
        endField()
        header ??= parseRecord(Buffer.concat([...headerBytes, chunk.subarray(0, at)]).toString())
        if (damaged || commas !== header.length - 1) {
          return Result.fail(`record ${record} does not have the ${header.length} fields of the header`)
        }
        bytes = offset + at + 1
        commas = 0
        record++
      } else if (byte >= ZERO && byte <= NINE) digits++
      else if (byte !== MINUS) isWhole = false
    }
    if (header === null) headerBytes.push(Buffer.from(chunk))
  }
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
