/**
 * What both recorders share: they start a run, watch its polls, and one fiber fills a buffer while a stream empties it.
 */
import { type Duration, Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import { EndSignal } from "../EndSignal.ts"
import { InvalidOptionError, positiveDuration, positiveInt } from "../InvalidOptionError.ts"
import type { Run } from "../Sample.ts"
import { current as currentClock } from "../SampleClock.ts"
import { DeviceMetrics } from "./DeviceMetrics.ts"
import { type Overflow, TickBuffer } from "./TickBuffer.ts"
import { warnOfUnits, type WatchPoll, watchPolls } from "./warnings.ts"

export interface Buffering {
  readonly bufferSize: number
  readonly overflow: Overflow
}

/**
 * The stream of ticks that `fill` puts into a buffer. `fill` runs beside the stream; the stream ends with it. It calls `watch` with
 * the result of each poll.
 */
export const buffered = Effect.fnUntraced(function*<E, R>(
  about: Omit<Run, "id" | "startedAt">,
  buffering: Buffering,
  fill: (buffer: TickBuffer<E>, watch: WatchPoll) => Effect.Effect<void, NoInfer<E>, R>
) {
  const clock = yield* currentClock
  const run: Run = { ...about, id: SecureRandom.uuidV7Unsafe(), startedAt: clock.epochMicros() }
  yield* warnOfUnits(run)
  const metrics = yield* DeviceMetrics.make(run.devices)
  const warn = yield* watchPolls
  const watch: WatchPoll = (result) => {
    metrics.observe(result)
    return warn(result)
  }
  const buffer = yield* TickBuffer.make<E>(run, buffering, clock.epochMicros)
  const ending = yield* EndSignal
  yield* ending.observe(() => buffer.waiting)
  yield* fill(buffer, watch).pipe(
    Effect.onExit((exit) => buffer.close(exit)),
    Effect.forkScoped({ startImmediately: true })
  )
  return buffer.ticks
})

export const validateBuffering = Effect.fnUntraced(function*(options: {
  readonly duration?: Duration.Input | undefined
  readonly overflow?: Overflow | undefined
  readonly bufferSize?: number | undefined
}) {
  const { bufferSize = 64, duration, overflow = "block" } = options
  if (!["block", "dropNewest", "dropOldest"].includes(overflow)) {
    return yield* InvalidOptionError.of("overflow", overflow, "block, dropNewest or dropOldest")
  }
  return {
    duration: duration === undefined ? undefined : yield* positiveDuration("duration", duration, "60 seconds"),
    bufferSize: yield* positiveInt("bufferSize", bufferSize, "ticks"),
    overflow
  }
})
