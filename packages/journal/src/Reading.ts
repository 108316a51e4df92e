/**
 * Reads a journal where it is: while a recorder appends to it and removes old segments, and after a kill. Changes nothing, and takes no lock
 * of the journal. Not for users: the package `@sampleline/files` reads journals with it.
 *
 * @since 0.1.0
 */
import { type Run, type RunEvent, Sample } from "@sampleline/core"
import { SqliteDatabase, type SqliteFailure } from "@sampleline/sqlite"
import { Effect, Exit, Schedule, Scope, Semaphore } from "effect"
import * as fs from "node:fs"
import { failureOf } from "./failureOf.ts"
import { JournalError } from "./JournalError.ts"
import * as Ledger from "./Ledger.ts"
import { checksum, COUNTS, hasEvents, type Source, unpack } from "./Packing.ts"
import { appendsBetween, firstOf, lastAppend, LAYOUT, otherVersion, pathOf, runIn, sourcesIn } from "./Segment.ts"

export {
  type PackedColumn,
  PackedColumns,
  type PackedContext,
  type PackedValues,
  type PositionOf
} from "./PackedColumns.ts"
export type { Source } from "./Packing.ts"

/** A journal that is read. */
export interface Reading {
  readonly folder: string
  /** The position of the first item of each segment that is there now, in order. */
  readonly segments: Effect.Effect<ReadonlyArray<number>, JournalError>
  /** Uses a segment. Null if it is there no longer. What `use` throws is taken for a failure of SQLite. */
  readonly read: <A>(first: number, use: (segment: ReadSegment) => A) => Effect.Effect<A | null, JournalError>
}

/** Opens a journal for reading. The scope closes it. */
export const open = Effect.fnUntraced(function*(folder: string): Effect.fn.Return<Reading, JournalError, Scope.Scope> {
  const parent = yield* Effect.scope
  const opened = new Map<number, Opened>()
  const made = ledgerOf(folder)
  const segments = Effect.try({
    try: () => {
      const now = ledgerOf(folder)
      if (now === null || now !== made) throw isGone(folder)
      return fs.readdirSync(folder).map(firstOf).filter((first) => first !== null).toSorted((a, b) => a - b)
    },
    catch: (cause) => failureOf(folder, cause)
  })
  yield* segments

  const close = Effect.fnUntraced(function*(first: number) {
    const found = opened.get(first)
    opened.delete(first)
    if (found !== undefined) yield* Scope.close(found.scope, Exit.void)
  })
  /** It is opened again if someone has written who was not there before. */
  const segmentAt = Effect.fnUntraced(function*(first: number) {
    const found = opened.get(first)
    if (found !== undefined) {
      opened.delete(first)
      opened.set(first, found)
      if (found.stamp === null || found.stamp === stampOf(folder, first)) return found.segment
    }
    yield* close(first)
    for (const other of opened.keys()) if (opened.size >= MOST_OPEN) yield* close(other)
    const scope = yield* Scope.fork(parent)
    const fresh = yield* openSegment(folder, first).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    if (fresh === null) yield* Scope.close(scope, Exit.void)
    else opened.set(first, { ...fresh, scope })
    return fresh?.segment ?? null
  })

  const using = Semaphore.makeUnsafe(1)
  return {
    folder,
    segments,
    read: (first, use) =>
      segmentAt(first).pipe(
        Effect.flatMap((segment) =>
          segment === null ? Effect.succeed(null) : SqliteDatabase.attempt(() => use(segment))
        ),
        // Its recorder is making it, or begins its log.
        Effect.retry({ while: isLocked, times: 100, schedule: Schedule.spaced("10 millis") }),
        Effect.catchIf(() => !fs.existsSync(pathOf(folder, first)), () => Effect.succeed(null)),
        Effect.mapError((cause) => failureOf(folder, cause)),
        (read) => using.withPermit(Effect.uninterruptible(read))
      )
  }
})

const MOST_OPEN = 3

const isLocked = (failure: JournalError | SqliteFailure): boolean => "isBusy" in failure && failure.isBusy

interface Opened {
  readonly segment: ReadSegment
  /** How its files were. Null if SQLite itself looks at each use whether someone has written. */
  readonly stamp: string | null
  readonly scope: Scope.Closeable
}

/** Tells journals of one name apart; null if there is none. */
const ledgerOf = (folder: string): string | null => {
  const stats = fs.statSync(Ledger.fileOf(folder), { throwIfNoEntry: false })
  return stats === undefined ? null : `${stats.ino} ${stats.birthtimeMs}`
}

const isGone = (folder: string): JournalError =>
  new JournalError({
    path: folder,
    reason: "Missing",
    detail: "there is no journal, or another one than before; it is removed when all its outputs have everything"
  })

