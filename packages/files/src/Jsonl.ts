/**
 * Reads JSON lines as `JsonlSink` writes them. Positions are bytes.
 *
 * Columns are those of `<file>-metadata.json` or of the events, and the keys of the first rows. Later lines may have other keys: if all
 * columns are read, they come too.
 */
import { fixedType, foreignProblem } from "./internal/Columns.ts"
import { ForeignContent } from "./internal/failures.ts"
import { JsonlRecords } from "./internal/JsonlRecords.ts"
import { GUESS_ROWS, guessedType, type LookAtText, openText } from "./internal/TextFile.ts"
import { batchesOf, Part, type RecordFile } from "./internal/TextRecords.ts"
import type { OpenFormat } from "./open.ts"

/** Opens a file of JSON lines. */
export const open: OpenFormat = (place) => openText(place, "jsonl", lookAtJsonl)

const lookAtJsonl: LookAtText = (file, size, described) => {
  const records = { file, first: 0, size }
  expectObject(records)
  const first = firstRows(records)
  const problem = first.size === 0 ? null : foreignProblem([...first.keys()])
  if (problem !== null) throw new ForeignContent({ message: problem })
  // Events describe the devices: which of the other columns the file has is seen in its rows.
  const known = described.filter(({ name }) => first.has(name) || first.size > 0 && fixedType(name) === undefined)
  const others = [...first.keys()].filter((name) => !known.some((column) => column.name === name))
  return {
    ...records,
    columns: [...known, ...others.map((name) => ({ name, type: fixedType(name) ?? guessedType(first.get(name)) }))],
    reader: (builders, newRows) => new JsonlRecords(builders, newRows)
  }
}

/** The values of the first rows. */
const firstRows = (rows: RecordFile) => {
  const records = new JsonlRecords(new Map(), GUESS_ROWS)
  const { value } = batchesOf(rows, records, { batchRows: GUESS_ROWS, from: 0, to: Infinity }).next()
  return value?.columns ?? new Map<string, never>()
}

const expectObject = (records: RecordFile): void => {
  const part = new Part(records, 0)
  if (part.more() && part.bytes[0] !== BRACE) {
    throw new ForeignContent({ message: "it is not a recording: its first line is no JSON object" })
  }
}

const BRACE = 0x7b
