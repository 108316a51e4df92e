/**
 * What was recorded, as a page sees it: read once from its beginning to its end into levels, and followed while it grows.
 *
 * Until all is read, samples from some places of the file are shown in place of what was not: a sketch. Where levels are too coarse,
 * the samples themselves are read again; which part of the file has which time is known since the first reading.
 */
import type { EventRow } from "@sampleline/core"
import {
  type ColumnValues,
  type ReadError,
  type Recorded,
  type RecordedColumn,
  runsOf,
  type SampleBatch
} from "@sampleline/files"
import { Effect, type Scope, Semaphore, Stream } from "effect"
import { decimalsOf } from "../LiveTable.ts"
import { bucketsOf, firstWidthOf, isFine, NOTHING, pointsOf, SAMPLES_IN_BUCKET, within } from "./answerRange.ts"
import type { LevelFile } from "./LevelFile.ts"
import { Levels } from "./Levels.ts"
import type { RangeAnswer, RangeQuery } from "./RangeAnswer.ts"
import { SeriesList } from "./SeriesList.ts"
import { Sketch } from "./Sketch.ts"
import {
  type Viewed,
  type ViewedDevice,
  viewedDevices,
  viewedEnd,
  viewedRun,
  type ViewedSeries,
  ViewError,
  type ViewState
} from "./Viewed.ts"

const TIME = "requested_at"
const DEVICE = "device"
const STATUS = "status"

/** How often a recording that grows is looked at. */
const FOLLOW_INTERVAL = "500 millis"
const EVENTS_INTERVAL = "2 seconds"
/** Samples that are read at once to be shown one by one. More are shown as buckets. */
const MOST_ROWS = 400_000

/** A part of the file, and from when to when its samples are. */
interface Piece {
  readonly from: number
  readonly to: number
  readonly since: number
  readonly until: number
}

/** What is kept with the levels, so that the next reading goes on where this one ended. */
interface Kept {
  /** The time of the first sample: another recording under the same name has another. */
  readonly firstAt: number
  readonly firstWidth: number
  readonly series: ReadonlyArray<ViewedSeries>
  readonly pieces: ReadonlyArray<Piece>
}

