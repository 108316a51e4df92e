/**
 * The journal on disk: a folder with a ledger, segments and a lock. Items are appended at the end, and read from any position while
 * others are appended.
 *
 * The latest items are kept in memory too, so that an output that keeps up reads nothing from disk.
 */
import { type Run, SampleClock } from "@sampleline/core"
import { OwnerLock, SqliteDatabase, type SqliteFailure, syncFolder } from "@sampleline/sqlite"
import { type Array, Duration, Effect, Option, type Scope, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { failureOf, isPassing } from "./failureOf.ts"
import { JournalError } from "./JournalError.ts"
import * as Ledger from "./Ledger.ts"
import type { Item } from "./Packing.ts"
import { firstOf } from "./Segment.ts"
import * as Segments from "./Segments.ts"

export interface StoreOptions {
  /** The journal's folder. */
  readonly path: string
  /** When appends are forced to disk. */
  readonly fsync: "never" | "interval" | "always"
  /** How large a segment grows, in bytes. */
  readonly segmentBytes: number
  /** How long an append waits for room on a full disk. */
  readonly diskWait: Duration.Duration
  /** How large the journal may grow, in bytes of items. */
  readonly maxBytes: number
  /** What happens then: no more is accepted, or the oldest items go, whether outputs have them or not. */
  readonly whenFull: "stop" | "drop-oldest"
}

export interface Store {
  readonly id: string
  readonly path: string
  /** What the journal's maker keeps with it. */
  readonly settings: string | null
  /** Null before the first sample. */
  readonly run: () => Run | null
  /** The position behind the last item. */
  readonly end: () => number
  /** The position behind the last item that was on disk when the journal was opened; infinity for a new one. */
  readonly found: number
  /** Completes when there is an item, or none will come. */
  readonly begun: Effect.Effect<void>
  /** Null if there is none at that position, or it is lost. */
  readonly at: (position: number) => Effect.Effect<Item | null, JournalError>
  readonly append: (items: Array.NonEmptyReadonlyArray<Item>) => Effect.Effect<void, JournalError>
  /**
   * Items from a position on, and those that are appended meanwhile. Before it looks for those it makes a pause. Ends at `flush`, at
   * `seal`, and before items that are lost.
   */
  readonly read: (from: number, pause?: Duration.Duration) => Stream.Stream<Item, JournalError>
  /** The first position from `from` on whose item is not lost. */
  readonly nextFrom: (from: number) => Effect.Effect<number, JournalError>
  /** Ends all streams of `read`, so that nothing waits in an open batch. */
  readonly flush: Effect.Effect<void>
  /** Completes at the next `flush` or `seal`. */
  readonly flushed: Effect.Effect<unknown>
  /** `flush`, and no items will follow. */
  readonly seal: Effect.Effect<void>
  readonly isSealed: () => boolean
  readonly kept: (output: string) => Ledger.Kept
  readonly outputs: () => ReadonlyMap<string, Ledger.Kept>
  readonly keep: (output: string, kept: Ledger.Kept) => Effect.Effect<void, JournalError>
  /** Forces what was kept of outputs to disk, or warns. */
  readonly syncPlaces: Effect.Effect<void>
  /** The position up to which all outputs have everything for sure. */
  readonly heldBack: () => number
  /** Removes what is before a position, as far as whole segments allow. */
  readonly forget: (before: number) => Effect.Effect<void>
  /** Removes the journal when its scope closes. */
  readonly finish: Effect.Effect<void>
}

/** How many of the latest items are kept in memory, at least; twice as many at most. */
const LATEST = 1 << 12
/** How many items are read at a time. */
const CHUNK = 1 << 10
/** How often what was appended is forced to disk. This takes time, and what comes meanwhile waits for the next time: a second in all. */
const SYNC_INTERVAL = "750 millis"
/** How long the end of a run waits for the disk. */
const LONGEST_SYNC = "1 second"
/** At which parts of `maxBytes` there is a warning. */
const WARNINGS = [0.5, 0.8, 0.9, 0.95]
const RETRY_INTERVAL = "100 millis"

/** Makes a journal. Its folder must not exist, or hold a journal that accepted nothing before its recorder was killed. */
export const create = Effect.fnUntraced(function*(
  options: StoreOptions,
  made: Ledger.Made
): Effect.fn.Return<Store, JournalError, Scope.Scope> {
  const { path: folder } = options
  yield* attempt(folder, () => fs.mkdirSync(path.dirname(folder), { recursive: true }))
  yield* removeRemains(folder)
  yield* attempt(folder, () => {
    if (!fs.existsSync(folder)) fs.mkdirSync(folder)
    else if (!isEmpty(folder)) throw alreadyExists(folder)
  })
  yield* syncFolder(path.dirname(folder))
  return yield* openFolder(options, made)
})

const attempt = <A>(folder: string, run: () => A): Effect.Effect<A, JournalError> =>
  Effect.try({ try: run, catch: (cause) => failureOf(folder, cause) })

/** Whether a folder has no samples and no file that is not a journal's. */
const isEmpty = (folder: string): boolean => fs.readdirSync(folder).every((name) => /^(owner|journal\.db)/.test(name))

const alreadyExists = (path: string) =>
  new JournalError({
    path,
    reason: "AlreadyExists",
    detail: "it holds a run that is not yet in all its outputs; finish it with resume, or choose another journal"
  })

/** Opens a journal that exists. */
export const open = Effect.fnUntraced(function*(
  options: StoreOptions
): Effect.fn.Return<Store, JournalError, Scope.Scope> {
  const { path } = options
  const missing = Effect.flatMap(attempt(path, () => !fs.existsSync(path) || isEmpty(path)), (isNone) =>
    isNone
      ? new JournalError({ path, reason: "Missing", detail: "there is no journal" })
      : new JournalError({ path, reason: "Damaged", detail: "its file journal.db is missing" }))
  if ((yield* attempt(path, () => inodeOf(path))) === null) return yield* missing
  // Its recorder was killed while it made that file.
  return yield* Effect.catchIf(openFolder(options), ({ reason }) => reason === "Missing", () => missing)
})

const openFolder = Effect.fnUntraced(function*(
  options: StoreOptions,
  made?: Ledger.Made
): Effect.fn.Return<Store, JournalError, Scope.Scope> {
  const { path: folder } = options
  const failed = (cause: unknown) => failureOf(folder, cause)
  let isFinished = false
  let inode: bigint | null = null
  // First, so that the folder goes last, when its databases are closed.
  yield* Effect.addFinalizer(() => Effect.suspend(() => isFinished ? remove(folder, inode) : Effect.void))
  yield* Effect.mapError(OwnerLock.acquire(lockOf(folder)), failed)
  if (made !== undefined) yield* Effect.mapError(SqliteDatabase.remove(Ledger.fileOf(folder)), failed)
  const ledger = yield* Effect.catchTag(Ledger.open(folder, made), "SqliteFailure", (failure) => failed(failure))
  inode = yield* attempt(folder, () => inodeOf(folder))
  const segments = yield* Effect.mapError(
    Segments.open(folder, { isDurable: options.fsync === "always", segmentBytes: options.segmentBytes }),
    failed
  )
  const found = made === undefined ? segments.end() : Infinity
  /** As they are on disk, and as they are to be. */
  const outputs = new Map(ledger.outputs)
  if (found === 0 && [...outputs.values()].some(({ place }) => place !== null && place.through > 0)) {
    const detail = "it holds nothing, although its outputs have samples of it: its segments are missing; put them back"
    return yield* new JournalError({ path: folder, reason: "Damaged", detail })
  }
  const wanted = new Map(outputs)

  /** The latest items, from position `latestFrom` on. */
  const latest: Array<Item> = []
  let latestFrom = segments.end()
  const remember = (items: ReadonlyArray<Item>) => {
    for (const item of items) latest.push(item)
    if (latest.length < 2 * LATEST) return
    latestFrom += latest.length - LATEST
    latest.splice(0, latest.length - LATEST)
  }

  let isSealed = false
  let flushes = 0
  let waiting: ReadonlyArray<() => void> = []
  const wake = () => {
    const all = waiting
    waiting = []
    for (const resume of all) resume()
  }
  const flush = Effect.sync(() => {
    flushes++
    wake()
  })
  const change = Effect.callback<void>((resume) => {
    const done = () => resume(Effect.void)
    waiting = [...waiting, done]
    return Effect.sync(() => waiting = waiting.filter((other) => other !== done))
  })

  const begun: Effect.Effect<void> = Effect.suspend(() =>
    segments.end() > 0 || isSealed ? Effect.void : Effect.andThen(change, begun)
  )

  /** Items from a position that is not at the end; none if they are lost. */
  const chunkAt = (from: number): Effect.Effect<ReadonlyArray<Item>, JournalError> => {
    if (from >= latestFrom) return Effect.succeed(latest.slice(from - latestFrom, from - latestFrom + CHUNK))
    return Effect.mapBoth(segments.read(from, CHUNK), {
      onFailure: failed,
      onSuccess: (found) => found === null || found.from !== from ? [] : found.items
    })
  }

  const warnOfSync = ({ message }: SqliteFailure) =>
    Effect.logWarning(`journal ${folder}: it could not be forced to disk, and may not survive a power cut: ${message}`)
  const sync = Effect.catch(segments.sync, warnOfSync)
  const forcePlaces = SqliteDatabase.syncLog(Ledger.fileOf(folder))
  const syncPlaces = Effect.catch(forcePlaces, warnOfSync)
  const heldBack = () => Math.min(segments.end(), ...[...outputs.values()].map(({ place }) => place?.through ?? 0))
  // The places come to the disk before what they make needless goes from it.
  const forget = (before: number) => Effect.ignore(Effect.andThen(forcePlaces, segments.forget(before)))

  // Only then: if each event dropped a segment, telling of a gap would make the next one.
  const isFull = () => segments.isLastFull() && segments.bytes() + options.segmentBytes > options.maxBytes
  const makeRoom = Effect.gen(function*() {
    if (outputs.size > 0) yield* forget(heldBack())
    if (!isFull()) return
    if (options.whenFull === "drop-oldest") return yield* segments.forgetOldest
    return yield* new JournalError({
      path: folder,
      reason: "Full",
      detail: `it has grown to its bound of ${inMebibytes(options.maxBytes)}, because an output is far behind`
    })
  })
  const clock = yield* SampleClock.current
  const patiently = patience(options, clock)
  const warnOfSize = watchSize(options, clock, segments.bytes)
  const keepOnDisk = {
    always: syncPlaces,
    interval: Effect.andThen(sync, syncPlaces),
    never: Effect.void
  }
  const tellIfGone = tellOnceIfGone(folder, inode)
  yield* Effect.forkScoped(Effect.forever(
    Effect.sleep(SYNC_INTERVAL).pipe(
      Effect.andThen(keepOnDisk[options.fsync]),
      Effect.andThen(warnOfSize),
      Effect.andThen(tellIfGone)
    )
  ))

  return {
    id: ledger.id,
    path: folder,
    settings: ledger.settings,
    run: () => segments.catalogue.run ?? null,
    end: segments.end,
    found,
    begun,
    at: (position) =>
      Effect.mapBoth(segments.read(position, 1), {
        onFailure: failed,
        onSuccess: (found) => found?.from === position ? found.items[0] ?? null : null
      }),
    append: (items) =>
      Effect.suspend(() => isFull() ? makeRoom : Effect.void).pipe(
        Effect.andThen(patiently(segments.append(items))),
        Effect.mapError(failed),
        Effect.map(() => {
          remember(items)
          wake()
        })
      ),
    read: (from, pause = Duration.zero) => {
      const begunAt = flushes
      const next = (
        from: number
      ): Effect.Effect<readonly [ReadonlyArray<Item>, Option.Option<number>], JournalError> => {
        if (from >= segments.end()) {
          return isSealed || flushes > begunAt
            ? Effect.succeed(THE_END)
            : change.pipe(Effect.andThen(Effect.sleep(pause)), Effect.andThen(Effect.suspend(() => next(from))))
        }
        return Effect.map(
          chunkAt(from),
          (items) => items.length === 0 ? THE_END : [items, Option.some(from + items.length)]
        )
      }
      return Stream.paginate(from, next)
    },
    nextFrom: (from) => {
      if (from >= latestFrom) return Effect.succeed(from)
      return Effect.mapBoth(segments.read(from, 1), {
        onFailure: failed,
        onSuccess: (found) => found?.from ?? latestFrom
      })
    },
    flush,
    flushed: Effect.suspend(() => {
      const before = flushes
      return Effect.repeat(change, { until: () => flushes > before })
    }),
    // The end of the run is in the journal before outputs have it, or after a power cut they would get another one.
    seal: Effect.andThen(
      options.fsync === "interval" ? Effect.timeoutOption(sync, LONGEST_SYNC) : Effect.void,
      Effect.suspend(() => {
        isSealed = true
        return flush
      })
    ),
    isSealed: () => isSealed,
    kept: (output) => wanted.get(output) ?? { place: null, first: null },
    outputs: () => outputs,
    keep: (output, kept) =>
      Effect.suspend(() => {
        wanted.set(output, kept)
        const keep = SqliteDatabase.attempt(() => {
          // While the disk is full, a later one may have come.
          const latest = wanted.get(output)!
          ledger.keep(output, latest)
          outputs.set(output, latest)
        })
        return Effect.mapError(patiently(keep), failed)
      }),
    syncPlaces,
    heldBack,
    forget,
    finish: Effect.sync(() => {
      isFinished = true
    })
  }
})

const lockOf = (folder: string): string => path.join(folder, "owner")

/** Fails if another process records or resumes the journal. Changes nothing. */
export const checkOwner = (folder: string): Effect.Effect<void, JournalError> =>
  Effect.mapError(OwnerLock.check(lockOf(folder)), (cause) => failureOf(folder, cause))

/** A copy of what tells what a journal holds: its ledger and its last segment. It goes with the scope. */
export const copyEnds = (folder: string): Effect.Effect<string, JournalError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(folder, () => fs.mkdtempSync(path.join(os.tmpdir(), "sampleline-"))),
    (copy) => Effect.sync(() => fs.rmSync(copy, { recursive: true, force: true }))
  ).pipe(Effect.tap((copy) =>
    attempt(folder, () => {
      const names = fs.statSync(folder).isDirectory() ? fs.readdirSync(folder) : []
      const last = names.filter((name) => firstOf(name) !== null).toSorted().at(-1)
      for (const file of [path.basename(Ledger.fileOf(folder)), last ?? []].flat()) {
        for (const name of [file, `${file}-wal`]) {
          if (names.includes(name)) fs.copyFileSync(path.join(folder, name), path.join(copy, name))
        }
      }
    })
  ))

