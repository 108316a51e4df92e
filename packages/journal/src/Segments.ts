/**
 * All segments of a journal: the last one grows, and old ones are read and removed.
 */
import { SqliteDatabase, type SqliteFailure } from "@sampleline/sqlite"
import { Effect, Exit, Scope, Semaphore } from "effect"
import * as fs from "node:fs"
import type { Item } from "./Packing.ts"
import * as Segment from "./Segment.ts"

export interface Segments {
  readonly catalogue: Segment.Catalogue
  /** The position behind the last item. */
  readonly end: () => number
  /** Adds items at the end. All or none is kept. */
  readonly append: (items: ReadonlyArray<Item>) => Effect.Effect<void, SqliteFailure>
  /** Items from a position, at most about `limit`, or from the first position behind it that has one. Null if there is none. */
  readonly read: (from: number, limit: number) => Effect.Effect<Segment.Items | null, SqliteFailure>
  /** How many bytes of items there are. */
  readonly bytes: () => number
  /** Whether the next append makes a new segment. */
  readonly isLastFull: () => boolean
  /** Removes the segments all of whose items are before a position. */
  readonly forget: (before: number) => Effect.Effect<void>
  /** Removes the oldest segment, unless it is the only one. */
  readonly forgetOldest: Effect.Effect<void>
  /** Forces what was appended to disk, without holding up anything. */
  readonly sync: Effect.Effect<void, SqliteFailure>
}

interface Open {
  readonly segment: Segment.Segment
  readonly scope: Scope.Closeable
}

/** Opens the segments of a folder. `segmentBytes` is how large a segment grows. */
export const open = Effect.fnUntraced(function*(
  folder: string,
  { isDurable, segmentBytes }: { readonly isDurable: boolean; readonly segmentBytes: number }
): Effect.fn.Return<Segments, SqliteFailure, Scope.Scope> {
  const catalogue = new Segment.Catalogue()
  const parent = yield* Effect.scope
  const firsts = yield* SqliteDatabase.attempt(() =>
    fs.readdirSync(folder).map(Segment.firstOf).filter((first) => first !== null).toSorted((a, b) => a - b)
  )
  const opened = new Map<number, Open>()
  const close = Effect.fnUntraced(function*(first: number) {
    const found = opened.get(first)
    opened.delete(first)
    if (found !== undefined) yield* Scope.close(found.scope, Exit.void)
  })
  /** The last one stays open, and of the others the one that was used last. */
  const at = Effect.fnUntraced(function*(first: number) {
    const found = opened.get(first)
    if (found !== undefined) return found.segment
    for (const other of opened.keys()) if (other !== firsts.at(-1)) yield* close(other)
    const scope = yield* Scope.fork(parent)
    const segment = yield* Segment.open(folder, first, catalogue, isDurable).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    opened.set(first, { segment, scope })
    return segment
  })

  const sizes = new Map(firsts.map((first) => [first, fs.statSync(Segment.pathOf(folder, first)).size]))
  let end = 0
  // Opening a segment also brings its run and its sources into the catalogue.
  for (const first of firsts) {
    const segment = yield* at(first)
    end = yield* SqliteDatabase.attempt(() => segment.end())
  }

  /** Nobody closes a segment that someone else uses. */
  const using = Semaphore.makeUnsafe(1)
  const alone = <A, E>(use: Effect.Effect<A, E>) => using.withPermit(Effect.uninterruptible(use))

  const add = (segment: Segment.Segment, items: ReadonlyArray<Item>) => {
    segment.append(end, items)
    if (segment.first !== firsts.at(-1)) firsts.push(segment.first)
    sizes.set(segment.first, segment.bytes())
    end += items.length
  }
  /** The last segment, if it may grow. */
  const withRoom = () => {
    const last = firsts.at(-1)
    const segment = last === undefined ? undefined : opened.get(last)?.segment
    return segment !== undefined && segment.bytes() < segmentBytes ? segment : undefined
  }
  /** The first segment that holds something that was not forced to disk. */
  let unsyncedFrom = 0
  const sync = Effect.suspend(() => {
    const unsynced = firsts.filter((first) => first >= unsyncedFrom)
    return Effect.andThen(
      Effect.forEach(unsynced, (first) => SqliteDatabase.syncLog(Segment.pathOf(folder, first)), { discard: true }),
      Effect.sync(() => {
        unsyncedFrom = unsynced.at(-1) ?? 0
      })
    )
  })

  /** Whether a new segment is being made. */
  let isGrowing = false
  const addToNew = (items: ReadonlyArray<Item>) =>
    alone(Effect.gen(function*() {
      isGrowing = true
      // Else a power cut could leave a hole before the new one. If it fails, the next `sync` tries again and tells.
      yield* Effect.ignore(sync)
      const segment = withRoom() ?? (yield* at(end))
      yield* SqliteDatabase.attempt(() => add(segment, items))
    })).pipe(Effect.ensuring(Effect.sync(() => {
      isGrowing = false
    })))

  const forgetOldest = Effect.gen(function*() {
    if (firsts.length < 2) return
    const [first] = firsts.splice(0, 1)
    yield* close(first!)
    sizes.delete(first!)
    yield* Effect.ignore(SqliteDatabase.remove(Segment.pathOf(folder, first!)))
  })

  return {
    catalogue,
    end: () => end,
    isLastFull: () => withRoom() === undefined,
    bytes: () => [...sizes.values()].reduce((sum, size) => sum + size, 0),
    append: (items) =>
      Effect.suspend(() => {
        // The last segment is never closed, so nobody needs to be waited for.
        const segment = isGrowing ? undefined : withRoom()
        return segment === undefined ? addToNew(items) : SqliteDatabase.attempt(() => add(segment, items))
      }),
    read: (from, limit) =>
      alone(Effect.gen(function*() {
        let n = Math.max(0, firsts.findLastIndex((first) => first <= from))
        for (; n < firsts.length; n++) {
          const segment = yield* at(firsts[n]!)
          const found = yield* SqliteDatabase.attempt(() => segment.read(from, limit))
          if (found !== null) return found
        }
        return null
      })),
    forget: (before) =>
      alone(Effect.whileLoop({
        while: () => firsts.length > 1 && firsts[1]! <= before,
        body: () => forgetOldest,
        step: () => {}
      })),
    forgetOldest: alone(forgetOldest),
    sync
  }
})
