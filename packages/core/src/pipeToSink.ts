/**
 * From ticks to storage: count, flatten to samples and events, group, write. The promise kept here: however a stream of ticks ends, the
 * samples of every tick that was counted are written, unless the sink fails or `stopTimeout` is over.
 *
 * `Stream.groupedWithin` drops its open batch if its stream fails or is interrupted. So that stream comes from a queue that only
 * ever ends (`untilEnded`). A failure of the ticks is set aside until the open batch is written. An interruption first ends the
 * run (`runToEnd`).
 *
 * There are two end signals. The caller's (`ambient`) is the one of `endWhen`, which is applied around this effect. The run's own
 * (`ending`) is what the recorder hears: it is also raised when the caller is interrupted.
 */
import { Array, Cause, Channel, Duration, Effect, Exit, Fiber, Option, Pull, Queue, Sink, Stream } from "effect"
import { type AcquisitionSummary, Progress } from "./AcquisitionSummary.ts"
import { type EndedBy, EndSignal, make as makeEndSignal } from "./EndSignal.ts"
import { EventFold } from "./EventFold.ts"
import { type InvalidOptionError, positiveDuration, positiveInt } from "./InvalidOptionError.ts"
import { Mark, onMark } from "./Marks.ts"
import { messageOf } from "./messageOf.ts"
import type { RunEvent } from "./RunEvent.ts"
import { Sample, type Tick } from "./Sample.ts"
import { current as currentClock } from "./SampleClock.ts"
import { SampleSink } from "./SampleSink.ts"
import { type SinkBatchError, SinkWriteError } from "./SinkError.ts"
import { spanned } from "./tracing.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface PipeOptions {
  /** A batch is written when it has this many samples and events. Default: 64. */
  readonly batchSize?: number | undefined
  /** A batch is written this long after its first sample, whether or not another sample comes. Default: 1 second. */
  readonly flushInterval?: Duration.Input | undefined
  /**
   * How long a run may take once it is told to end (`endWhen`) or is interrupted. This bounds the poll under way and writing
   * everything that was polled. The poll gets at most a second, or half of `stopTimeout` if that is less. A run that ends or
   * fails by itself has no limit. Default: 5 seconds.
   */
  readonly stopTimeout?: Duration.Input | undefined
  /** Filled while the run goes on. Default: none. */
  readonly progress?: Progress | undefined
}

/**
 * Writes the samples of a stream of ticks to the `SampleSink`, in batches, and gives the summary of the run. An interrupted run
 * gives no summary: end it by `endWhen`, or pass a `progress`. Users of the Python library alicatlib know this as `pipe`.
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
    const events = new EventFold()
    let accepted = 0
    let upstreamFailure: Cause.Cause<E> | undefined

    progress.start(clock.epochMicros(), sink.report)
    const writing = ticks.pipe(
      untilEnded({
        ending,
        // In ticks. A tick usually has a sample or more, so two batches have room. That saves turns of the event loop.
        capacity: 2 * batchSize,
        patience: Duration.divideUnsafe(stopTimeout, 2),
        onTicks: (ticks) => {
          sink.began()
          progress.observe(ticks)
        },
        onFailure: (cause) => upstreamFailure ??= cause
      }),
      Stream.map((item) => item instanceof Mark ? events.mark(item) : events.tick(item)),
      Stream.filter(Array.isReadonlyArrayNonEmpty),
      Stream.mapArray(Array.flatten),
      Stream.groupedWithin(batchSize, flushInterval),
      Stream.run(Sink.forEach((batch) => writeInOrder(sink, batch, (samples) => accepted += samples))),
      Effect.andThen(Effect.suspend(() => {
        progress.finish(clock.epochMicros())
        const failure = upstreamFailure === undefined ? null : messageOf(Cause.squash(upstreamFailure))
        const { cause, detail } = failure === null
          ? ending.endedBy() ?? COMPLETED
          : { cause: "failed", detail: failure } as const
        return Effect.forEach(events.end(cause, detail, progress.current), sink.event, { discard: true })
      }))
    )
    const unwritten = () =>
      new SinkWriteError({
        sink: sink.name,
        target: sink.target,
        // The backlog are samples that the recorder has polled and not handed on.
        samples: progress.current.samplesEmitted - accepted + ending.backlog(),
        reason: "Timeout",
        detail: `not written within ${
          Duration.format(stopTimeout)
        } after the run was stopped; what was accepted before is complete`
      })
    yield* runToEnd(writing, ending, stopTimeout, unwritten).pipe(
      Effect.onExit((exit) => {
        progress.finish(clock.epochMicros())
        // A run without ticks has begun too, unless its source failed.
        if (upstreamFailure === undefined) sink.began()
        return upstreamFailure === undefined || Exit.isSuccess(exit)
          ? Effect.void
          : Effect.logError(`the ticks ended before by a failure: ${messageOf(Cause.squash(upstreamFailure))}`)
      })
    )
    if (upstreamFailure !== undefined) return yield* Effect.failCause(upstreamFailure)
    const failed = sink.report().find((report) => report.error !== null)
    if (failed?.error) return yield* failed.error
    const summary = progress.current
    yield* Effect.logInfo(
      `recorded ${summary.samplesEmitted} samples in ${summary.ticks} ticks to ${sink.target || sink.name}`
    ).pipe(Effect.annotateLogs({ sink: sink.name, target: sink.target }))
    return summary
  }).pipe(spanned("sampleline.pipeToSink"))

/** How often an upstream is looked at within its patience. */
const LOOKS = 5

