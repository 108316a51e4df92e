/**
 * The file of a database, before and after SQLite has it open. Only `stat` and `access` look at it: opening and closing it
 * otherwise would drop the locks that SQLite holds in this process.
 */
import { type SinkOpenError, SinkWriteError } from "@sampleline/core"
import { removeFile, retryWhileLocked, SqliteDatabase, SqliteFailure } from "@sampleline/sqlite"
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import { fileOpenError, type Writer } from "./FileFailure.ts"
import { NameWatch, onNameLost } from "./NameWatch.ts"
import { checkLength, checkParents, Disk, isBrokenLink, makeParents } from "./OutputFile.ts"
import { foreignError, isUnreadable, sqliteOpenError, sqliteWriteError } from "./SqliteFailures.ts"
import type { SqliteSettings } from "./SqliteSettings.ts"

const attempt = <A>(writer: Writer, run: () => A): Effect.Effect<A, SinkOpenError> =>
  Effect.try({ try: run, catch: (cause) => fileOpenError(writer, cause) })

/** Whether the file exists. Fails if the sink may not use it. */
const exists = Effect.fnUntraced(function*(
  writer: Writer,
  { mode, path }: SqliteSettings
): Effect.fn.Return<boolean, SinkOpenError> {
  const stats = yield* attempt(writer, () => fs.statSync(path, { throwIfNoEntry: false }))
  // Else SQLite says only that it cannot open a file, and not before the first batch.
  yield* attempt(writer, () => checkLength(`${path}-journal`))
  // A new file is made with its own name: a link to nowhere is not followed.
  if (yield* attempt(writer, () => isBrokenLink(path))) return yield* fileOpenError(writer, { code: "EEXIST" })
  if (stats === undefined) return false
  if (stats.isDirectory()) return yield* fileOpenError(writer, { code: "EISDIR" })
  if (mode === "create") return yield* fileOpenError(writer, { code: "EEXIST" })
  // SQLite takes a file of one byte for an empty database, and would overwrite the byte.
  if (stats.size === 1) return yield* foreignError(writer)
  yield* attempt(writer, () => fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK))
  return true
})

export interface OpenSqlite {
  readonly database: SqliteDatabase.SqliteDatabase
  readonly isNew: boolean
  /** What a failure means for samples. */
  readonly failed: (samples: number) => (cause: SqliteFailure) => SinkWriteError
  /**
   * Opens the database again by its name if its disk has failed. True if so: then prepared statements and settings are gone. Throws
   * while the disk is away.
   */
  readonly reopenIfLost: () => boolean
  /** Forces what was committed to disk. */
  readonly toDisk: Effect.Effect<void, SqliteFailure>
  readonly watch: NameWatch
  /** Why the sink writes no more, with the samples that are lost: the file has lost its name. */
  readonly ended: () => SinkWriteError | undefined
}

/**
 * Opens the database, and makes its file if it is missing. An empty file is a new database too. If the run never began, the scope
 * removes a file that it made and that is empty.
 */
export const openSqlite = Effect.fnUntraced(function*(
  writer: Writer,
  settings: SqliteSettings,
  hasBegun: () => boolean
): Effect.fn.Return<OpenSqlite, SinkOpenError, Scope.Scope> {
  const { path } = settings
  const isMissing = !(yield* exists(writer, settings))
  const isNew = isMissing || sizeOf(path) === 0
  yield* Effect.acquireRelease(
    attempt(writer, () => {
      if (!isMissing) return
      makeParents(path)
      fs.closeSync(fs.openSync(path, "wx", 0o666))
    }),
    () =>
      // Where it cannot be removed, an empty file stays.
      Effect.ignore(Effect.try(() => isMissing && !hasBegun() && sizeOf(path) === 0 ? removeFile(path) : undefined))
        .pipe(Effect.andThen(Effect.logInfo(`${writer.sink} closed ${writer.target}`)))
  )
  const database = yield* Effect.mapError(SqliteDatabase.open(path), (cause) => sqliteOpenError(writer, cause))
  const disk = new Disk(path)
  let id = yield* attempt(writer, () => fs.statSync(path, { bigint: true }))
  const watch = new NameWatch(path, Effect.sync(() => id))
  let isLost = false
  return {
    database,
    isNew,
    failed: (samples) => (cause) => {
      const error = sqliteWriteError(writer, samples, settings.busyTimeout, cause)
      isLost ||= error.reason === "ConnectionLost"
      return error
    },
    reopenIfLost: () => {
      if (!isLost) return false
      if (!fs.existsSync(path)) disk.expect()
      database.reopen()
      // A disk that is back may have another number.
      id = fs.statSync(path, { bigint: true })
      isLost = false
      return true
    },
    toDisk: forcingToDisk(path, database),
    watch,
    ended: yield* endWhenNameLost(writer, database, watch)
  }
})

