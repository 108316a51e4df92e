/**
 * The clock that stamps samples and paces ticks.
 *
 * Stamps are integer microseconds since the Unix epoch, UTC. The system clock has only milliseconds, a monotonic clock
 * alone drifts by seconds a week; so a stamp is the monotonic clock plus an offset, and the offset is moved whenever the
 * stamp would leave the millisecond that the system clock shows. A stamp is therefore never further than 1 ms from the
 * system clock, and never runs backwards unless the system clock does. A move of over 100 ms is a step of the system
 * clock (set by hand, a suspended machine): it is kept in `steps`.
 *
 * Everything is read from the fiber's `Clock`, so a `TestClock` rules stamps and waits alike.
 */
import { Clock, Context, Duration, Effect } from "effect"

/**
 * A jump of the system clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClockStep {
  /** When, by the clock after the jump: microseconds since the epoch. */
  readonly at: number
  /** How far the clock jumped, in microseconds; negative is backwards. */
  readonly jumpMicros: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SampleClock {
  /** Now, in integer microseconds since the Unix epoch, UTC. Not an effect, so that a data handler can call it. */
  readonly epochMicros: () => number
  /** Monotonic time in nanoseconds, of arbitrary origin. */
  readonly monotonicNanos: () => number
  /** Every step seen so far, oldest first; appended to as stamps are taken. */
  readonly steps: ReadonlyArray<ClockStep>
  /**
   * Returns at or after the monotonic time `targetNanos`, never before: usually within a fifth of a millisecond of it; `precise`
   * spends CPU to return within microseconds.
   */
  readonly waitUntil: (targetNanos: number, precise?: boolean) => Effect.Effect<void>
}

const STEP_MICROS = 100_000
/** A reading during which the process was held up for longer than this is taken again. */
const STEADY_NANOS = 50_000

const clocks = new WeakMap<Clock.Clock, SampleClock>()

/**
 * The sample clock over the fiber's `Clock`; all fibers that share a `Clock` share it.
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

/** A timer fires up to a millisecond late: it is set this much before the target. */
const TIMER_NANOS = 1_500_000
const LONGEST_TIMER_MILLIS = 2 ** 31 - 1
/** The event loop is held up for no longer than this at a time by a nap, and by looking at the clock. */
const NAP_NANOS = 250_000
const LOOK_NANOS = 50_000

const nobody = new Int32Array(new SharedArrayBuffer(4))

/**
 * Sleeps by a timer to a millisecond or two before the target, and then in naps: a nap stops the thread, which costs no CPU and
 * ends about a tenth of a millisecond late, where a timer is off by a whole one. For `precise` even that is too much: it looks at
 * the clock all the while. The event loop turns between naps and looks.
 */
const napUntil = (targetNanos: number, precise: boolean, monotonicNanos: () => number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let immediate: ReturnType<typeof setImmediate> | undefined
    const look = () => {
      const remaining = targetNanos - monotonicNanos()
      if (remaining > TIMER_NANOS + 1_000_000) {
        timer = setTimeout(look, Math.min(LONGEST_TIMER_MILLIS, Math.floor((remaining - TIMER_NANOS) / 1_000_000)))
        return
      }
      if (precise) {
        const sliceEnd = targetNanos - Math.max(0, remaining - LOOK_NANOS)
        while (monotonicNanos() < sliceEnd);
      } else if (remaining > 0) Atomics.wait(nobody, 0, 0, Math.min(remaining, NAP_NANOS) / 1_000_000)
      if (monotonicNanos() >= targetNanos) resume(Effect.void)
      else immediate = setImmediate(look)
    }
    look()
    return Effect.sync(() => {
      clearTimeout(timer)
      clearImmediate(immediate)
    })
  })