/** Begins to read. It goes on while the scope is open. */
export const make = Effect.fnUntraced(function*(options: {
  readonly recorded: Recorded
  readonly title: string
  readonly file: LevelFile
  /** Microseconds since the epoch. */
  readonly now: () => number
}): Effect.fn.Return<Viewed, ReadError, Scope.Scope> {
  const { file, now, recorded } = options
  const series = new SeriesList()
  const sketch = new Sketch()
  // All of them can take a while; the first tells who records what, and how often.
  let events: ReadonlyArray<EventRow> = yield* Stream.runCollect(Stream.take(recorded.events, 1))
  let runs = runsOf(events)
  let columns = yield* recorded.columns
  let latest = new Map<string, ViewedDevice>()
  let viewVersion = 0
  let pieces: Array<Piece> = []
  let extent: { from: number; until: number } | null = null
  /** The time up to which all is in the levels. */
  let readUntil = -Infinity
  let progress: number | null = 0
  let failure: string | null = null

  const unitOf = (device: string, field: string) => columns.find(({ name }) => name === field)?.units[device] ?? null
  const numberFields = () =>
    columns.filter(({ field, type }) => field !== null && type !== "text" && type !== "timestamp").map(({ name }) =>
      name
    )
  const wanted = () => [DEVICE, TIME, ...numberFields()]
  const seriesOf = (device: string, field: string) => {
    const before = series.all.length
    const id = series.idOf(device, field, unitOf(device, field))
    if (series.all.length > before) viewVersion++
    return id
  }

  const { end, first } = yield* recorded.extent
  const start = yield* firstBatch(recorded.samples({ from: first, columns: [DEVICE, TIME], batchRows: 1000 }))
  const rateHz = runs.length > 0 ? Math.max(...runs.map(({ rateHz }) => rateHz ?? 0)) || null : null
  const firstAt = start === null ? 0 : timesOf(start)[0]!
  const kept = keptIn(file, firstAt)
  const firstWidth = kept?.firstWidth ?? (rateHz === null && start !== null ? widthOf(start) : firstWidthOf(rateHz))
  const levels = new Levels(firstWidth, file.store)
  if (kept === null) file.clear()
  else {
    for (const { device, field, unit } of kept.series) series.idOf(device, field, unit)
    pieces = [...kept.pieces]
    progress = ((pieces.at(-1)?.to ?? first) - first) / Math.max(1, end - first)
    readUntil = pieces.reduce((until, piece) => Math.max(until, piece.until), -Infinity)
  }

  const widen = (since: number, until: number) => {
    if (extent === null) viewVersion++
    extent = { from: Math.min(extent?.from ?? since, since), until: Math.max(extent?.until ?? until, until) }
  }
  for (const { since, until } of pieces) widen(since, until)

  /** Adds a batch to the levels, and to what is known of the file. */
  const addBatch = (batch: SampleBatch) => {
    const times = timesOf(batch)
    let since = Infinity
    let until = -Infinity
    for (const at of times) {
      if (at < since) since = at
      if (at > until) until = at
    }
    for (const { device, field, nulls, numbers, rows } of seriesIn(batch, numberFields())) {
      const id = seriesOf(device, field)
      for (const row of rows) if (nulls[row] === 0) levels.add(id, times[row]!, numbers[row]!)
    }
    pieces.push({ from: batch.from, to: batch.to, since, until })
    readUntil = Math.max(readUntil, until)
    widen(since, until)
    file.commit()
  }

  /** Reads from where the last reading ended to what is the end now. Columns can come with another run. */
  const readOn = Effect.gen(function*() {
    const { end, first } = yield* recorded.extent
    const from = Math.max(first, pieces.at(-1)?.to ?? first)
    if (from >= end) return
    columns = yield* recorded.columns
    // What is written now is not whole if this process is killed.
    file.setNote(null)
    yield* recorded.samples({ from, to: end, columns: wanted() }).pipe(
      Stream.runForEach((batch) =>
        Effect.andThen(
          Effect.sync(() => {
            addBatch(batch)
            if (progress !== null) progress = Math.min(1, (batch.to - first) / Math.max(1, end - first))
          }),
          Effect.yieldNow
        )
      )
    )
    yield* readLatest
  })
  /** The devices as the last samples show them, with their texts. */
  const readLatest = Effect.suspend(() => {
    const last = pieces.at(-1)
    return last === undefined
      ? Effect.void
      : Stream.runForEach(recorded.samples({ from: last.from, to: last.to }), (batch) =>
        Effect.sync(() => {
          latest = latestIn(batch, columns, latest)
        }))
  })
  const readEvents = Effect.gen(function*() {
    const found = yield* Stream.runCollect(recorded.events)
    if (found.length === events.length) return
    events = found
    runs = runsOf(events)
    viewVersion++
  })
  const follow = Effect.forever(Effect.andThen(Effect.sleep(FOLLOW_INTERVAL), readOn))
  const followEvents = Effect.forever(Effect.andThen(Effect.sleep(EVENTS_INTERVAL), readEvents))

  /** Some samples from all over the file. */
  const drawSketch = Effect.gen(function*() {
    const { end, first } = yield* recorded.extent
    for (const part of Sketch.places) {
      const from = first + Math.floor(part * (end - first))
      const batch = yield* firstBatch(recorded.samples({ from, columns: wanted(), batchRows: Sketch.rows }))
      if (batch === null) continue
      const times = timesOf(batch)
      for (const { device, field, nulls, numbers, rows } of seriesIn(batch, numberFields())) {
        sketch.add(seriesOf(device, field), times, numbers, nulls, rows)
      }
      for (const at of times) widen(at, at)
      yield* Effect.yieldNow
    }
  })

  const reading = Effect.gen(function*() {
    yield* pieces.length === 0 ? drawSketch : readLatest
    yield* Effect.all([readEvents, readOn], { concurrency: "unbounded", discard: true })
    progress = null
    sketch.clear()
    return yield* Effect.raceFirst(follow, followEvents)
  }).pipe(Effect.catch(({ message }) =>
    Effect.sync(() => {
      failure = message
      progress = null
    })
  ))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (progress !== null || failure !== null) return
      levels.save()
      file.setNote(JSON.stringify({ firstAt, firstWidth, series: series.all, pieces } satisfies Kept))
      file.commit()
    })
  )
  yield* Effect.forkScoped(reading)

  const one = Semaphore.makeUnsafe(1)
  /** The samples themselves; null if they are too many, or were not read yet. */
  const closely = Effect.fnUntraced(function*(query: RangeQuery) {
    const touched = pieces.filter(({ since, until }) => since <= query.until && until >= query.from)
    if (touched.length === 0) return null
    const from = Math.min(...touched.map((piece) => piece.from))
    const to = Math.max(...touched.map((piece) => piece.to))
    const found = new Map(query.series.map((id) => [id, { times: [] as Array<number>, values: [] as Array<number> }]))
    const fields = new Set(query.series.map((id) => series.all[id]!.field))
    let rows = 0
    yield* recorded.samples({ from, to, columns: [DEVICE, TIME, ...fields] }).pipe(
      Stream.takeWhile(() => rows <= MOST_ROWS),
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          rows += batch.rows
          const times = timesOf(batch)
          for (const { device, field, nulls, numbers, rows } of seriesIn(batch, fields)) {
            const to = found.get(seriesOf(device, field))
            if (to === undefined) continue
            for (const row of rows) {
              const at = times[row]!
              if (at < query.from || at > query.until) continue
              to.times.push(at)
              to.values.push(nulls[row] === 1 ? NaN : numbers[row]!)
            }
          }
        })
      )
    )
    return rows > MOST_ROWS ? null : pointsOf(query, (id) => {
      const { times, values } = found.get(id)!
      return { times: Float64Array.from(times), values: Float64Array.from(values) }
    })
  }, (reading) => one.withPermit(reading))

  const range = Effect.fnUntraced(function*(query: RangeQuery): Effect.fn.Return<RangeAnswer, ReadError> {
    const asked = within({ ...query, series: query.series.filter((id) => id < series.all.length) }, extent)
    if (asked === null) return NOTHING
    const isRead = progress === null || asked.until <= readUntil
    const points = isRead && isFine(levels, asked) ? yield* closely(asked) : null
    if (points !== null) return points
    const buckets = bucketsOf(levels, asked, 0)
    return isRead ? buckets : sketch.over(buckets, readUntil)
  })

  return {
    describe: () => ({
      title: options.title,
      place: recorded.place,
      isLive: false,
      rateHz: rateHz ?? SAMPLES_IN_BUCKET * 1_000_000 / firstWidth,
      from: extent?.from ?? null,
      until: extent?.until ?? null,
      runs: runs.map(viewedRun),
      devices: viewedDevices(runs),
      series: series.all
    }),
    state: (): ViewState => ({
      now: now(),
      viewVersion,
      eventCount: events.length,
      until: extent?.until ?? null,
      progress,
      ended: viewedEnd(runs.at(-1)),
      devices: [...latest.values()],
      alarms: [],
      outputs: [],
      log: failure === null ? [] : [{ level: "error", text: failure }]
    }),
    events: () => events,
    range: (query) => Effect.mapError(range(query), ({ message }) => new ViewError({ detail: message })),
    mark: null
  }
})

