/**
 * What both recorders share: they start a run, and one fiber fills a buffer while a stream empties it.
 */
import { type Duration, Effect, Metric } from "effect"
import { SecureRandom } from "effect/crypto"
import { EndSignal } from "../EndSignal.ts"
import { InvalidOptionError, positiveDuration, positiveInt } from "../InvalidOptionError.ts"
import * as Metrics from "../Metrics.ts"
import type { Run } from "../Sample.ts"
import { current as currentClock } from "../SampleClock.ts"
import { type Overflow, TickBuffer } from "./TickBuffer.ts"
import { warnOfUnits } from "./warnings.ts"

export interface Buffering {
  readonly bufferSize: number
  readonly overflow: Overflow
}

/** The stream of ticks that `fill` puts into a buffer. `fill` runs beside the stream; the stream ends with it. */
export const buffered = Effect.fnUntraced(function*<E, R>(
  about: Omit<Run, "id" | "startedAt">,
  buffering: Buffering,
  fill: (buffer: TickBuffer<E>) => Effect.Effect<void, NoInfer<E>, R>
) {
  const clock = yield* currentClock
  const run: Run = { ...about, id: SecureRandom.uuidV7Unsafe(), startedAt: clock.epochMicros() }
  yield* warnOfUnits(run)
  for (const { name } of run.devices) yield* Metric.update(Metric.withAttributes(Metrics.deviceUp, { device: name }), 1)
  const buffer = yield* TickBuffer.make<E>(run, buffering, clock.epochMicros)
  const ending = yield* EndSignal
  yield* ending.observe(() => buffer.waiting)
  yield* fill(buffer).pipe(
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