/**
 * Removes a journal. A crash meanwhile leaves all of it, or nothing under its name. Afterwards it does not come back. Nobody needs it
 * any more, so that it cannot be removed is only told.
 */
const remove = Effect.fnUntraced(
  function*(folder: string, inode: bigint | null) {
    if (!(yield* isThere(folder, inode))) {
      return yield* Effect.logWarning(
        `journal ${folder}: someone has removed or moved it while it was used; its outputs have everything, so it is no longer needed`
      )
    }
    yield* attempt(folder, () => fs.renameSync(folder, removedOf(folder)))
    yield* syncFolder(path.dirname(folder))
    yield* removeRemains(folder)
  },
  Effect.catch(({ message }) =>
    Effect.logWarning(`${message}; it could not be removed and stays, although its outputs have everything`)
  )
)

/** Tells that a journal is no longer under its name. Later looks tell nothing. */
const tellOnceIfGone = (folder: string, inode: bigint | null): Effect.Effect<void> => {
  let isTold = false
  const tell = Effect.suspend(() => {
    isTold = true
    return Effect.logError(
      `journal ${folder}: someone has removed or moved it. If this recorder is killed, what outputs lack is lost, and it stops when the `
        + "journal needs its next file. Put it back, or end the recording and begin another"
    )
  })
  // Where nobody can look, it may be there.
  const look = Effect.orElseSucceed(isThere(folder, inode), () => true)
  return Effect.suspend(() => isTold ? Effect.void : Effect.flatMap(look, (isHere) => isHere ? Effect.void : tell))
}