const keptIn = (file: LevelFile, firstAt: number): Kept | null => {
  const note = file.note()
  if (note === null) return null
  const kept: Kept = JSON.parse(note)
  return kept.firstAt === firstAt ? kept : null
}

const firstBatch = (batches: Stream.Stream<SampleBatch, ReadError>): Effect.Effect<SampleBatch | null, ReadError> =>
  Effect.map(Stream.runCollect(Stream.take(batches, 1)), ([batch]) => batch ?? null)

const NO_TIMES = new Float64Array()

const timesOf = ({ columns }: SampleBatch): Float64Array => {
  const times = columns.get(TIME)
  return times !== undefined && "numbers" in times ? times.numbers : NO_TIMES
}

/** The rows of each device. */
const devicesIn = ({ columns, rows }: SampleBatch): ReadonlyMap<string, ReadonlyArray<number>> => {
  const devices = new Map<string, Array<number>>()
  const column = columns.get(DEVICE)
  if (column === undefined || !("places" in column)) return devices
  const rowsOf: Array<Array<number> | undefined> = []
  for (let row = 0; row < rows; row++) {
    const place = column.places[row]!
    if (place < 0) continue
    let found = rowsOf[place]
    if (found === undefined) {
      const name = column.texts[place]!
      found = devices.get(name) ?? []
      devices.set(name, rowsOf[place] = found)
    }
    found.push(row)
  }
  return devices
}

