/**
 * Journals: folders of segments. Positions are item numbers, and events are items too.
 *
 * A journal is read where it is, also while a recorder appends to it and after a kill. Its oldest segments are removed when all outputs have
 * them, so its first position may be any. Appends that are damaged are left out, with a warning.
 */
import { type EventRow, eventToRow, type Run, Sample, SchemaLock, startEvent } from "@sampleline/core"
import type { JournalError } from "@sampleline/journal"
import * as Reading from "@sampleline/journal/Reading"
import { Effect, Option, type Scope, Stream } from "effect"
import { recordedColumns, recordedType } from "./internal/Columns.ts"
import { ReadError } from "./ReadError.ts"
import {
  BATCH_ROWS,
  type Extent,
  type Recorded,
  type RecordedColumn,
  type SampleBatch,
  type SampleOptions
} from "./Recorded.ts"

/** Opens a folder that is a journal. */
export const open = (folder: string): Effect.Effect<Recorded, ReadError, Scope.Scope> =>
  Effect.mapError(
    Effect.map(Reading.open(folder), (reading): Recorded => {
      const contents = contentsOf(reading)
      const events = eventsOf(reading, contents)
      return {
        format: "journal",
        place: folder,
        columns: Effect.mapBoth(contents, { onFailure: readErrorOf, onSuccess: ({ columns }) => columns }),
        events: Stream.mapError(events, readErrorOf),
        extent: Effect.mapError(extentOf(reading), readErrorOf),
        samples: (options = {}) => Stream.mapError(samplesIn(reading, contents, options), readErrorOf)
      }
    }),
    readErrorOf
  )

/** What the items of a journal have in common, as of now. */
interface Contents {
  readonly run: Run | undefined
  readonly sources: ReadonlyArray<Reading.Source>
  readonly columns: ReadonlyArray<RecordedColumn>
  readonly positionOf: Reading.PositionOf
}

/** Segments before the last one never change, and are looked at once. */
const contentsOf = (reading: Reading.Reading): Effect.Effect<Contents, JournalError> => {
  const lookedAt = new Set<number>()
  let run: Run | undefined
  const sources = new Map<string, Reading.Source>()
  const contents = () => ({ run, sources: [...sources.values()], ...columnsOf(run, [...sources.values()]) })
  let last = contents()
  return Effect.gen(function*() {
    const firsts = yield* reading.segments
    const known = sources.size
    for (const first of firsts) {
      if (lookedAt.has(first)) continue
      const found = yield* reading.read(first, (segment) => segment.describe())
      run ??= found?.run
      // They come again in each segment.
      for (const source of found?.sources.values() ?? []) sources.set(keyOf(source), source)
      if (first !== firsts.at(-1)) lookedAt.add(first)
      yield* Effect.yieldNow
    }
    if (last.run !== run || sources.size > known) last = contents()
    return last
  })
}

const keyOf = ({ device, format, unitId }: Reading.Source): string => JSON.stringify([device, unitId, format.fields])

/** The columns as a sink would name them. */
const columnsOf = (
  run: Run | undefined,
  seen: ReadonlyArray<Reading.Source>
): Pick<Contents, "columns" | "positionOf"> => {
  const expected = (run?.devices ?? []).flatMap(({ format, name, unitId }) =>
    format === null ? [] : [{ device: name, unitId, format }]
  )
  const sources = [...expected, ...seen]
  if (sources.length === 0) return { columns: [], positionOf: () => undefined }
  const lock = SchemaLock.fromFormats(sources.map(({ format }) => format), { rowIds: true })
  return {
    columns: recordedColumns(
      lock.columns.map(({ name, type }) => ({ name, type: recordedType(type) })),
      sources.map(({ device, format }) => ({
        device,
        columns: lock.fields(format).map(({ column, field: { unit } }) => ({ column, unit }))
      }))
    ),
    positionOf: ({ format }, column) => {
      const found = lock.fields(format).find((field) => field.column === column)
      return found === undefined ? undefined : format.fields.indexOf(found.field)
    }
  }
}

const extentOf = Effect.fnUntraced(function*(reading: Reading.Reading): Effect.fn.Return<Extent, JournalError> {
  const firsts = yield* reading.segments
  const [first = 0] = firsts
  const last = firsts.at(-1) ?? 0
  const end = firsts.length === 0 ? null : yield* reading.read(last, (segment) => segment.end())
  return { first, end: end ?? last }
})

/** How many items are looked through for events before other work goes on. */
const EVENT_PIECE = 1 << 14

