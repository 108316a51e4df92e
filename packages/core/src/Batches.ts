/**
 * Samples on their way to the sink, in batches: one that is full, or whose first sample has waited for the flush interval.
 *
 * That is the rule of `Stream.groupedWithin`, which however drops its open batch when it is interrupted, and takes two fibers and
 * a timer for each batch. Here a timer is set only where the sink would have nothing to do, and what comes faster than it is
 * written costs one push a sample.
 */
import { Array, Cause, Effect, Latch } from "effect"
import type { Sample } from "./Sample.ts"

/** How many full batches may wait for the sink before those who bring samples have to wait. */
const WAITING = 4

/** @internal */
export interface Batches {
  /** To be followed by `added`, in the same step. */
  readonly add: (sample: Sample) => void
  /** Tells the taker; waits where it does not keep up. What was added is there, however the wait ends. */
  readonly added: () => Effect.Effect<void> | undefined
  /** No more samples come: what is there is taken at once. */
  readonly end: Effect.Effect<void>
  /** The next batch. */
  readonly take: Effect.Effect<Array.NonEmptyArray<Sample>, Cause.Done>
}

/** @internal */
export const makeBatches = (batchSize: number, flushNanos: number, monotonicNanos: () => number): Batches => {
  const full: globalThis.Array<globalThis.Array<Sample>> = []
  let open: globalThis.Array<Sample> = []
  let openedAt = 0
  /** The open batch that the taker waits for by a timer. */
  let timed: globalThis.Array<Sample> | undefined
  let isOver = false
  const news = Latch.makeUnsafe(false)
  const room = Latch.makeUnsafe(true)

  const due = (): globalThis.Array<Sample> | undefined => {
    if (full.length > 0) return full.shift()
    if (open.length === 0 || (!isOver && monotonicNanos() - openedAt < flushNanos)) return undefined
    const batch = open
    open = []
    return batch
  }

  const take: Batches["take"] = Effect.suspend(() => {
    const batch = due()
    if (batch !== undefined && Array.isArrayNonEmpty(batch)) {
      if (full.length <= WAITING / 2) room.openUnsafe()
      return Effect.succeed(batch)
    }
    if (isOver) return Cause.done()
    news.closeUnsafe()
    timed = open.length === 0 ? undefined : open
    if (timed === undefined) return Effect.andThen(news.await, take)
    const flush = Effect.sleep((openedAt + flushNanos - monotonicNanos()) / 1_000_000)
    return Effect.andThen(Effect.raceFirst(news.await, flush), take)
  })

  return {
    take,
    add: (sample) => {
      if (open.length === 0) openedAt = monotonicNanos()
      open.push(sample)
      if (open.length < batchSize) return
      full.push(open)
      open = []
    },
    added: () => {
      if (full.length >= WAITING) room.closeUnsafe()
      if (full.length > 0 || open !== timed) news.openUnsafe()
      return room.isOpen() ? undefined : room.await
    },
    end: Effect.sync(() => {
      isOver = true
      news.openUnsafe()
    })
  }
}