/** Tells whether the files of a segment have changed. */
const stampOf = (folder: string, first: number): string =>
  ["", "-wal", "-shm"].map((suffix) => {
    const stats = fs.statSync(pathOf(folder, first) + suffix, { throwIfNoEntry: false })
    return stats === undefined ? "" : `${stats.ino} ${stats.size} ${stats.mtimeMs}`
  }).join()

/** Null if it is empty: its recorder is making it. */
const openSegment = Effect.fnUntraced(function*(
  folder: string,
  first: number
): Effect.fn.Return<Omit<Opened, "scope"> | null, JournalError | SqliteFailure, Scope.Scope> {
  const file = pathOf(folder, first)
  const isShared = fs.existsSync(`${file}-shm`)
  const stamp = stampOf(folder, first)
  const database = yield* SqliteDatabase.openReadOnly(file)
  const version = yield* SqliteDatabase.attempt(() =>
    database.prepare("PRAGMA user_version").all([])[0]?.["user_version"]
  )
  if (version === 0) return null
  if (version !== LAYOUT) return yield* otherVersion(folder, version)
  const segment = yield* SqliteDatabase.attempt(() => new ReadSegment(database, first))
  return { segment, stamp: isShared ? null : stamp }
})

/** Items of an append that follow one another. */
export interface ReadAppend {
  /** The position of its first item. */
  readonly first: number
  readonly count: number
  /** What was packed; null if it is damaged. */
  readonly data: Uint8Array | null
}

/** What the items of a segment have in common. */
export interface Description {
  /** Undefined before the first sample. */
  readonly run: Run | undefined
  readonly sources: ReadonlyMap<number, Source>
}

/** An event and its position. */
export interface ReadEvent {
  readonly at: number
  readonly event: RunEvent
}

/** A segment that is read. The methods are synchronous and throw. */
export class ReadSegment {
  private readonly database: SqliteDatabase.SqliteDatabase
  private readonly first: number
  private known: Description
  private readonly select: SqliteDatabase.SqliteStatement
  private readonly selectCounts: SqliteDatabase.SqliteStatement
  /** The counts of an append without events. Most have the same, and SQLite passes over them. */
  private usualCounts: Uint8Array = new Uint8Array()
  private readonly after: SqliteDatabase.SqliteStatement
  private readonly last: SqliteDatabase.SqliteStatement

  constructor(database: SqliteDatabase.SqliteDatabase, first: number) {
    this.database = database
    this.first = first
    this.select = database.prepare(`SELECT first, count, sum, data ${appendsBetween}`)
    this.selectCounts = database.prepare(
      `SELECT * FROM (SELECT first, substr(data, ${COUNTS.from + 1}, ${COUNTS.length}) AS counts ${appendsBetween})`
        + " WHERE counts IS NOT ?3"
    )
    this.after = database.prepare("SELECT min(first) AS first FROM appends WHERE first > ?")
    this.last = database.prepare(lastAppend)
    this.known = this.describe()
  }

  /** The position behind its last item. */
  end(): number {
    const [row] = this.last.all([])
    return row === undefined ? this.first : Number(row["first"]) + Number(row["count"])
  }

  /** Its run and its sources as of now. */
  describe(): Description {
    return this.known = { run: runIn(this.database), sources: sourcesIn(this.database) }
  }

  /** The id of its run; null if it is not known. */
  runId(): string | null {
    return (this.known.run ?? this.describe().run)?.id ?? null
  }

  /** The source of this number; undefined if it is not known. */
  readonly sourceOf = (id: number): Source | undefined => this.known.sources.get(id) ?? this.describe().sources.get(id)

  /** The appends that have items from a position on, and begin before another one. If there is none, the next one. */
  appends(from: number, to: number): ReadonlyArray<ReadAppend> {
    const rows = this.select.arrays([from, to]).map(([first, count, sum, data]) => ({
      first: Number(first),
      count: Number(count),
      data: data instanceof Uint8Array && checksum(data, Number(first)) === sum ? data : null
    })).filter(({ count, first }) => first + count > from)
    if (rows.length > 0) return rows
    const next = this.after.all([from])[0]?.["first"]
    // A damaged tree can lead back.
    return typeof next === "number" && next > from ? this.appends(next, next + 1) : []
  }

  /** The events from a position on, up to another one. Appends of samples alone are not read. */
  events(from: number, to: number): ReadonlyArray<ReadEvent> {
    const found = this.selectCounts.all([from, to, this.usualCounts])
      .filter(({ counts }) => {
        if (!(counts instanceof Uint8Array) || counts.length < COUNTS.length) return false
        if (hasEvents(counts)) return true
        this.usualCounts = counts
        return false
      })
    return found
      .flatMap(({ first }) => this.appends(Number(first), Number(first) + 1))
      .flatMap(({ data, first }) => {
        const items = data === null ? null : unpack(data, this.known.run ?? this.describe().run, this.sourceOf)
        return (items ?? []).flatMap((event, n) => event instanceof Sample ? [] : [{ at: first + n, event }])
      })
      .filter(({ at }) => at >= from && at < to)
  }
}
