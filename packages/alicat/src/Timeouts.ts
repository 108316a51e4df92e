/**
 * Time-outs that this process cannot cause itself. If the process stood still, bytes that arrived in that time are read
 * before the time-out ends.
 */
import { Effect } from "effect"

const SLICES = 5

/** Calls `onEnd` after this time, in slices: however long the process stands still, only one slice passes. Gives what stops it. */
const awakeTimer = (ms: number, onEnd: () => void): () => void => {
  let left = SLICES
  const passed = () => {
    if (--left === 0) onEnd()
    else timer = setTimeout(passed, ms / SLICES)
  }
  let timer = setTimeout(passed, ms / SLICES)
  return () => clearTimeout(timer)
}

/**
 * Waits until something outside of any fiber is done, or for this time: then it gives null. `begin` gives what stops it, and may be
 * done at once.
 */
export const within = <A, E>(
  afterMs: number,
  begin: (done: (result: Effect.Effect<A, E>) => void) => () => void
): Effect.Effect<A | null, E> =>
  Effect.callback((resume) => {
    let stopTimer: (() => void) | undefined
    let isDone = false
    const stop = begin((result) => {
      isDone = true
      stopTimer?.()
      resume(result)
    })
    if (isDone) return
    stopTimer = awakeTimer(afterMs, () => {
      stop()
      resume(Effect.succeed(null))
    })
    return Effect.sync(() => {
      stopTimer?.()
      stop()
    })
  })

/** Sleeps in slices. However long the process stands still, only one slice passes. */
export const sleepAwake = (ms: number): Effect.Effect<null> => within<never, never>(ms, () => () => {})