const COMPLETED = { cause: "completed", detail: null } as const

/** Writes a batch, split at its events, so that samples and events reach the sink in their order. */
const writeInOrder = (
  sink: SampleSink["Service"],
  batch: ReadonlyArray<Sample | RunEvent>,
  onAccepted: (samples: number) => void
): Effect.Effect<void, SinkBatchError> => {
  const write = (samples: ReadonlyArray<Sample>) =>
    Array.isReadonlyArrayNonEmpty(samples)
      ? Effect.map(sink.write(samples), () => onAccepted(samples.length))
      : Effect.void
  if (batch.every(isSample)) return write(batch)
  const at = batch.findIndex((item) => !isSample(item))
  return write(batch.slice(0, at) as Array<Sample>).pipe(
    Effect.andThen(Effect.suspend(() => sink.event(batch[at] as RunEvent))),
    Effect.andThen(Effect.suspend(() => writeInOrder(sink, batch.slice(at + 1), onAccepted)))
  )
}

const isSample = (item: Sample | RunEvent): item is Sample => item instanceof Sample

/**
 * The same ticks, with the user's marks among them, through a queue. It ends when the ticks end or fail, or when the run is told
 * to end. It never fails. `onTicks` is called with ticks that are put into the queue for sure, unless the sink has failed.
 *
 * When the run is told to end, an upstream that observes the signal, as the recorders do, ends by itself. It is cut off if it
 * gives no tick for as long as `patience`. Any other upstream is cut off at once.
 */
