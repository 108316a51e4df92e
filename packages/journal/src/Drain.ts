/**
 * A drain: the way of one output from the journal, journal stream -> `Stream.groupedWithin` -> `Sink.forEach`.
 *
 * All that can go wrong with an output is handled here, once. An output that fails in passing is opened again where it stands, with
 * growing pauses. One that fails for good stops, and the others go on.
 */
import {
  type RunEvent,
  Sample,
  SampleClock,
  type SinkBatchError,
  type SinkPlace,
  type SinkShape,
  writeInOrder
} from "@sampleline/core"
import { Array, Duration, Effect, Random, Sink, Stream } from "effect"
import type { JournalError } from "./JournalError.ts"
import type { Kept } from "./Ledger.ts"
import type { Item } from "./Packing.ts"
import { sourceFrom, sourceJson } from "./Segment.ts"
import type { Store } from "./Store.ts"

export interface DrainOptions {
  readonly batchSize: number
  readonly flushInterval: Duration.Duration
}

/**
 * Batches that wait for an output are written as one, up to this many. A sink such as SQLite's holds up the ticks while it writes:
 * of the default size, so many take it a few milliseconds.
 */
const TOGETHER = 16

/** How often in a flush interval the journal is read at most. To be woken by each tick costs more than to write its samples. */
const READS = 20

/** The longest time between two such reads: at the end of the run it is waited for. */
const LONGEST_READ_PAUSE = Duration.millis(250)

/** How often what an output has written is forced to disk, and its place kept. */
const KEEP_INTERVAL = "1 second"

/** One output of a journal, and how far it is. */
export class Output {
  readonly name: string
  readonly sink: SinkShape
  /** The position behind the last item that was written. */
  through = 0
  /** Where it stood when it was opened for the first time, and for the last time. */
  private begunAt: number | undefined
  lastOpenedAt = 0
  /** `waiting`: it fails in passing. `stopped`: it has failed for good. */
  state: "writing" | "waiting" | "stopped" = "writing"
  /** The position up to which it was told what is lost. */
  lostUpTo = 0
  /** Failures since it was last written to. */
  failures = 0
  private waiters: ReadonlyArray<() => void> = []

  constructor(name: string, sink: SinkShape) {
    this.name = name
    this.sink = sink
  }

  /** How many items were written. */
  get written(): number {
    return this.through - (this.begunAt ?? this.through)
  }

  get isOpened(): boolean {
    return this.begunAt !== undefined
  }

  openedAt(position: number): void {
    this.begunAt ??= position
    this.lastOpenedAt = position
    this.through = position
  }

  /** Completes when the output is at a position, or has stopped. */
  reached(position: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const check = () => this.through >= position || this.state === "stopped" ? resume(Effect.void) : undefined
      this.waiters = [...this.waiters, check]
      check()
      return Effect.sync(() => this.waiters = this.waiters.filter((other) => other !== check))
    })
  }

  changed(): void {
    for (const check of this.waiters) check()
  }
}

/** The outputs of a sink, by names that are the same in every run of a program. */
export const outputsOf = (sink: SinkShape): ReadonlyArray<Output> => {
  const counts = new Map<string, number>()
  return sink.parts().map((part) => {
    const name = part.target === "" ? part.name : `${part.name} ${part.target}`
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return new Output(count === 1 ? name : `${name} (${count})`, part)
  })
}