/** Whether the journal with this inode has its name. */
const isThere = (folder: string, inode: bigint | null): Effect.Effect<boolean, JournalError> =>
  attempt(folder, () => inodeOf(folder) === inode)

/** Tells a journal from another one that has its name now; null if there is none. */
const inodeOf = (folder: string): bigint | null =>
  fs.statSync(Ledger.fileOf(folder), { bigint: true, throwIfNoEntry: false })?.ino ?? null

/** Removes what has lost its name. `fs.rmSync` throws an error without a code for some failures, such as EROFS. */
const removeRemains = (folder: string): Effect.Effect<void, JournalError> =>
  Effect.tryPromise({
    try: () => fs.promises.rm(removedOf(folder), { recursive: true, force: true }),
    catch: (cause) => failureOf(folder, cause)
  })

/** The name of a journal that is being removed. */
const removedOf = (folder: string): string => path.join(path.dirname(folder), `.${path.basename(folder)}.removed`)

/** Warns, in good time, of a journal that will reach its bound. */
const watchSize = (
  { maxBytes, path, whenFull }: StoreOptions,
  clock: SampleClock.SampleClock,
  bytes: () => number
): Effect.Effect<void> => {
  const begunAt = clock.monotonicNanos()
  const begunWith = bytes()
  let warnings = 0
  return Effect.suspend(() => {
    const now = bytes()
    const next = WARNINGS.findIndex((part) => now < part * maxBytes)
    const passed = next < 0 ? WARNINGS.length : next
    const isNew = passed > warnings
    warnings = passed
    if (!isNew) return Effect.void
    const perNano = (now - begunWith) / (clock.monotonicNanos() - begunAt)
    const left = Duration.nanos(BigInt(Math.max(0, Math.round((maxBytes - now) / perNano))))
    const then = whenFull === "stop" ? "the recording stops" : "it drops its oldest samples"
    return Effect.logWarning(
      `journal ${path}: it has grown to ${inMebibytes(now)} of ${
        inMebibytes(maxBytes)
      }, because an output is far behind; in about ${
        Duration.format(Duration.seconds(Math.round(Duration.toSeconds(left))))
      } ${then}`
    )
  })
}

const inMebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`

const THE_END: readonly [ReadonlyArray<Item>, Option.Option<number>] = [[], Option.none()]

/**
 * Tries again while the disk is full or fails, for at most `diskWait`. Ticks wait meanwhile in the recorder's buffer. It is told once,
 * however many wait.
 */
const patience = ({ diskWait, path }: StoreOptions, clock: SampleClock.SampleClock) => {
  let waiting = 0
  const waits = (failure: SqliteFailure) =>
    Effect.suspend(() =>
      waiting++ > 0
        ? Effect.void
        : Effect.logWarning(
          `journal ${path}: ${failure.message}; waiting for up to ${Duration.format(diskWait)} until it can be written`
        )
    )
  const succeeds = Effect.suspend(() =>
    waiting === 1 ? Effect.logInfo(`journal ${path}: it is written again`) : Effect.void
  )
  return <A>(run: Effect.Effect<A, SqliteFailure>): Effect.Effect<A, SqliteFailure> =>
    Effect.catchIf(run, isPassing, (failure) => {
      const deadline = clock.monotonicNanos() + Duration.toMillis(diskWait) * 1e6
      return Effect.sleep(RETRY_INTERVAL).pipe(
        Effect.andThen(run),
        Effect.retry({ while: (failure) => isPassing(failure) && clock.monotonicNanos() < deadline }),
        Effect.tap(() => succeeds),
        (again) => Effect.ensuring(Effect.andThen(waits(failure), again), Effect.sync(() => waiting--))
      )
    })
}
