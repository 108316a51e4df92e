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
  /** Removes the segments all of whose items are before a position. */
  readonly forget: (before: number) => Effect.Effect<void>
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

  const appending = Semaphore.makeUnsafe(1)
  let end = 0
  // Opening a segment also brings its run and its sources into the catalogue.
  for (const first of firsts) end = (yield* at(first)).end()

  return {
    catalogue,
    end: () => end,
    append: (items) =>
      appending.withPermit(Effect.uninterruptible(Effect.gen(function*() {
        const last = firsts.at(-1)
        const grown = last === undefined ? undefined : opened.get(last)?.segment
        const segment = grown !== undefined && grown.bytes() < segmentBytes ? grown : yield* at(end)
        yield* SqliteDatabase.attempt(() => segment.append(end, items))
        if (segment.first !== last) firsts.push(segment.first)
        end += items.length
      }))),
    read: (from, limit) =>
      Effect.gen(function*() {
        let n = Math.max(0, firsts.findLastIndex((first) => first <= from))
        for (; n < firsts.length; n++) {
          const found = (yield* at(firsts[n]!)).read(from, limit)
          if (found !== null) return found
        }
        return null
      }),
    forget: (before) =>
      Effect.uninterruptible(Effect.gen(function*() {
        while (firsts.length > 1 && firsts[1]! <= before) {
          const [first] = firsts.splice(0, 1)
          yield* close(first!)
          for (const suffix of ["", "-wal", "-shm"]) {
            yield* Effect.ignore(
              SqliteDatabase.attempt(() => fs.rmSync(Segment.pathOf(folder, first!) + suffix, { force: true }))
            )
          }
        }
      }))
  }
})