/** The events, segment by segment. What was found is kept: in a day there are millions of items, and few events. */
const eventsOf = (
  reading: Reading.Reading,
  contents: Effect.Effect<Contents, JournalError>
): Stream.Stream<EventRow, JournalError> => {
  const found = new Map<number, { readonly through: number; readonly events: ReadonlyArray<EventRow> }>()
  const inSegment = Effect.fnUntraced(function*(first: number) {
    let { events, through } = found.get(first) ?? { through: first, events: [] }
    const end = (yield* reading.read(first, (segment) => segment.end())) ?? through
    while (through < end) {
      const next = Math.min(end, through + EVENT_PIECE)
      const added = yield* reading.read(first, (segment) => segment.events(through, next))
      events = [...events, ...(added ?? []).map(({ event }) => eventToRow(event))]
      through = next
      yield* Effect.yieldNow
    }
    found.set(first, { through, events })
    return events
  })
  return Stream.unwrap(Effect.gen(function*() {
    const firsts = [...new Set([...found.keys(), ...yield* reading.segments])]
    const { run, sources } = yield* contents
    const begin = firsts[0] === undefined ? [] : yield* inSegment(firsts[0])
    // A run's start is its first event.
    const hasStart = run === undefined
      || begin.some(({ event, run_id }) => event === "RunStarted" && run_id === run.id)
    return Stream.fromIterable(hasStart ? [] : [startOf(run, sources)]).pipe(
      Stream.concat(Stream.flattenIterable(Stream.mapEffect(Stream.fromIterable(firsts), inSegment)))
    )
  }))
}

/** The beginning of a run whose own event went with an old segment. The version of its recorder is not known. */
const startOf = (run: Run, sources: ReadonlyArray<Reading.Source>): EventRow => {
  const row = eventToRow(startEvent(run, sources.map((source) => Sample.blank(run, source))))
  return { ...row, data: { ...row.data, version: null } }
}

const samplesIn = (
  reading: Reading.Reading,
  contents: Effect.Effect<Contents, JournalError>,
  { batchRows = BATCH_ROWS, columns: names, from = 0, to = Infinity }: SampleOptions
): Stream.Stream<SampleBatch, JournalError> =>
  Stream.unwrap(Effect.gen(function*() {
    const firsts = yield* reading.segments
    const { columns, positionOf } = yield* contents
    const end = Math.min(to, (yield* extentOf(reading)).end)
    const packed = new Reading.PackedColumns(
      columns.filter(({ name }) => names === undefined || names.includes(name)).map(({ field, name, type }) => ({
        name,
        type: type === "timestamp" ? "number" : type,
        isField: field !== null
      })),
      positionOf,
      batchRows
    )
    const begin = Math.max(0, firsts.findLastIndex((first) => first <= from))
    return Stream.fromIterable(firsts.slice(begin)).pipe(
      Stream.takeWhile((first) => first < end),
      Stream.flatMap((first) =>
        Stream.paginate(
          Math.max(Math.ceil(from), first),
          Effect.fnUntraced(function*(at: number) {
            const page = yield* reading.read(first, (segment) => pageOf(packed, segment, at, end, batchRows))
            yield* Effect.yieldNow
            // It was removed meanwhile.
            if (page === null) return [[], Option.none()]
            if (page.damaged > 0) {
              yield* Effect.logWarning(
                `journal ${reading.folder}: ${page.damaged} items from position ${at} on are damaged and left out`
              )
            }
            return [page.batches, Option.fromNullOr(page.next)]
          })
        )
      )
    )
  }))

interface Page {
  /** One batch, or none. */
  readonly batches: ReadonlyArray<SampleBatch>
  /** Items that cannot be read. */
  readonly damaged: number
  /** Where the next page begins; null if there is none. */
  readonly next: number | null
}

/** A batch of a segment's samples from a position on, up to another one. */
const pageOf = (
  packed: Reading.PackedColumns,
  segment: Reading.ReadSegment,
  from: number,
  to: number,
  batchRows: number
): Page => {
  const appends = from < to ? segment.appends(from, Math.min(to, from + batchRows)) : []
  const context = { runId: segment.runId(), sourceOf: segment.sourceOf }
  let at = from
  let damaged = 0
  let firstSample = from
  for (const { count, data, first } of appends) {
    const begin = Math.max(0, at - first)
    const end = Math.min(count, to - first)
    const isFirst = packed.rows === 0
    const reached = data === null ? null : packed.add(data, begin, end, context)
    if (isFirst && packed.rows > 0) firstSample = first + packed.firstItem
    if (reached === null) damaged += Math.max(0, end - begin)
    at = Math.max(at, first + (reached ?? end))
    if (reached !== null && reached < end) break
  }
  const { rows } = packed
  return {
    batches: rows === 0 ? [] : [{ from: firstSample, to: at, rows, columns: packed.take() }],
    damaged,
    next: appends.length === 0 || at >= to ? null : at
  }
}

const REASONS: { readonly [reason in JournalError["reason"]]?: ReadError["reason"] } = {
  Missing: "NotFound",
  Damaged: "Damaged"
}

const readErrorOf = (cause: JournalError): ReadError =>
  new ReadError({ place: cause.path, reason: REASONS[cause.reason] ?? "Unreadable", detail: cause.detail, cause })
