/**
 * A recording that loses no sample: record -> journal -> one drain for each output.
 *
 * The journal on disk is the truth, and outputs are projections of it. The poll loop never waits for an output. An output that
 * fails or falls behind gets what it lacks later, from `resume` if need be. Accepted means: in the journal.
 */
import {
  type AcquisitionSummary,
  inPieces,
  type InvalidOptionError,
  type PipeOptions,
  positiveDuration,
  positiveInt,
  Recording,
  type Run,
  type RunEvent,
  Sample,
  SampleSink,
  type SinkBatchError,
  SinkWriteError,
  type Tick
} from "@sampleline/core"
import { Array, Duration, Effect, Fiber, References, type Scope, Sink, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { drain, type DrainOptions, type Output, outputsOf } from "./Drain.ts"
import { JournalError } from "./JournalError.ts"
import { endKilledRun } from "./KilledRun.ts"
import type { Item } from "./Packing.ts"
import * as Store from "./Store.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface JournalOptions extends PipeOptions {
  /** The journal's folder, which must not exist. Default: `sampleline.journal` in the working directory. */
  readonly path?: string | undefined
  /**
   * When what is accepted is forced to disk, so that it survives a power cut. `always`: before it is accepted. `interval`: within
   * a second. `never`: the operating system decides. Default: `interval`.
   */
  readonly fsync?: "never" | "interval" | "always" | undefined
  /** How long samples wait for a full disk before the run fails. Default: 1 minute. */
  readonly diskWait?: Duration.Input | undefined
  /** How large the journal may grow while an output lacks samples, in bytes. Default: 10 GiB. */
  readonly maxBytes?: number | undefined
  /** What happens at that bound: the run ends with an error, or the oldest samples are dropped. Default: `stop`. */
  readonly whenFull?: "stop" | "drop-oldest" | undefined
  /** What is kept with the journal, for a program that resumes it. It must hold no secret. Default: nothing. */
  readonly settings?: string | undefined
  /** Filled while the run goes on. Default: none. */
  readonly status?: JournalStatus | undefined
  /** Run when the journal's folder is made. Its scope closes before the folder goes or is left. Default: nothing. */
  readonly onOpened?: Effect.Effect<void, never, Scope.Scope> | undefined
  /** Called when samples are accepted, with their number in this run so far. */
  readonly onAccepted?: ((samples: number) => void) | undefined
}

/**
 * How far the outputs of a journal are. Give one to `pipeToSink` or `resume` to read it meanwhile.
 *
 * @since 0.1.0
 * @category models
 */
export class JournalStatus {
  private read: () => ReadonlyArray<OutputStatus> = () => []

  /** One for each output, as of now. */
  get outputs(): ReadonlyArray<OutputStatus> {
    return this.read()
  }

  /** `pipeToSink` and `resume` call this. */
  watch(read: () => ReadonlyArray<OutputStatus>): void {
    this.read = read
  }
}

/**
 * How far an output is.
 *
 * @since 0.1.0
 * @category models
 */
export interface OutputStatus {
  /** The same in every run. */
  readonly name: string
  /** Where its samples are, as in a `SinkReport`. */
  readonly target: string
  /** `waiting`: it fails in passing and is tried again. `stopped`: it has failed for good. */
  readonly state: "writing" | "waiting" | "stopped"
  /** Samples and events that it has, and that it lacks. */
  readonly written: number
  readonly behind: number
}

/**
 * Writes the samples of a stream of ticks to a journal, and from there to each output behind the `SampleSink`. Use it instead of
 * `pipeToSink`: it has the same options and gives the same summary.
 *
 * The journal is removed when all outputs have everything. Else it stays, the run fails, and `resume` finishes the outputs.
 *
 * @since 0.1.0
 * @category destructors
 */
export const pipeToSink = (options: JournalOptions = {}) =>
<E, R>(
  ticks: Stream.Stream<Tick, E, R>
): Effect.Effect<AcquisitionSummary, E | SinkBatchError | InvalidOptionError | JournalError, R | SampleSink> =>
  Effect.gen(function*() {
    const settings = yield* validate(options)
    const sink = yield* SampleSink
    const store = yield* Store.create(settings.store, {
      id: SecureRandom.uuidV7Unsafe(),
      settings: options.settings ?? null
    })
    const outputs = outputsOf(sink)
    options.status?.watch(() => statusOf(store, outputs))
    let accepted = 0
    const append = (items: Array.NonEmptyReadonlyArray<Item>) =>
      Effect.map(store.append(items), () => {
        for (const item of items) if (item instanceof Sample) accepted++
        options.onAccepted?.(accepted)
      })

    const recording = yield* Recording.make<E>(sink, { ...options, capacity: settings.drain.batchSize })
    if (options.onOpened !== undefined) yield* options.onOpened
    const journalling = ticks.pipe(
      recording.untilEnded,
      Stream.map(recording.itemsOf),
      Stream.filter(Array.isReadonlyArrayNonEmpty),
      Stream.mapArray(Array.flatten),
      inPieces(LARGEST_APPEND),
      Stream.run(Sink.forEachArray(append))
    )
    const drains = yield* drainAll(store, outputs, settings.drain)
    let left: SinkBatchError | null = null
    const ending = Effect.gen(function*() {
      yield* endOutputs(store, outputs, drains, recording.lastEvents, settings.stopTimeout)
      left = yield* leftOutputs(store, outputs)
    })
    const tellLost = Effect.suspend(() => {
      const lost = recording.unaccepted(accepted)
      if (lost === 0) return Effect.void
      return Effect.logError(
        `journal ${store.path}: the last ${lost} samples that were polled did not get into it, and are lost`
      )
    })
    yield* recording.toItsEnd(journalling, () => accepted).pipe(
      Effect.tapError((error) => error instanceof JournalError ? tellLost : Effect.void),
      Effect.onExit(() => ending)
    )
    if (left !== null) return yield* Effect.fail<SinkBatchError>(left)
    return yield* recording.summary
  }).pipe(Effect.scoped, forgetting, Effect.withSpan("sampleline.Journal.pipeToSink"))

