/**
 * The clock that stamps samples and paces ticks.
 *
 * Stamps are integer microseconds since the Unix epoch, UTC. The system clock has only milliseconds. A monotonic clock drifts by
 * seconds a week. So a stamp is the monotonic clock plus an offset, and the offset follows the system clock: a stamp is always
 * within the millisecond that the system clock shows. Stamps never run backwards unless the system clock does. A move of more
 * than 100 ms is a step of the system clock (set by hand, or a suspended machine). It is kept in `steps`.
 *
 * All times come from the fiber's `Clock`, so a `TestClock` controls stamps and waits.
 */
import { Clock, Context, Duration, Effect } from "effect"
import { napUntil } from "./napUntil.ts"

/**
 * A jump of the system clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClockStep {
  /** Microseconds since the epoch, by the clock after the jump. */
  readonly at: number
  /** How far the clock jumped, in microseconds. Negative: backwards. */
  readonly jumpMicros: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SampleClock {
  /** Now, in integer microseconds since the Unix epoch, UTC. A plain function, for data handlers. */
  readonly epochMicros: () => number
  /** Monotonic time in nanoseconds, of arbitrary origin. */
  readonly monotonicNanos: () => number
  /** All steps so far, oldest first. */
  readonly steps: ReadonlyArray<ClockStep>
  /**
   * Returns at or after the monotonic time `targetNanos`, usually within 0.2 ms. With `precise` it returns within microseconds,
   * at the cost of processor time.
   */
  readonly waitUntil: (targetNanos: number, precise?: boolean) => Effect.Effect<void>
}

const STEP_MICROS = 100_000
/** The clocks are read again if reading them took longer than this. */
const STEADY_NANOS = 50_000

const clocks = new WeakMap<Clock.Clock, SampleClock>()

/**
 * The sample clock of the fiber's `Clock`. Fibers with the same `Clock` share it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const current: Effect.Effect<SampleClock> = Clock.clockWith((clock) =>
  Effect.sync(() => {
    const known = clocks.get(clock)
    if (known) return known
    const made = make(clock)
    clocks.set(clock, made)
    return made
  })
)

const make = (clock: Clock.Clock): SampleClock => {
  const monotonicNanos = () => Number(clock.monotonicTimeNanosUnsafe())
  const steps: Array<ClockStep> = []
  let offsetMicros = Number.NaN

  const epochMicros = () => {
    let before = monotonicNanos()
    let millis = clock.currentTimeMillisUnsafe()
    let after = monotonicNanos()
    for (let tries = 0; after - before > STEADY_NANOS && tries < 4; tries++) {
      before = monotonicNanos()
      millis = clock.currentTimeMillisUnsafe()
      after = monotonicNanos()
    }
    const earliest = Math.floor(millis) * 1000
    const latest = earliest + 999
    if (Number.isNaN(offsetMicros)) offsetMicros = earliest - before / 1000
    const projected = Math.round(before / 1000 + offsetMicros)
    if (projected >= earliest && projected <= latest) return projected
    const stamp = projected < earliest ? earliest : latest
    const moved = stamp - projected
    if (Math.abs(moved) > STEP_MICROS) {
      offsetMicros = earliest - before / 1000
      steps.push({ at: earliest, jumpMicros: earliest - projected })
      return earliest
    }
    offsetMicros += moved
    return stamp
  }

  const sleepUntil = (targetNanos: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const remaining = targetNanos - monotonicNanos()
      return remaining <= 0
        ? Effect.void
        : Effect.flatMap(clock.sleep(Duration.millis(remaining / 1_000_000)), () => sleepUntil(targetNanos))
    })

  const live = clock === Context.get(Context.empty(), Clock.Clock)

  return {
    epochMicros,
    monotonicNanos,
    steps,
    waitUntil: (targetNanos, precise = false) =>
      live ? napUntil(targetNanos, precise, monotonicNanos) : sleepUntil(targetNanos)
  }
}
