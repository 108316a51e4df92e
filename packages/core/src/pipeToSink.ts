/**
 * From ticks to storage: flatten to samples, group, write. The promise kept here: once a tick was emitted its samples are
 * written, however the stream ends.
 *
 * A failure of the upstream is set aside until the open batch is written, and an interruption first ends the upstream, bounded by
 * `stopTimeout`.
 */
import { Cause, Channel, Duration, Effect, Fiber, Formatter, Option, Pull, Sink, Stream } from "effect"
import { type AcquisitionSummary, Progress } from "./AcquisitionSummary.ts"
import { type Batches, makeBatches } from "./Batches.ts"
import { EndSignal, make as makeEndSignal } from "./EndSignal.ts"
import { messageOf } from "./messageOf.ts"
import { spanned } from "./internal/tracing.ts"
import { InvalidOptionError } from "./InvalidOptionError.ts"
import type { Tick } from "./Sample.ts"
import { current as currentClock } from "./SampleClock.ts"
import { SampleSink } from "./SampleSink.ts"
import { type SinkBatchError, SinkWriteError } from "./SinkError.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface PipeOptions {
  /** A batch is written when it has this many samples. Default: 64. */
  readonly batchSize?: number | undefined
  /** A batch is written this long after its first sample, whether or not another sample comes. Default: 1 second. */
  readonly flushInterval?: Duration.Input | undefined
  /**
   * How long what was emitted may take to be written once the run is ended or interrupted; a poll that is under way has a
   * second and a half beside it. Default: 5 seconds.
   */
  readonly stopTimeout?: Duration.Input | undefined
  /** Filled while the run goes on. Default: none. */
  readonly progress?: Progress | undefined
}

/**
 * Writes the samples of a stream of ticks to the `SampleSink`, in batches, and gives the summary of the run. Known to users
 * of the Python library alicatlib as `pipe`.
 *
 * @since 0.1.0
 * @category destructors
 */
export const pipeToSink = (options: PipeOptions = {}) =>
<E, R>(
  ticks: Stream.Stream<Tick, E, R>
): Effect.Effect<AcquisitionSummary, E | SinkBatchError | InvalidOptionError, R | SampleSink> =>
  Effect.gen(function*() {
    const { batchSize, flushInterval, stopTimeout } = yield* validate(options)
    const sink = yield* SampleSink
    const clock = yield* currentClock
    const ending = makeEndSignal()
    const progress = options.progress ?? new Progress()
    const accepted = { samples: 0 }
    const activity: Activity = { isPulling: false, pulls: 0, isWriting: false }
    let upstreamFailure: Cause.Cause<E> | undefined

    progress.start(clock.epochMicros(), sink.report)
    const writing = Stream.unwrap(Effect.gen(function*() {
      const batches = makeBatches(batchSize, Duration.toMillis(flushInterval) * 1_000_000, clock.monotonicNanos)
      yield* ticks.pipe(
        feed(batches, progress, ending, activity, (cause) => upstreamFailure ??= cause),
        Effect.provideService(EndSignal, ending),
        Effect.forkScoped({ startImmediately: true })
      )
      // Its chunks are the batches.
      return Stream.fromPull(Effect.succeed(batches.take))
    })).pipe(
      Stream.run(
        Sink.forEachArray((batch) => {
          activity.isWriting = true
          return Effect.map(sink.write(batch), () => {
            activity.isWriting = false
            accepted.samples += batch.length
          })
        })
      )
    )
    const unwritten = () =>
      new SinkWriteError({
        sink: sink.name,
        target: sink.target,
        samples: progress.current.samplesEmitted - accepted.samples + ending.backlog(),
        reason: "Timeout",
        detail: `not written within ${
          Duration.format(stopTimeout)
        } after the run was stopped; what was written before is complete`
      })
    yield* runToEnd(writing, ending, activity, stopTimeout, unwritten).pipe(
      Effect.onExit(() =>
        Effect.sync(() => {
          progress.finish(clock.epochMicros())
          if (upstreamFailure === undefined || progress.current.ticks > 0) sink.began()
        })
      )
    )
    if (upstreamFailure !== undefined) return yield* Effect.failCause(upstreamFailure)
    const failed = sink.report().find((report) => report.error !== null)
    if (failed?.error) return yield* failed.error
    const summary = progress.current
    yield* Effect.logInfo(
      `recorded ${summary.samplesEmitted} samples in ${summary.ticks} ticks to ${sink.target || sink.name}`
    )
    return summary
  }).pipe(spanned("sampleline.pipeToSink"))

/**
 * How long an upstream that ends by itself may keep the pipeline waiting once it was told to: a little more than the recorder
 * gives a poll.
 */
const UPSTREAM_GRACE = Duration.millis(1500)

/** What the pipeline is about: waiting for its upstream, for the how manieth time, and waiting for the sink. */
interface Activity {
  isPulling: boolean
  pulls: number
  isWriting: boolean
}