/**
 * Brings every output behind the `SampleSink` up to the end of a journal that a run has left, and removes the journal when none of
 * its outputs lacks anything. The sinks must append. An output that the run did not have gets everything that the journal holds.
 *
 * @since 0.1.0
 * @category combinators
 */
export const resume = (
  options: Pick<JournalOptions, "path" | "batchSize" | "flushInterval" | "status"> = {}
): Effect.Effect<ResumeReport, SinkBatchError | InvalidOptionError | JournalError, SampleSink> =>
  Effect.gen(function*() {
    const settings = yield* validate(options)
    const sink = yield* SampleSink
    const store = yield* Store.open(settings.store)
    const outputs = outputsOf(sink)
    options.status?.watch(() => statusOf(store, outputs))
    sink.began()
    yield* endKilledRun(store)
    yield* store.seal
    const drains = yield* drainAll(store, outputs, settings.drain)
    yield* Effect.onInterrupt(Fiber.await(drains), () => Fiber.interrupt(drains))
    const left = yield* leftOutputs(store, outputs)
    if (left !== null) return yield* left
    return { outputs: outputs.map(({ name, written }) => ({ name, written })) }
  }).pipe(Effect.scoped, forgetting)

/** What a journal holds, without changing anything but a lock. */
export const inspect = Effect.fnUntraced(
  function*(path: string): Effect.fn.Return<JournalContent, JournalError | InvalidOptionError, Scope.Scope> {
    const store = yield* Store.open((yield* validate({ path })).store)
    const end = store.end()
    return {
      settings: store.settings,
      run: store.run(),
      items: end,
      outputs: [...store.outputs()].map(([name, { place }]) => ({ name, behind: end - (place?.through ?? 0) }))
    }
  },
  Effect.scoped
)

/**
 * What a journal holds, without changing anything, and without its lock: the next recorder can take that meanwhile. What is needed is
 * copied to the system's temporary folder and read there, because a journal that a kill has left must be repaired to be read.
 */
export const peek = Effect.fnUntraced(
  function*(path: string): Effect.fn.Return<JournalContent, JournalError | InvalidOptionError, Scope.Scope> {
    yield* Store.checkOwner(path)
    const copy = yield* Store.copyEnds(path)
    const content = yield* inspect(copy).pipe(
      Effect.catchTag("JournalError", ({ cause, detail, reason }) => new JournalError({ path, reason, detail, cause })),
      Effect.provideService(References.MinimumLogLevel, "None"),
      Effect.result
    )
    // A recorder that began meanwhile has changed what was copied.
    yield* Store.checkOwner(path)
    return yield* Effect.fromResult(content)
  },
  Effect.scoped
)

/**
 * Removes a journal that holds nothing, because its recorder was killed before it accepted anything. Gives whether there is none
 * now. It is false for one that holds something.
 */
export const removeEmpty = Effect.fnUntraced(
  function*(path: string): Effect.fn.Return<boolean, JournalError | InvalidOptionError, Scope.Scope> {
    const store = yield* Store.open((yield* validate({ path })).store)
    const isEmpty = store.end() === 0 && [...store.outputs().values()].every(({ place }) => (place?.through ?? 0) === 0)
    if (isEmpty) yield* store.finish
    return isEmpty
  },
  Effect.scoped
)

/**
 * What is in a journal.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalContent {
  /** What its maker kept with it; null if nothing. */
  readonly settings: string | null
  /** Null if it has no sample. */
  readonly run: Run | null
  /** Samples and events that were accepted. */
  readonly items: number
  readonly outputs: ReadonlyArray<{
    readonly name: string
    /** Samples and events that the output lacks. */
    readonly behind: number
  }>
}

/**
 * What `resume` has done.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResumeReport {
  readonly outputs: ReadonlyArray<{
    readonly name: string
    /** Samples and events that it lacked. */
    readonly written: number
  }>
}