const untilEnded = <E>({ capacity, ending, onFailure, onTicks, patience }: {
  readonly ending: EndSignal
  readonly capacity: number
  readonly patience: Duration.Duration
  readonly onTicks: (ticks: Array.NonEmptyReadonlyArray<Tick>) => void
  readonly onFailure: (cause: Cause.Cause<E>) => void
}) =>
<R>(ticks: Stream.Stream<Tick, E, R>): Stream.Stream<Tick | Mark, never, R> =>
  Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Queue.bounded<Tick | Mark, Cause.Done>(capacity)
    yield* onMark((mark) => Queue.offer(queue, mark))
    let chunks = 0
    let isCutOff = false
    const cutOff = Effect.gen(function*() {
      yield* ending.await
      // A tick that was emitted just before the signal still arrives.
      yield* Effect.yieldNow
      // While ticks arrive, or wait for room, an upstream that observes the signal goes on. `stopTimeout` bounds this too.
      for (let silent = ending.isObserved() ? 0 : LOOKS; silent < LOOKS;) {
        const before = chunks
        yield* Effect.sleep(Duration.divideUnsafe(patience, LOOKS))
        silent = chunks > before || Queue.isFullUnsafe(queue) ? 0 : silent + 1
      }
      // The queue ends even if the upstream cannot be interrupted.
      isCutOff = true
      yield* Queue.end(queue)
    })
    // Twice below: for the pulls, and for opening and releasing what the upstream holds.
    const toItsEnd = <R1>(feed: Effect.Effect<void, E, R1>): Effect.Effect<void, never, R1> =>
      feed.pipe(
        Effect.catchCause((cause) => Effect.sync(() => onFailure(cause))),
        Effect.ensuring(Queue.end(queue))
      )
    // Its own scope: the upstream's resources are released after the last pull.
    const feed = toItsEnd(Effect.scoped(Effect.gen(function*() {
      const pull = yield* Channel.toPullScoped(Stream.toChannel(ticks), yield* Effect.scope)
      // Only the pull can be interrupted: what it gave is put into the queue, however full that is.
      const next = Effect.flatMap(Effect.interruptible(pull), (chunk) => {
        if (isCutOff) return Cause.done()
        chunks++
        onTicks(chunk)
        return Effect.flatMap(
          Queue.offerAll(queue, chunk),
          (refused) => refused.length === 0 ? Effect.void : Cause.done()
        )
      })
      const all = Effect.uninterruptible(Effect.forever(next, { disableYield: true }))
      // The queue ends here, so that its ticks are written even if the upstream never releases its resources.
      yield* toItsEnd(Pull.catchDone(Effect.raceFirst(all, cutOff), () => Effect.void))
    })))
    yield* Effect.forkScoped(feed, { startImmediately: true })
    // Runs first when the sink has failed: it frees a feed that waits for room.
    yield* Effect.addFinalizer(() => Queue.shutdown(queue))
    return Stream.fromQueue(queue)
  }))

/**
 * Runs `writing` until it is done. When the run is told to end or the caller is interrupted, `writing` gets the signal and has
 * `stopTimeout` from then on. After that it is abandoned.
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
      const clock = yield* currentClock
      let deadlineNanos: number | undefined
      const stop = Effect.fnUntraced(function*(by: EndedBy) {
        yield* ending.end(by)
        // An interruption while the run ends does not start the clock again.
        deadlineNanos ??= clock.monotonicNanos() + Duration.toMillis(stopTimeout) * 1e6
        const left = Math.max(0, deadlineNanos - clock.monotonicNanos()) / 1e6
        const exit = yield* Effect.timeoutOption(Fiber.await(fiber), left)
        if (Option.isSome(exit)) return yield* exit.value
        const error = unwritten()
        if (error.samples > 0) return yield* error
        yield* Effect.logWarning("everything is written, but the source has not stopped; it is left running")
      })
      return yield* restore(
        Effect.raceFirst(Fiber.join(fiber), Effect.andThen(ambient.await, () => stop(ambient.endedBy() ?? INTERRUPTED)))
      ).pipe(
        Effect.onInterrupt(() =>
          Effect.catchCause(
            stop(INTERRUPTED),
            (cause) => Effect.logError(`the run was interrupted: ${messageOf(Cause.squash(cause))}`)
          )
        ),
        Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe()))
      )
    })
  )

const INTERRUPTED: EndedBy = { cause: "interrupted", detail: null }

const validate = Effect.fnUntraced(function*(
  { batchSize = 64, flushInterval = "1 second", stopTimeout = "5 seconds" }: PipeOptions
) {
  return {
    batchSize: yield* positiveInt("batchSize", batchSize, "samples"),
    flushInterval: yield* positiveDuration("flushInterval", flushInterval),
    stopTimeout: yield* positiveDuration("stopTimeout", stopTimeout)
  }
})