/** The system tells only once that it could not write the log's pages. Then they are written again, into the database. */
const forcingToDisk = (
  path: string,
  database: SqliteDatabase.SqliteDatabase
): Effect.Effect<void, SqliteFailure> => {
  let hasFailed = false
  const synced = Effect.tapError(SqliteDatabase.syncLog(path), () =>
    Effect.sync(() => {
      hasFailed = true
    }))
  const copied = SqliteDatabase.attempt(() => {
    const [found] = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all([])
    if (found?.["busy"] !== 0) throw SqliteFailure.busy("another program reads it")
    hasFailed = false
  })
  return Effect.suspend(() => hasFailed ? copied : synced)
}

/**
 * The log keeps the old name when a database is moved or replaced. Its pages are moved to the database at once: the next program
 * that opens the name would put them into the file that has it now. And no other database is begun under that name.
 */
const endWhenNameLost = Effect.fnUntraced(function*(
  writer: Writer,
  database: SqliteDatabase.SqliteDatabase,
  watch: NameWatch
): Effect.fn.Return<() => SinkWriteError | undefined, never, Scope.Scope> {
  let ended: SinkWriteError | undefined
  yield* Effect.addFinalizer(() => ended === undefined ? Effect.void : Effect.die(ended))
  yield* onNameLost(watch, ({ movedTo }) => {
    ended = new SinkWriteError({
      ...writer,
      reason: "Unknown",
      ...(movedTo === null
        ? {
          samples: watch.unseen,
          detail: "it was removed or replaced while it was recorded; what has its name now was not changed"
        }
        : { samples: 0, detail: `it was moved to ${movedTo} while it was recorded, and its samples are there` })
    })
    return Effect.ignore(SqliteDatabase.attempt(() => database.exec("PRAGMA wal_checkpoint(TRUNCATE)")))
  })
  return () => ended
})

/** The columns of the sink's table; empty if there is no such table. */
export const columnsOf = (
  database: SqliteDatabase.SqliteDatabase,
  { busyTimeout, table }: SqliteSettings
): Effect.Effect<ReadonlyArray<SqliteDatabase.SqliteColumn>, SqliteFailure> =>
  retryWhileLocked(() => database.columnsOf(table), busyTimeout)

/** An existing database, as far as it can be seen without changing anything. */
export interface SqliteView {
  readonly database: SqliteDatabase.SqliteDatabase
  readonly existing: ReadonlyArray<SqliteDatabase.SqliteColumn>
}

/**
 * Fails as opening would, and changes nothing. Gives the database, or null if there is none. It is `unreadable` if a crash left
 * it in a state that only opening it for writing repairs.
 */
export const viewSqlite = Effect.fnUntraced(function*(
  writer: Writer,
  settings: SqliteSettings
): Effect.fn.Return<SqliteView | "unreadable" | null, SinkOpenError, Scope.Scope> {
  const { path } = settings
  if (!(yield* exists(writer, settings))) {
    yield* attempt(writer, () => checkParents(path))
    return null
  }
  return yield* Effect.gen(function*() {
    const database = yield* SqliteDatabase.openReadOnly(path)
    return { database, existing: yield* columnsOf(database, settings) }
  }).pipe(
    Effect.catch((failure) =>
      isUnreadable(failure) && (sizeOf(`${path}-wal`) > 0 || sizeOf(`${path}-journal`) > 0)
        ? Effect.succeed("unreadable" as const)
        : Effect.fail(sqliteOpenError(writer, failure))
    )
  )
})

const sizeOf = (file: string): number => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0
