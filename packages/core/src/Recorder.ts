/**
 * From a source to a stream of ticks, on an absolute grid: the target of a tick is `start + index * period` on the
 * monotonic clock.
 *
 * No tick begins before its target. If a poll, or the wait for room in the buffer, ends less than a period after the next
 * target, the next tick begins at once. If it ends a whole period or more after it, the missed slots are skipped and counted, and
 * the next tick waits for its target. So the recorder neither drifts nor bunches up.
 *
 * Ticks wait for the consumer in a buffer (`recorder/TickBuffer.ts`), which also keeps the account of what was lost.
 */
import { type Duration, Effect, Metric, Stream } from "effect"
import { EndSignal } from "./EndSignal.ts"
import { InvalidOptionError, millisOf } from "./InvalidOptionError.ts"
import * as Metrics from "./Metrics.ts"
import { type PollResult, PollSource } from "./PollSource.ts"
import { buffered, validateBuffering } from "./recorder/buffering.ts"
import type { Overflow, TickBuffer } from "./recorder/TickBuffer.ts"
import { skipCauseOf, warnOfRate, type WatchPoll, watchSkips } from "./recorder/warnings.ts"
import { checkMetadata, type RunMetadata } from "./RunMetadata.ts"
import type { Tick } from "./Sample.ts"
import { current as currentClock } from "./SampleClock.ts"
import { spanned } from "./tracing.ts"

// Applied to the program that runs the stream, not to the stream.
export { endWhen } from "./EndSignal.ts"
export { mark, note, type NotedEvent } from "./Notes.ts"
export { observe, type Observer } from "./Observers.ts"
export { every, filterSamples, mapValues, type ValueMapping } from "./recorder/operators.ts"
export type { Overflow } from "./recorder/TickBuffer.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface RecordOptions {
  /** Ticks per second. Give this or `period`. */
  readonly rateHz?: number | undefined
  /** Time from one tick to the next. Give this or `rateHz`. */
  readonly period?: Duration.Input | undefined
  /** How long to record: `max(1, round(duration * rateHz))` slots. Default: until ended or interrupted. */
  readonly duration?: Duration.Input | undefined
  /** Names of the devices to poll. Default: all devices of the source. */
  readonly devices?: ReadonlyArray<string> | undefined
  /** Default: `block`. */
  readonly overflow?: Overflow | undefined
  /** How many ticks may wait for the consumer. Default: 64. */
  readonly bufferSize?: number | undefined
  /** Begin ticks within microseconds of their targets, at the cost of processor time. Default: false. */
  readonly precise?: boolean | undefined
  /** What is kept with the run, e.g. `{ operator: "Ada", sample: "B-17" }`. */
  readonly metadata?: RunMetadata | undefined
}

/**
 * Polls the source on the grid and emits a tick for each poll. Nothing is polled before the stream runs.
 *
 * @since 0.1.0
 * @category constructors
 */
export const record = (options: RecordOptions): Stream.Stream<Tick, InvalidOptionError, PollSource> =>
  Stream.unwrap(
    Effect.gen(function*() {
      const source = yield* PollSource
      const { names, ...plan } = yield* validate(options, source.devices.map((device) => device.name))
      yield* warnOfRate(source, names, plan.periodNanos)
      const run = {
        devices: source.devices.filter((device) => names.includes(device.name)),
        rateHz: Number((1e9 / plan.periodNanos).toPrecision(12)),
        host: source.host,
        metadata: yield* checkMetadata(options.metadata)
      }
      const poll: Poll = (nextAtNanos) => source.poll(names, nextAtNanos)
      return yield* buffered(run, plan, (buffer: TickBuffer<never>, watch) => pollOnGrid(poll, plan, buffer, watch))
    }).pipe(spanned("sampleline.record"))
  )

interface Grid {
  readonly periodNanos: number
  /** How many slots there are; may be infinite. */
  readonly slots: number
  readonly precise: boolean
}

/** Polls all devices of the run. `nextAtNanos` is when the next poll is due; `undefined` if there is none. */
type Poll = (nextAtNanos: number | undefined) => Effect.Effect<PollResult>

