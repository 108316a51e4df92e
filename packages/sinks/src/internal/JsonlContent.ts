/**
 * Reads an existing file of JSON lines before it is appended to.
 */
import { Predicate, Result } from "effect"
import { beginningOf, chunksOf, type Content, FOREIGN_BEGINNING } from "./TextContent.ts"

/** Where the last complete line ends. Fails if a line is not a sample, or if an incomplete first line is not ours. */
export const inspectJsonl = (fd: number, size: number): Result.Result<Content, string> => {
  let bytes = 0
  let line = 0
  let begun: Array<Buffer> = []
  const wholeNumbers = new Set<string>()
  for (const [chunk, offset] of chunksOf(fd, size)) {
    let start = 0
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", start)) {
      line++
      const text = Buffer.concat([...begun, chunk.subarray(start, end)]).toString()
      if (!isRowText(text)) return Result.fail(`line ${line} is not a sample written by this sink`)
      for (const [, key] of text.matchAll(WHOLE_NUMBER)) wholeNumbers.add(JSON.parse(key!))
      begun = []
      start = end + 1
      bytes = offset + start
    }
    begun.push(Buffer.from(chunk.subarray(start)))
  }
  return line > 0 || beginsLikeRow(beginningOf(begun))
    ? Result.succeed({ bytes, wholeNumbers })
    : Result.fail(FOREIGN_BEGINNING)
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
