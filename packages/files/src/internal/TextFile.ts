/**
 * A recording in a text file: samples from the file, types and units from the description beside it, events from the events file. Each
 * look at it shows what is there at that time.
 *
 * The file stays open, so a file that is moved or removed meanwhile can be read to its end. If its name leads to another file then
 * (logrotate), the recording goes on in that one: its positions follow those of the file before, and its columns are matched by name. A
 * newer copy of the file (rsync) takes its place.
 */
import type { EventRow } from "@sampleline/core"
import { eventsFileOf, parseEventRow, readTableMetadata, type TableDescription } from "@sampleline/sinks/Reading"
import { Effect, type Scope, Stream } from "effect"
import * as fs from "node:fs"
import type { ReadError } from "../ReadError.ts"
import {
  BATCH_ROWS,
  type ColumnValues,
  type Recorded,
  type RecordedFormat,
  type SampleBatch,
  type SampleOptions
} from "../Recorded.ts"
import { ColumnBuilder } from "./ColumnBuilder.ts"
import { describedByEvents, recordedColumns, recordedType, type TypedColumn } from "./Columns.ts"
import { DamagedContent, readError } from "./failures.ts"
import { type NamedFile, nextOf, openNamed, sizeOf } from "./NamedFile.ts"
import { isNumber } from "./Numbers.ts"
import { batchesOf, extentOf, type RecordFile, type RecordReader } from "./TextRecords.ts"
import { timeOf } from "./Times.ts"

/** What a file shows at a time. */
export interface TextContent extends RecordFile {
  readonly columns: ReadonlyArray<TypedColumn>
  /** Reads the columns of these builders. New columns that come later get builders of so many rows; null if they are passed over. */
  readonly reader: (builders: ReadonlyMap<string, ColumnBuilder>, newRows: number | null) => RecordReader
}

/** Looks at a file up to `size`. Its columns may be described. Throws `ForeignContent`. */
export type LookAtText = (
  file: NamedFile,
  size: number,
  described: ReadonlyArray<TypedColumn>
) => TextContent

/** Opens a text file, and looks at it once. */
export const openText = Effect.fnUntraced(function*(
  place: string,
  format: RecordedFormat,
  look: LookAtText
): Effect.fn.Return<Recorded, ReadError, Scope.Scope> {
  const attempt = <A>(run: () => A) => Effect.try({ try: run, catch: readError(place) })
  let file = yield* attempt(() => openNamed(place, 0))
  /** What the files hold that had the name before. They are read to their ends. */
  const before: Array<TextContent> = []
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const { fd } of [...before.map(({ file }) => file), file]) fs.closeSync(fd)
    })
  )
  let last: TextContent | undefined
  const lookNow = (description: TableDescription) => {
    const described = description.columns.map(({ name, type }) => ({ name, type: recordedType(type) }))
    return last = look(file, sizeOf(file), described)
  }
  /** The columns of a long file do not change: many short reads look at them once. */
  const content = (): TextContent => {
    const size = sizeOf(file)
    return last !== undefined && last.size >= LONG && size >= last.size
      ? { ...last, size }
      : lookNow(descriptionOf(place))
  }
  /** Goes on to the file that has the name now. */
  const goOn = () => {
    const next = nextOf(place, file)
    if (next === null) return
    before.push(content())
    file = next
    last = undefined
  }
  yield* attempt(content)
  return {
    format,
    place,
    columns: attempt(() => {
      goOn()
      const description = descriptionOf(place)
      const columns = [...before, lookNow(description)].flatMap(({ columns }) => columns)
      return recordedColumns([...new Map(columns.map((column) => [column.name, column])).values()], description.devices)
    }),
    events: Stream.unwrap(Effect.map(attempt(() => eventsBeside(place)), Stream.fromIterable)),
    extent: attempt(() => {
      goOn()
      const now = content()
      return { ...extentOf(now, now.reader(new Map(), null)), first: (before[0] ?? now).first }
    }),
    samples: (options = {}) =>
      Stream.unwrap(attempt(() => {
        goOn()
        return inTurns(attempt, samplesOf([...before, content()], options))
      }))
  }
})

/** The samples of files that follow each other. */
function* samplesOf(
  files: ReadonlyArray<TextContent>,
  { batchRows = BATCH_ROWS, columns, from = 0, to = Infinity }: SampleOptions
): Generator<SampleBatch> {
  for (const content of files) {
    if (content.file.begin + content.size <= from) continue
    const read = columns === undefined ? content.columns : content.columns.filter(({ name }) => columns.includes(name))
    const builders = new Map(read.map(({ name, type }) => [name, new ColumnBuilder(type, batchRows)]))
    const reader = content.reader(builders, columns === undefined ? batchRows : null)
    yield* batchesOf(content, reader, { batchRows, from: Math.ceil(from), to })
  }
}

const LONG = 1 << 20

/** A stream of what a generator gives. Others have their turn between two batches. */
const inTurns = <E>(
  attempt: <A>(run: () => A) => Effect.Effect<A, E>,
  batches: Generator<SampleBatch>
): Stream.Stream<SampleBatch, E> =>
  Stream.unfold(batches, (batches) =>
    Effect.andThen(
      Effect.yieldNow,
      attempt(() => {
        const next = batches.next()
        return next.done === true ? undefined : [next.value, batches] as const
      })
    ))

/** From the file beside it, else from the events. */
const descriptionOf = (place: string): TableDescription =>
  readTableMetadata(place) ?? describedByEvents(eventsBeside(place))

/** The events of the events file, whose last line may be incomplete. */
const eventsBeside = (place: string): ReadonlyArray<EventRow> => {
  const path = eventsFileOf(place)
  if (!fs.existsSync(path)) return []
  const lines = fs.readFileSync(path, "utf8").split("\n").slice(0, -1)
  return lines.map((line, at) => {
    const row = parseEventRow(line)
    if (row === null) {
      throw new DamagedContent({
        message: `line ${at + 1} of ${path} is not an event; move that file away to read without events`
      })
    }
    return row
  })
}

/** So many rows are looked at to find the types of columns that are not described. */
export const GUESS_ROWS = 256

/** The type of a column by its first values, of which those that are not texts are numbers. */
export const guessedType = (values: ColumnValues | undefined): TypedColumn["type"] => {
  if (values === undefined) return "any"
  if ("numbers" in values) return values.nulls.includes(0) ? "number" : "any"
  const texts = values.texts.filter((text) => text !== "")
  if (texts.length === 0) return "any"
  if (texts.every(isNumber)) return "number"
  return texts.every((text) => !Number.isNaN(timeOf(text))) ? "timestamp" : "text"
}