/** How long a poll under way may go on after the run was told to end. `pipeToSink` may cut it off earlier, by `stopTimeout`. */
const POLL_GRACE = "1 second"

/** Polls until the last slot, or until the run is told to end. What a poll gave is always put into the buffer. */
const pollOnGrid = Effect.fnUntraced(function*(
  poll: Poll,
  { periodNanos, precise, slots }: Grid,
  buffer: TickBuffer<never>,
  watch: WatchPoll
) {
  const clock = yield* currentClock
  const ending = yield* EndSignal
  const warnOfSkips = yield* watchSkips(periodNanos)
  const start = clock.monotonicNanos()
  const targetOf = (index: number) => Math.floor(start + index * periodNanos)
  let phase: "waiting" | "polling" | "offering" = "waiting"

  const loop = Effect.gen(function*() {
    for (let index = 0; index < slots; index = buffer.nextIndex) {
      const target = targetOf(index)
      phase = "waiting"
      if (!ending.isEnded() && clock.monotonicNanos() < target) yield* clock.waitUntil(target, precise)
      if (ending.isEnded()) return
      const begunAt = clock.monotonicNanos()
      const at = clock.epochMicros()
      const driftMs = (begunAt - target) / 1_000_000
      phase = "polling"
      // The buffer finds skipped slots by this index.
      buffer.nextIndex = index + 1
      const result = yield* spanned("sampleline.poll")(poll(index + 1 < slots ? targetOf(index + 1) : undefined))
      const polledAt = clock.monotonicNanos()
      phase = "offering"
      const clockSteps = yield* watch(result)
      yield* buffer.offer({ index, at, driftMs, clockSteps, ...result })

      // Late by 1.5 periods: two slots are skipped, and the third has half a period to go.
      const offeredAt = clock.monotonicNanos()
      const lateNanos = offeredAt - targetOf(index + 1)
      const skipped = lateNanos < periodNanos ? 0 : Math.ceil(lateNanos / periodNanos)
      const next = Math.min(slots, index + 1 + skipped)
      if (next > index + 1) {
        yield* Metric.update(Metrics.ticksSkipped, next - index - 1)
        const polling = polledAt - begunAt
        const times = { late: begunAt - target, polling, offering: offeredAt - polledAt }
        const cause = skipCauseOf(times, result.failures.length > 0)
        yield* warnOfSkips({ slots: next, skipped: next - index - 1, cause, polling })
        buffer.skipTo(next, cause)
      }
    }
  })
  /** Completes when the loop may be cut off: at once while it waits for a target, after a grace while it polls, else never. */
  const cutOff = Effect.gen(function*() {
    yield* ending.await
    if (phase === "polling") yield* Effect.sleep(POLL_GRACE)
    if (phase === "offering") return yield* Effect.never
  })
  yield* Effect.raceFirst(loop, cutOff)
})

const validate = Effect.fnUntraced(function*(options: RecordOptions, known: ReadonlyArray<string>) {
  const { period, precise = false, rateHz } = options
  if ((rateHz === undefined) === (period === undefined)) {
    return yield* InvalidOptionError.of("rateHz", rateHz, "either rateHz or period, not both")
  }
  if (rateHz !== undefined && !isPositive(rateHz)) {
    return yield* InvalidOptionError.of("rateHz", rateHz, "a finite number of ticks per second above 0")
  }
  const periodNanos = rateHz !== undefined ? 1e9 / rateHz : millisOf(period!) * 1e6
  if (!isPositive(periodNanos)) {
    return yield* InvalidOptionError.of("period", period, "a finite time above 0, such as \"100 millis\"")
  }
  const { duration, ...buffering } = yield* validateBuffering(options)
  const names = [...new Set(options.devices ?? known)]
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    return yield* InvalidOptionError.of("devices", unknown, `names of the source's devices: ${known.join(", ")}`)
  }
  return {
    names,
    periodNanos,
    precise,
    ...buffering,
    slots: duration === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(1, Math.round(millisOf(duration) * 1e6 / periodNanos))
  }
})

const isPositive = (value: number) => Number.isFinite(value) && value > 0
