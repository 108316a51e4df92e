/**
 * From ticks to storage: count, flatten to samples, group, write. The promise kept here: once a tick was emitted its samples
 * are written, however the stream ends.
 *
 * `Stream.groupedWithin` drops its open batch when its stream fails or is interrupted. So the stream that it sees never
 * does: `untilEnded` puts a queue in front of it, which is ended. A failure of the upstream is set aside until the open batch
 * is written. An interruption first ends the run, bounded by `stopTimeout`.
 */
import { Array, Cause, Channel, Duration, Effect, Fiber, Option, Pull, Queue, Sink, Stream } from "effect"
import { type AcquisitionSummary, Progress } from "./AcquisitionSummary.ts"
import { EndSignal, make as makeEndSignal } from "./EndSignal.ts"
import { type InvalidOptionError, positiveDuration, positiveInt } from "./InvalidOptionError.ts"
import { messageOf } from "./messageOf.ts"
import type { Sample, Tick } from "./Sample.ts"
import { current as currentClock } from "./SampleClock.ts"
import { SampleSink } from "./SampleSink.ts"
import { type SinkBatchError, SinkWriteError } from "./SinkError.ts"
import { spanned } from "./tracing.ts"

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
   * How long a run may take to end once it is ended or interrupted: the poll under way, which gets half of it, and writing
   * everything that was emitted. Default: 5 seconds.
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
    let accepted = 0
    let upstreamFailure: Cause.Cause<E> | undefined

    progress.start(clock.epochMicros(), sink.report)
    const writing = ticks.pipe(
      Stream.mapArray((ticks) => {
        for (const tick of ticks) progress.observe(tick)
        return ticks
      }),
      untilEnded(ending, 2 * batchSize, Duration.divideUnsafe(stopTimeout, 2), (cause) => upstreamFailure = cause),
      Stream.filter((tick): tick is TickWithSamples => Array.isReadonlyArrayNonEmpty(tick.samples)),
      Stream.mapArray(Array.flatMap((tick) => tick.samples)),
      Stream.groupedWithin(batchSize, flushInterval),
      Stream.run(
        Sink.forEach((batch) =>
          Array.isArrayNonEmpty(batch) ? Effect.map(sink.write(batch), () => accepted += batch.length) : Effect.void
        )
      )
    )
    const unwritten = () =>
      new SinkWriteError({
        sink: sink.name,
        target: sink.target,
        samples: progress.current.samplesEmitted - accepted + ending.backlog(),
        reason: "Timeout",
        detail: `not written within ${
          Duration.format(stopTimeout)
        } after the run was stopped; what was written before is complete`
      })
    yield* runToEnd(writing, ending, stopTimeout, unwritten).pipe(
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

type TickWithSamples = Tick & { readonly samples: Array.NonEmptyReadonlyArray<Sample> }

/**
 * The same ticks through a queue that ends when they are over, fail, or the run is ended. The queue never fails, and a tick
 * that was taken from the upstream is always put into it.
 *
 * On the end of the run an upstream that ends by itself has `patience` for that; any other is cut off at once.
 */
const untilEnded = <E>(
  ending: EndSignal,
  capacity: number,
  patience: Duration.Duration,
  onFailure: (cause: Cause.Cause<E>) => void
) =>
<R>(ticks: Stream.Stream<Tick, E, R>): Stream.Stream<Tick, never, R> =>
  Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Queue.bounded<Tick, Cause.Done>(capacity)
    const cutOff = Effect.gen(function*() {
      yield* ending.await
      // A tick that is on its way arrives before the upstream is cut off.
      yield* Effect.yieldNow
      if (!ending.isObserved()) return
      // A full queue means that the upstream waits for the sink, not the other way round.
      do yield* Effect.sleep(patience)
      while (Queue.isFullUnsafe(queue))
    })
    const toItsEnd = <R>(feed: Effect.Effect<void, E, R>): Effect.Effect<void, never, R> =>
      feed.pipe(
        Effect.catchCause((cause) => Effect.sync(() => onFailure(cause))),
        Effect.ensuring(Queue.end(queue))
      )
    // In a scope of its own, so that what the upstream holds is let go only when it is pulled no more.
    const feed = toItsEnd(Effect.scoped(Effect.gen(function*() {
      const pull = yield* Channel.toPullScoped(Stream.toChannel(ticks), yield* Effect.scope)
      // Only the pull can be interrupted: what it gave is put into the queue, however full that is.
      const next = Effect.flatMap(
        Effect.interruptible(pull),
        (ticks) =>
          Effect.flatMap(Queue.offerAll(queue, ticks), (refused) => refused.length === 0 ? Effect.void : Cause.done())
      )
      const all = Effect.uninterruptible(Effect.forever(next, { disableYield: true }))
      // What is there is written even if the upstream takes long to let go, or never does.
      yield* toItsEnd(Pull.catchDone(Effect.raceFirst(all, cutOff), () => Effect.void))
    })))
    yield* Effect.forkScoped(feed, { startImmediately: true })
    // Added last, so done first: when the sink has failed nobody waits for room any more.
    yield* Effect.addFinalizer(() => Queue.shutdown(queue))
    return Stream.fromQueue(queue)
  }))

/**
 * Runs `writing` until it is done. When the run is ended or the caller is interrupted, `writing` is told so and has
 * `stopTimeout` to finish; after that it is abandoned.
 */
const runToEnd = <E, R>(
  writing: Effect.Effect<void, E, R>,
  ending: EndSignal,
  stopTimeout: Duration.Duration,
  unwritten: () => SinkWriteError
): Effect.Effect<void, E | SinkWriteError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const ambient = yield* EndSignal
      // Detached, because an abandoned write must not hold up its caller.
      const fiber = yield* writing.pipe(
        Effect.provideService(EndSignal, ending),
        Effect.interruptible,
        Effect.forkDetach({ startImmediately: true })
      )
      const stop = Effect.gen(function*() {
        yield* ending.end
        const exit = yield* Effect.timeoutOption(Fiber.await(fiber), stopTimeout)
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

const validate = Effect.fnUntraced(function*(
  { batchSize = 64, flushInterval = "1 second", stopTimeout = "5 seconds" }: PipeOptions
) {
  return {
    batchSize: yield* positiveInt("batchSize", batchSize, "samples"),
    flushInterval: yield* positiveDuration("flushInterval", flushInterval),
    stopTimeout: yield* positiveDuration("stopTimeout", stopTimeout)
  }
})
