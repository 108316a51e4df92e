/**
 * Reads an existing file of JSON lines before it is appended to. Of a long file the lines at both ends are checked. Between them only
 * NULs are looked for, which takes as long as to read it.
 */
import { Predicate, Result } from "effect"
import {
  beginningOf,
  chunksOf,
  type Content,
  FOREIGN_BEGINNING,
  readRecords,
  type RecordReader
} from "./TextContent.ts"

/** Where the last complete line ends. Fails if a line is not a sample, or if an incomplete first line is not ours. */
export const inspectJsonl = (fd: number, size: number): Result.Result<Content, string> =>
  readRecords(fd, size, () => new Lines())

const hasNul = (fd: number, from: number, to: number): boolean => {
  for (const [chunk] of chunksOf(fd, to, from)) if (chunk.includes(0)) return true
  return false
}

class Lines implements RecordReader<Content> {
  /** Where the last complete line ends. */
  private bytes = 0
  /** The number of the last complete line; null if it is not known. */
  private line: number | null = 0
  /** Whether the beginning of this line was not read. */
  private isCut = false
  private begun: Array<Buffer> = []
  private readonly wholeNumbers = new Set<string>()

  skip(fd: number, from: number, to: number): boolean {
    if (hasNul(fd, from, to)) return false
    this.isCut = true
    this.line = null
    this.begun = []
    return true
  }

  read(fd: number, from: number, to: number): string | null {
    for (const [chunk, offset] of chunksOf(fd, to, from)) {
      let start = 0
      for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", start)) {
        if (this.line !== null) this.line++
        const text = Buffer.concat([...this.begun, chunk.subarray(start, end)]).toString()
        if (!this.isCut && !isRowText(text)) {
          const which = this.line === null ? `the line that ends at byte ${offset + end}` : `line ${this.line}`
          return `${which} is not a sample written by this sink`
        }
        for (const [, key] of text.matchAll(WHOLE_NUMBER)) this.wholeNumbers.add(JSON.parse(key!))
        this.begun = []
        this.isCut = false
        start = end + 1
        this.bytes = offset + start
      }
      this.begun.push(Buffer.from(chunk.subarray(start)))
    }
    return null
  }

  result(problem: string | null): Result.Result<Content, string> {
    if (problem !== null) return Result.fail(problem)
    const { begun, bytes, line, wholeNumbers } = this
    return line !== 0 || beginsLikeRow(beginningOf(begun))
      ? Result.succeed({ bytes, wholeNumbers })
      : Result.fail(FOREIGN_BEGINNING)
  }
}

/** A number without a decimal point, after its key. JSON.parse does not tell 100 from 100.0. */
const WHOLE_NUMBER = /(?<=("(?:[^"\\]|\\.)*"):)-?\d+(?=[,}])/g

/** Whether an incomplete line is a row of ours, as far as it goes. */
const beginsLikeRow = (incomplete: string): boolean => {
  let rest = incomplete
  for (const part of ["{\"device\":\"", "\",\"unit_id\":\"", "\",\"requested_at\":\""]) {
    if (!rest.startsWith(part)) return part.startsWith(rest)
    rest = rest.slice(part.length).replace(/^(?:[^"\\]|\\.)*\\?/, "")
  }
  return true
}

const isRowText = (text: string): boolean => {
  try {
    const row: unknown = JSON.parse(text)
    return Predicate.isObject(row) && "device" in row && "requested_at" in row
  } catch {
    return false
  }
}
