/**
 * Reads CSV as `CsvSink` writes it, and other CSV that has its columns. Positions are bytes.
 *
 * Types are those of `<file>-metadata.json`. A column that is not described there has the type that its first rows show. An empty field
 * is null.
 */
import { ColumnBuilder } from "./internal/ColumnBuilder.ts"
import { fixedType, foreignProblem, isTime, type TypedColumn } from "./internal/Columns.ts"
import { CsvRecords, headerIn } from "./internal/CsvRecords.ts"
import { ForeignContent } from "./internal/failures.ts"
import { GUESS_ROWS, guessedType, type LookAtText, openText } from "./internal/TextFile.ts"
import { batchesOf, Part, type RecordFile } from "./internal/TextRecords.ts"
import type { OpenFormat } from "./open.ts"

/** Opens a CSV file. */
export const open: OpenFormat = (place) => openText(place, "csv", lookAtCsv)

const lookAtCsv: LookAtText = (file, size, described) => {
  const { end, names } = headerOf({ file, first: 0, size })
  const problem = names.length === 0 ? null : foreignProblem(names)
  if (problem !== null) throw new ForeignContent({ message: problem })
  const records = { file, first: end, size }
  const known = names.map((name) => ({
    name,
    type: described.find((column) => column.name === name)?.type ?? fixedType(name)
  }))
  const guessed = guess(records, names, known.flatMap(({ name, type }) => type === undefined ? [name] : []))
  return {
    ...records,
    columns: known.map(({ name, type }) => ({ name, type: type ?? guessed(name) })),
    reader: (builders) => new CsvRecords(names, builders, timesOf(names))
  }
}

/** The names in the header, and where it ends. There are none while it is not complete. */
const headerOf = (records: RecordFile): { readonly names: ReadonlyArray<string>; readonly end: number } => {
  const part = new Part(records, 0)
  while (part.end < LONGEST_HEADER && part.more()) {
    const header = headerIn(part.bytes, part.end)
    if (header !== null) return header
  }
  const beginning = part.bytes.toString("utf8", 0, Math.min(part.end, BEGINNING.length))
  if (!BEGINNING.startsWith(beginning)) {
    throw new ForeignContent({ message: "it is not a recording: it has no header of CSV" })
  }
  return { names: [], end: records.size }
}

const LONGEST_HEADER = 1 << 20
/** How each header of ours begins. */
const BEGINNING = "device,unit_id,requested_at,"

/** The types that the first rows show. */
const guess = (rows: RecordFile, header: ReadonlyArray<string>, names: ReadonlyArray<string>) => {
  if (names.length === 0) return (): TypedColumn["type"] => "any"
  const builders = new Map(names.map((name) => [name, new ColumnBuilder("text", GUESS_ROWS)]))
  const records = new CsvRecords(header, builders, timesOf(header))
  const { value } = batchesOf(rows, records, { batchRows: GUESS_ROWS, from: 0, to: Infinity }).next()
  return (name: string) => guessedType(value?.columns.get(name))
}

const timesOf = (header: ReadonlyArray<string>) =>
  new Map(header.filter(isTime).map((name) => [name, new ColumnBuilder("timestamp", 1)]))
