/**
 * Waiting for a monotonic time more precisely than a timer can.
 */
import { Effect } from "effect"

/** A timer fires up to a millisecond late, so it is set this much before the target. */
const TIMER_NANOS = 1_100_000
const LONGEST_TIMER_MILLIS = 2 ** 31 - 1
/** A nap blocks the event loop for no longer than this. Shorter naps cost more processor time. */
const NAP_NANOS = 500_000
/** So does a look at the clock. */
const LOOK_NANOS = 50_000

const nobody = new Int32Array(new SharedArrayBuffer(4))

/**
 * Returns at or after `targetNanos`. A timer ends a millisecond or two before the target, then naps follow: a nap blocks the
 * thread, costs no processor time, and ends about 0.1 ms late, where a timer is 1 ms late. With `precise` it looks at the clock
 * instead of napping. The event loop turns between naps and between looks.
 */
export const napUntil = (targetNanos: number, precise: boolean, monotonicNanos: () => number): Effect.Effect<void> =>
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