const statusOf = (store: Store.Store, outputs: ReadonlyArray<Output>): ReadonlyArray<OutputStatus> =>
  outputs.map(({ name, sink, state, through, written }) => ({
    name,
    target: sink.report()[0]!.target,
    state,
    written,
    behind: store.end() - through
  }))

/** Tells the sinks when their journal is gone. It is, when its scope has closed, unless an output lacks something. */
const forgetting = <A, E, R>(use: Effect.Effect<A, E, R>) =>
  Effect.tap(
    use,
    () =>
      Effect.flatMap(SampleSink, (sink) =>
        Effect.forEach(sink.parts(), ({ resumable }) =>
          Effect.ignore(resumable?.forget ?? Effect.void), { discard: true }))
  )

const FORGET_INTERVAL = "5 seconds"

/** Starts the drains of all outputs. They go on if the caller is interrupted, until they are told to stop. */
const drainAll = Effect.fnUntraced(
  function*(store: Store.Store, outputs: ReadonlyArray<Output>, options: DrainOptions) {
    for (const { name, sink } of outputs) {
      if (sink.isTransient !== true && !store.outputs().has(name)) yield* store.keep(name, store.kept(name))
    }
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.andThen(Effect.sleep(FORGET_INTERVAL), Effect.suspend(() => store.forget(store.heldBack())))
      )
    )
    return yield* Effect.forEach(outputs, (output) => drain(store, output, options), {
      concurrency: "unbounded",
      discard: true
    }).pipe(Effect.interruptible, Effect.forkDetach({ startImmediately: true }))
  }
)

/** Gives the outputs what they lack, the last events too, and stops the drains. */
const endOutputs = Effect.fnUntraced(function*(
  store: Store.Store,
  outputs: ReadonlyArray<Output>,
  drains: Fiber.Fiber<void>,
  lastEvents: Effect.Effect<ReadonlyArray<RunEvent>>,
  stopTimeout: Duration.Duration
) {
  const patience = Duration.divideUnsafe(stopTimeout, 2)
  yield* store.flush
  const end = store.end()
  // First, so that the last event can tell how many rows each output has.
  yield* Effect.forEach(outputs, (output) => output.reached(end), { concurrency: "unbounded", discard: true }).pipe(
    Effect.timeoutOption(patience)
  )
  const events = yield* lastEvents
  if (Array.isReadonlyArrayNonEmpty(events)) {
    yield* store.append(events).pipe(
      Effect.timeoutOption(patience),
      Effect.catch(({ message }) => Effect.logError(message))
    )
  }
  yield* store.seal
  yield* Effect.timeoutOption(Fiber.await(drains), patience)
  drains.interruptUnsafe()
  yield* Effect.timeoutOption(Fiber.await(drains), patience)
})

/**
 * Marks the journal for removal if all outputs that can be resumed have everything. Tells which outputs lack something, and gives
 * the failure of the first.
 */
const leftOutputs = Effect.fnUntraced(function*(store: Store.Store, outputs: ReadonlyArray<Output>) {
  const end = store.end()
  const through = ({ name, sink, through }: Output) =>
    sink.isTransient === true ? through : store.kept(name).place?.through ?? 0
  const behind = outputs.filter((output) => output.state === "stopped" || through(output) < end)
  if (behind.every(({ sink }) => sink.isTransient) && store.heldBack() >= end) yield* store.finish
  const failures = behind.map((output) => {
    const { error, sink, target } = output.sink.report()[0]!
    if (output.state === "stopped" && error !== null) return error
    return new SinkWriteError({
      sink,
      target,
      samples: end - through(output),
      reason: "Timeout",
      detail: output.sink.isTransient === true
        ? "its reader did not take them before the run ended"
        : `they wait in the journal ${store.path}; finish the output by resume`
    })
  })
  for (const { message } of failures) yield* Effect.logError(message)
  return failures[0] ?? null
})

const validate = Effect.fnUntraced(function*(options: JournalOptions) {
  const { batchSize = 64, flushInterval = "1 second", maxBytes = MAX_BYTES } = options
  return {
    drain: {
      batchSize: yield* positiveInt("batchSize", batchSize, "samples"),
      flushInterval: yield* positiveDuration("flushInterval", flushInterval)
    },
    stopTimeout: yield* positiveDuration("stopTimeout", options.stopTimeout ?? "5 seconds"),
    store: {
      path: options.path ?? DEFAULT_PATH,
      fsync: options.fsync ?? "interval",
      maxBytes: yield* positiveInt("maxBytes", maxBytes, "bytes"),
      segmentBytes: Math.min(SEGMENT_BYTES, maxBytes / 4),
      whenFull: options.whenFull ?? "stop",
      diskWait: yield* positiveDuration("diskWait", options.diskWait ?? "1 minute")
    }
  }
})

/** Samples and events. It is read again as a whole. */
const LARGEST_APPEND = 1024

const DEFAULT_PATH = "sampleline.journal"
const SEGMENT_BYTES = 1 << 24
const MAX_BYTES = 10 * 2 ** 30