/**
 * Takes the ticks as they come and puts their samples into batches, until they are over or the run is to end: then at once,
 * unless their upstream has said that it ends by itself and does so in time.
 */
const feed = <E>(
  batches: Batches,
  progress: Progress,
  ending: EndSignal,
  activity: Activity,
  failed: (cause: Cause.Cause<E>) => void
) => {
  const cutOff = Effect.gen(function*() {
    yield* ending.await
    if (!ending.isObserved()) return
    while (true) {
      const { pulls } = activity
      yield* Effect.sleep(UPSTREAM_GRACE)
      if (activity.isPulling && activity.pulls === pulls) return
    }
  })
  const put = (ticks: ReadonlyArray<Tick>): Effect.Effect<unknown> | undefined => {
    activity.isPulling = false
    for (const tick of ticks) {
      progress.observe(tick)
      for (const sample of tick.samples) batches.add(sample)
    }
    return batches.added()
  }
  const toItsEnd = <R>(run: Effect.Effect<void, E, R>): Effect.Effect<void, never, R> =>
    run.pipe(Effect.catchCause((cause) => Effect.sync(() => failed(cause))), Effect.ensuring(batches.end))
  return <R>(ticks: Stream.Stream<Tick, E, R>): Effect.Effect<void, never, R> =>
    toItsEnd(Effect.scoped(Effect.gen(function*() {
      // Nobody else pulls: not by Stream.toPull, which makes sure of that at each pull. In a scope of its own, so that what the
      // upstream holds is let go only when it is pulled no more.
      const pull = yield* Channel.toPullScoped(Stream.toChannel(ticks), yield* Effect.scope)
      const all = Effect.uninterruptibleMask((restore) => {
        const next = restore(Effect.suspend(() => {
          activity.isPulling = true
          activity.pulls++
          return pull
        }))
        const putNext = Effect.flatMap(next, (ticks) => {
          const room = put(ticks)
          return room === undefined ? Effect.void : restore(room)
        })
        return Effect.forever(putNext, { disableYield: true })
      })
      // What is there is written even if the upstream takes long to let go, or never does.
      yield* toItsEnd(Pull.catchDone(Effect.raceFirst(all, cutOff), () => Effect.void))
    })))
}

/**
 * Runs `writing` until it is done. When the run is ended or the caller is interrupted, `writing` is told so and has
 * `stopTimeout` to finish, and a grace beside it where all that it waits for is its upstream; after that it is abandoned.
 */
const runToEnd = <E, R>(
  writing: Effect.Effect<void, E, R>,
  ending: EndSignal,
  activity: Activity,
  stopTimeout: Duration.Duration,
  unwritten: () => SinkWriteError
): Effect.Effect<void, E | SinkWriteError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const ambient = yield* EndSignal
      // Detached, because an abandoned write must not hold up the one who gave it up.
      const fiber = yield* Effect.forkDetach(Effect.interruptible(writing), { startImmediately: true })
      const stop = Effect.gen(function*() {
        yield* ending.end
        const grace = activity.isPulling && !activity.isWriting ? UPSTREAM_GRACE : Duration.zero
        const exit = yield* Effect.timeoutOption(Fiber.await(fiber), Duration.sum(stopTimeout, grace))
        if (Option.isSome(exit)) return yield* exit.value
        const error = unwritten()
        if (error.samples > 0) return yield* error
        yield* Effect.logWarning("everything is written, but the source does not stop; it is left behind")
      })
      return yield* restore(Effect.raceFirst(Fiber.join(fiber), Effect.andThen(ambient.await, stop))).pipe(
        Effect.onInterrupt(() =>
          Effect.catchCause(
            stop,
            (cause) => Effect.logError(`the run was interrupted: ${messageOf(Cause.squash(cause))}`)
          )
        ),
        Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe()))
      )
    })
  )

const validate = Effect.fnUntraced(function*(options: PipeOptions) {
  const batchSize = options.batchSize ?? 64
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    return yield* new InvalidOptionError({
      option: "batchSize",
      value: String(batchSize),
      expected: "a whole number of samples above 0"
    })
  }
  return {
    batchSize,
    flushInterval: yield* positive("flushInterval", options.flushInterval ?? "1 second"),
    stopTimeout: yield* positive("stopTimeout", options.stopTimeout ?? "5 seconds")
  }
})

const positive = (option: string, input: Duration.Input) => {
  const duration = Option.getOrUndefined(Duration.fromInput(input))
  return duration !== undefined && Duration.isFinite(duration) && Duration.isPositive(duration)
    ? Effect.succeed(duration)
    : Effect.fail(
      new InvalidOptionError({
        option,
        value: Formatter.format(input),
        expected: "a finite time above 0, such as \"1 second\""
      })
    )
}
