/**
 * One recording under way: its ticks become samples and events, and it ends in order. `pipeToSink` and the journal stand on this.
 *
 * A stream of ticks may end, fail, be told to end, or be interrupted with its program. Whatever stores the samples must see none
 * of that: `Stream.groupedWithin` drops its open batch if its stream fails or is interrupted. So the stream comes from a queue
 * that only ever ends (`untilEnded`). A failure of the ticks is set aside until everything is written. An interruption first ends
 * the run (`toItsEnd`).
 *
 * There are two end signals. The caller's (`ambient`) is the one of `endWhen`, which is applied around the recording. The
 * recording's own (`ending`) is what the recorder hears: it is also raised when the caller is interrupted.
 */
import { type Array, Cause, Channel, Duration, Effect, Exit, Fiber, Option, Pull, Queue, Stream } from "effect"
import { type AcquisitionSummary, Progress } from "./AcquisitionSummary.ts"
import { type EndedBy, EndSignal, make as makeEndSignal } from "./EndSignal.ts"
import { EventFold } from "./EventFold.ts"
import { type InvalidOptionError, positiveDuration } from "./InvalidOptionError.ts"
import { messageOf } from "./messageOf.ts"
import { Note, onNote } from "./Notes.ts"
import { Observers } from "./Observers.ts"
import type { RunEvent } from "./RunEvent.ts"
import type { Sample, Tick } from "./Sample.ts"
import { current as currentClock } from "./SampleClock.ts"
import type { SinkShape } from "./SampleSink.ts"
import { SinkWriteError } from "./SinkError.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface RecordingOptions {
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
 * A recording of a stream of ticks that fails with `E`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recording<E> {
  /**
   * The same ticks, with what is noted of the run among them. It ends when the ticks end or fail, or when the run is told to end. It
   * never fails. A tick is counted when it is sure to come out.
   */
  readonly untilEnded: <R>(ticks: Stream.Stream<Tick, E, R>) => Stream.Stream<Tick | Note, never, R>
  /** The samples of a tick, and the events that it or a note shows, in their order. Call it once for each. */
  readonly itemsOf: (item: Tick | Note) => ReadonlyArray<Sample | RunEvent>
  /** The last events, when all ticks are stored. */
  readonly lastEvents: Effect.Effect<ReadonlyArray<RunEvent>>
  /**
   * Runs what stores the samples until it is done. If the run is told to end or the caller is interrupted, it has `stopTimeout`
   * from then on, and is abandoned after that. `accepted` is the number of samples that were stored.
   */
  readonly toItsEnd: <E2, R>(
    storing: Effect.Effect<void, E2, R>,
    accepted: () => number
  ) => Effect.Effect<void, E | E2 | SinkWriteError, R>
  /** Samples that were polled, beyond so many that were accepted. */
  readonly unaccepted: (accepted: number) => number
  /** Tells how much was recorded, and gives the summary. For a recording that has not failed. */
  readonly summary: Effect.Effect<AcquisitionSummary>
}

/**
 * Begins a recording into a sink. `capacity` is how many ticks may wait for it beside those in the recorder's buffer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function*<E>(
  sink: Pick<SinkShape, "name" | "target" | "began" | "report">,
  { capacity, ...options }: RecordingOptions & { readonly capacity: number }
): Effect.fn.Return<Recording<E>, InvalidOptionError> {
  const stopTimeout = yield* positiveDuration("stopTimeout", options.stopTimeout ?? "5 seconds")
  const clock = yield* currentClock
  const ending = makeEndSignal()
  const progress = options.progress ?? new Progress()
  const events = new EventFold()
  const observers = yield* Observers
  const observed = (items: ReadonlyArray<Sample | RunEvent>) => {
    for (const observe of observers) observe(items)
    return items
  }
  let failure: Cause.Cause<E> | undefined
  const failureText = () => failure === undefined ? null : messageOf(Cause.squash(failure))

  // The backlog are samples that the recorder has polled and not handed on.
  const unaccepted = (accepted: number) => progress.current.samplesEmitted - accepted + ending.backlog()
  const unwritten = (accepted: number) =>
    new SinkWriteError({
      sink: sink.name,
      target: sink.target,
      samples: unaccepted(accepted),
      reason: "Timeout",
      detail: `not written within ${
        Duration.format(stopTimeout)
      } after the run was stopped; what was accepted before is complete`
    })

  progress.start(clock.epochMicros(), sink.report)
  return {
    untilEnded: untilEnded({
      ending,
      capacity,
      patience: Duration.divideUnsafe(stopTimeout, 2),
      onTicks: (ticks) => {
        sink.began()
        progress.observe(ticks)
      },
      onFailure: (cause) => failure ??= cause
    }),
    itemsOf: (item) => observed(item instanceof Note ? events.note(item) : events.tick(item)),
    lastEvents: Effect.sync(() => {
      progress.finish(clock.epochMicros())
      const text = failureText()
      const { cause, detail } = text === null
        ? ending.endedBy() ?? COMPLETED
        : { cause: "failed", detail: text } as const
      const last = events.end(cause, detail, progress.current)
      observed(last)
      return last
    }),
    toItsEnd: (storing, accepted) =>
      Effect.gen(function*() {
        yield* runToEnd(storing, ending, stopTimeout, () => unwritten(accepted())).pipe(
          Effect.onExit((exit) => {
            progress.finish(clock.epochMicros())
            // A run without ticks has begun too, unless its source failed.
            if (failure === undefined) sink.began()
            return failure === undefined || Exit.isSuccess(exit)
              ? Effect.void
              : Effect.logError(`the ticks ended before by a failure: ${failureText()}`)
          })
        )
        if (failure !== undefined) return yield* Effect.failCause(failure)
      }),
    unaccepted,
    summary: Effect.suspend(() => {
      const summary = progress.current
      const outputs = summary.sinks.map(({ sink, target }) => target || sink).join(", ")
      return Effect.logInfo(
        `recorded ${summary.samplesEmitted} samples in ${summary.ticks} ticks to ${outputs}`
      ).pipe(Effect.annotateLogs({ sink: sink.name, target: sink.target }), Effect.as(summary))
    })
  }
})

const COMPLETED = { cause: "completed", detail: null } as const

/** How often an upstream is looked at within its patience. */
const LOOKS = 5

/**
 * The same ticks, with what is noted of the run among them, through a queue. It ends when the ticks end or fail, or when the run is told
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
<R>(ticks: Stream.Stream<Tick, E, R>): Stream.Stream<Tick | Note, never, R> =>
  Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Queue.bounded<Tick | Note, Cause.Done>(capacity)
    yield* onNote((note) => Queue.offer(queue, note))
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