/** The values of a field of a device in a batch, in some of its rows. */
interface SeriesValues {
  readonly device: string
  readonly field: string
  readonly rows: ReadonlyArray<number>
  readonly numbers: Float64Array
  readonly nulls: Uint8Array
}

/** The series of a batch that have a value in it. */
const seriesIn = function*(batch: SampleBatch, fields: Iterable<string>): Generator<SeriesValues> {
  for (const [device, rows] of devicesIn(batch)) {
    for (const field of fields) {
      const values = batch.columns.get(field)
      if (values === undefined || !("numbers" in values)) continue
      const { nulls, numbers } = values
      if (rows.some((row) => nulls[row] === 0)) yield { device, field, rows, numbers, nulls }
    }
  }
}

/** As long as some samples of the device that comes most often take, where no rate is known. */
const widthOf = (batch: SampleBatch): number => {
  const times = timesOf(batch)
  const most = [...devicesIn(batch).values()].toSorted((a, b) => b.length - a.length)[0] ?? []
  const steps = most.slice(1).map((row, n) => times[row]! - times[most[n]!]!).toSorted((a, b) => a - b)
  const step = steps[Math.floor(steps.length / 2)]
  return firstWidthOf(step === undefined || step <= 0 ? null : 1_000_000 / step)
}

/** The devices as the last samples of a batch show them. */
const latestIn = (
  batch: SampleBatch,
  columns: ReadonlyArray<RecordedColumn>,
  before: ReadonlyMap<string, ViewedDevice>
): Map<string, ViewedDevice> => {
  const latest = new Map(before)
  for (const [device, rows] of devicesIn(batch)) {
    const valueOf = (column: string) => valueAt(batch.columns.get(column), rows.at(-1)!)
    const fields = columns.filter(({ field }) => field !== null).map(({ name, units }) => {
      const value = valueOf(name)
      return { name, unit: units[device] ?? null, value, decimals: decimalsOf(value) }
    })
    const status = valueOf(STATUS)
    latest.set(device, {
      name: device,
      state: "recorded",
      error: null,
      ageSeconds: null,
      status: typeof status === "string" && status !== "" ? status.split(",") : [],
      fields: fields.filter(({ value }) => value !== null)
    })
  }
  return latest
}

const valueAt = (values: ColumnValues | undefined, row: number): number | string | null => {
  if (values === undefined) return null
  if ("texts" in values) return values.texts[values.places[row]!] ?? null
  return values.nulls[row] === 1 ? null : values.numbers[row]!
}