/** Writes the journal to an output, until it is sealed and all is written, or the output fails for good. */
export const drain = (store: Store, output: Output, options: DrainOptions): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { sink } = output
    const keeping = placeKeeper(store, output)
    const readPause = Duration.min(Duration.divideUnsafe(options.flushInterval, READS), LONGEST_READ_PAUSE)

    const write = Effect.fnUntraced(function*(items: ReadonlyArray<Item>) {
      if (!Array.isReadonlyArrayNonEmpty(items)) return
      yield* keeping.firstBatch(items)
      const through = output.through + items.length
      let place: SinkPlace = { through, token: "" }
      if (sink.resumable === undefined) {
        yield* writeInOrder(sink, items, () => {})
        yield* keeping.now(place)
      } else {
        place = yield* sink.resumable.writeAt(items, through, (place) => Effect.orDie(keeping.now(place)))
        keeping.later(place)
      }
      output.through = through
      // What is only in memory may fail again.
      if (place.through > output.lastOpenedAt) yield* works(store, output)
      output.changed()
    })

    const toTheEnd = Effect.gen(function*() {
      yield* store.begun
      if (store.end() === 0) return
      yield* keeping.opened
      while (!(store.isSealed() && output.through >= store.end())) {
        yield* store.read(output.through, readPause).pipe(
          Stream.groupedWithin(options.batchSize, options.flushInterval),
          Stream.buffer({ capacity: TOGETHER }),
          Stream.mapArray((batches) => Array.of(batches.flat())),
          Stream.run(Sink.forEach(write))
        )
        yield* skipLost(store, output)
      }
    })

    if (sink.resumable === undefined && sink.isTransient !== true) {
      yield* Effect.logInfo(
        `${output.name}: after a crash it may get some samples again, for it cannot tell how far it is`
      )
    }
    const keepingPlaces = Effect.forever(Effect.andThen(Effect.sleep(KEEP_INTERVAL), keeping.sync))
    yield* Effect.raceFirst(toTheEnd, keepingPlaces).pipe(
      Effect.andThen(keeping.finish),
      Effect.tapError((failure) => failing(store, output, failure)),
      Effect.retry({
        while: (failure) => isPassing(failure, sink) ? Effect.as(pause(store, output), true) : false
      }),
      Effect.catch((failure) => isOutputs(failure) ? Effect.void : unreadable(output, failure)),
      // What was written is not written again.
      Effect.onInterrupt(() => Effect.ignore(keeping.sync))
    )
  })

const FIRST_PAUSE = 100
const LONGEST_PAUSE = 10_000

/** Waits after a failure: longer each time, and not until the same moment as others. At the end of the run it is tried at once. */
const pause = Effect.fnUntraced(function*(store: Store, output: Output) {
  const millis = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** output.failures++) * (0.5 + (yield* Random.next) / 2)
  yield* Effect.timeoutOption(store.flushed, millis)
})

/** Keeps the places of an output in the journal. */
const placeKeeper = (store: Store, output: Output) => {
  const { name, sink: { isTransient = false, resumable } } = output
  let place: SinkPlace | null = store.kept(name).place
  const keep = (change: Partial<Kept>) =>
    isTransient ? Effect.void : Effect.suspend(() => store.keep(name, { ...store.kept(name), ...change }))
  /** Keeps what the output is changed by, and forces it to disk before: a power cut must not leave the output without it. */
  const keepBefore = (change: Partial<Kept>) =>
    isTransient ? Effect.void : Effect.andThen(keep(change), store.syncPlaces)
  /** Keeps the place that is safe on disk. */
  const sync = Effect.suspend(() => {
    const next = place
    if (next === null || next === store.kept(name).place) return Effect.void
    return Effect.andThen(resumable?.sync ?? Effect.void, keep({ place: next }))
  })
  /** A later run may have appended to it, or its file may have been moved away. */
  const isFinished = () => {
    const { isFinished = false, place } = store.kept(name)
    return isFinished && place !== null && place.through >= store.end()
  }
  return {
    /** Where the output stands, as it says itself. */
    opened: Effect.gen(function*() {
      const { first, firstAt, place: safe } = store.kept(name)
      if (isTransient) return output.openedAt(output.through)
      if (resumable === undefined) return output.openedAt(place?.through ?? 0)
      // What was written since the last place that is safe may be gone, as with a disk that was away. It is written again.
      place = yield* resumable.open({
        journal: store.id,
        place: safe,
        first: first && samplesOf(store, first),
        firstAt
      }).pipe(
        Effect.catch((failure) => isFinished() ? Effect.succeed(store.kept(name).place!) : Effect.fail(failure))
      )
      // Else the journal could know of more than the output.
      yield* resumable.sync
      const more = output.isOpened ? 0 : place.through - store.found
      output.openedAt(more > 0 ? yield* firstUnknown(store) : place.through)
      if (more > 0) {
        yield* Effect.logError(`${name}: it has ${more} samples and events that the journal ${store.path} has lost`)
      }
      yield* keepBefore({ place })
    }),
    firstBatch: (items: Array.NonEmptyReadonlyArray<Item>) =>
      store.kept(name).first === null && items.some((item) => item instanceof Sample)
        ? keepBefore({ first: sourcesOf(items), firstAt: output.through })
        : Effect.void,
    now: (next: SinkPlace) => {
      place = next
      return keep({ place })
    },
    later: (next: SinkPlace) => {
      place = next
    },
    sync,
    finish: Effect.suspend(() => {
      if (resumable === undefined || place === null || isFinished()) return Effect.void
      return Effect.flatMap(resumable.finish(output.through), (last) => {
        place = last
        return Effect.andThen(sync, keep({ isFinished: true }))
      })
    })
  }
}

/**
 * The first position of which an output from before knows nothing. A power cut can take from the journal what an output has. The end
 * of the run then has the position of an item that is lost.
 */
const firstUnknown = Effect.fnUntraced(function*(store: Store) {
  const last = yield* store.at(store.found - 1)
  return last !== null && !(last instanceof Sample) && last._tag === "RunEnded" ? store.found - 1 : store.found
})

/** The sources of a batch, in the order in which they come. */
const sourcesOf = (items: ReadonlyArray<Item>) =>
  Array.dedupeWith(
    items.filter((item) => item instanceof Sample),
    (a, b) => a.device === b.device && a.unitId === b.unitId && a.frame.format === b.frame.format
  ).map(({ device, frame: { format }, unitId }) => sourceJson({ device, unitId, format }))

/** Samples that have these sources and no values. */
const samplesOf = (store: Store, sources: NonNullable<Kept["first"]>) => {
  const samples = sources.map((source) => Sample.blank(store.run()!, sourceFrom(source)))
  return Array.isReadonlyArrayNonEmpty(samples) ? samples : null
}

/** Items that are lost are told, and left out. */
const skipLost = Effect.fnUntraced(function*(store: Store, output: Output) {
  const next = yield* store.nextFrom(output.through)
  if (next === output.through) return
  // An output that is opened again stands before what was told already.
  const count = next - Math.max(output.through, output.lostUpTo)
  output.through = next
  output.changed()
  if (count <= 0) return
  output.lostUpTo = next
  const { sink, target } = output.sink.report()[0]!
  const detail = `the journal no longer has ${count} samples and events that the output lacked`
  yield* Effect.logError(`${output.name}: ${detail}`)
  yield* tell(store, { _tag: "OutputGap", sink, target, count, detail })
})

type DrainFailure = SinkBatchError | JournalError

const isOutputs = (failure: DrainFailure): failure is SinkBatchError => failure._tag !== "JournalError"

/** A reader that has closed its pipe does not come back. */
const isPassing = (failure: DrainFailure, { isTransient }: SinkShape): boolean =>
  failure._tag === "SinkWriteError" && failure.isRetryable
  && !(isTransient === true && failure.reason === "ConnectionLost")

const failing = Effect.fnUntraced(function*(store: Store, output: Output, failure: DrainFailure) {
  if (!isOutputs(failure)) return
  const passes = isPassing(failure, output.sink)
  const before = output.state
  output.state = passes ? "waiting" : "stopped"
  output.changed()
  if (before === output.state) return
  yield* passes
    ? Effect.logWarning(`${failure.message}; its samples wait in the journal ${store.path}`)
    : output.sink.isTransient === true
    ? Effect.logError(`${failure.message}; the other outputs go on without it`)
    : Effect.logError(`${failure.message}; its samples stay in the journal ${store.path}`)
  const { sink, target } = failure
  if (before === "writing") yield* tell(store, { _tag: "OutputFailing", sink, target, detail: failure.detail })
})

/** The journal itself cannot be read or written. */
const unreadable = Effect.fnUntraced(function*(output: Output, failure: JournalError) {
  output.state = "stopped"
  output.changed()
  yield* Effect.logError(`${output.name}: ${failure.message}`)
})

const works = Effect.fnUntraced(function*(store: Store, output: Output) {
  if (output.state !== "waiting") return
  output.state = "writing"
  output.failures = 0
  const { sink, target } = output.sink.report()[0]!
  yield* Effect.logInfo(`${output.name}: it accepts samples again`)
  yield* tell(store, { _tag: "OutputBack", sink, target })
})

type Told =
  | Omit<Extract<RunEvent, { _tag: "OutputFailing" }>, "runId" | "at">
  | Omit<Extract<RunEvent, { _tag: "OutputBack" }>, "runId" | "at">
  | Omit<Extract<RunEvent, { _tag: "OutputGap" }>, "runId" | "at">

/** An event of the journal's run, while it goes on. */
const tell = Effect.fnUntraced(function*(store: Store, event: Told) {
  const run = store.run()
  if (run === null || store.isSealed()) return
  const { epochMicros } = yield* SampleClock.current
  yield* store.append([{ ...event, runId: run.id, at: epochMicros() }])
})
