/**
 * The one place that knows which SQLite driver there is: Node's own `node:sqlite`, loaded when the first database is opened.
 *
 * Calls are synchronous and never wait for a lock. `retryWhileLocked` waits.
 *
 * Never open a database's file with `node:fs` in a process that has the database open: closing that file drops SQLite's
 * locks, and another process can then overwrite rows. `stat` and `access` are safe.
 */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import type { SQLInputValue, SQLOutputValue } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { removeFile } from "./removeFile.ts"
import { SqliteFailure } from "./SqliteFailure.ts"
import { syncFile } from "./sync.ts"

/**
 * A prepared statement. Its methods throw the driver's errors.
 *
 * @since 0.1.0
 * @category models
 */
export interface SqliteStatement {
  readonly run: (values: ReadonlyArray<SQLInputValue>) => void
  /** The rows of a query. */
  readonly all: (values: ReadonlyArray<SQLInputValue>) => ReadonlyArray<{ readonly [column: string]: SQLOutputValue }>
  /** The rows of a query as arrays: reading many rows takes two thirds of the time. */
  readonly arrays: (values: ReadonlyArray<SQLInputValue>) => ReadonlyArray<ReadonlyArray<SQLOutputValue>>
}

/**
 * A column of a table.
 *
 * @since 0.1.0
 * @category models
 */
export interface SqliteColumn {
  readonly name: string
  /** The declared type; empty if none was declared. */
  readonly type: string
  readonly isNotNull: boolean
  /** Whether a row must have a value for it: it is NOT NULL, and SQLite fills in none. */
  readonly isRequired: boolean
  /** Whether SQLite fills it in: it has a default, or is the integer key. */
  readonly hasDefault: boolean
  /** Whether its table is STRICT, so that it takes only values of its type. */
  readonly isStrict: boolean
}

/**
 * Gives `name`, `type`, and, each 0 or 1, `isNotNull`, `isRequired`, `hasDefault` and `isStrict` of each column of a table. Its one
 * parameter is the table's name.
 *
 * @since 0.1.0
 * @category queries
 */
export const columnsQuery = "SELECT name, type, \"notnull\" AS isNotNull, "
  // SQLite fills in an integer key.
  + `"notnull" AND dflt_value IS NULL AND pk = 0 AS isRequired, `
  + "dflt_value IS NOT NULL OR (type = 'INTEGER' COLLATE NOCASE AND pk = 1 "
  + "AND (SELECT count(*) FROM pragma_table_info(?1) WHERE pk > 0) = 1) AS hasDefault, "
  + "EXISTS (SELECT * FROM pragma_table_list(?1) WHERE strict) AS isStrict "
  + "FROM pragma_table_info(?1)"

/**
 * An open database. All methods throw the driver's errors: call them in `attempt` or `retryWhileLocked`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SqliteDatabase {
  readonly exec: (sql: string) => void
  readonly prepare: (sql: string) => SqliteStatement
  /** The columns of a table; empty if there is no such table. */
  readonly columnsOf: (table: string) => ReadonlyArray<SqliteColumn>
  readonly isInTransaction: () => boolean
  /** Opens it again by its name, which must be there, when its disk was away. Prepared statements and settings are gone. */
  readonly reopen: () => void
}

/**
 * Opens a database, or makes it. `:memory:` makes a new one in memory. The scope closes it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (path: string): Effect.Effect<SqliteDatabase, SqliteFailure, Scope.Scope> =>
  openWith(path, { readOnly: false })

/**
 * Opens an existing database for reading, while others write it, and after a crash. Changes nothing, and leaves no file beside it.
 *
 * Keep it open only for a short time if no one writes the database when it is opened: what someone writes later may be seen in part.
 * Never open a database that this process writes in another mode than WAL: closing it drops the writer's locks.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openReadOnly = (path: string): Effect.Effect<SqliteDatabase, SqliteFailure, Scope.Scope> =>
  Effect.suspend(() => {
    const stat = (suffix: string) => fs.statSync(`${path}${suffix}`, { throwIfNoEntry: false })
    const has = (suffix: string) => (stat(suffix)?.size ?? 0) > 0
    const readingAs = (parameters: { readonly [name: string]: string }) => {
      const url = pathToFileURL(path)
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
      return openWith(url, { readOnly: true })
    }
    // Without a writer SQLite would make the -shm file anew after a crash. So it makes an index of the log in memory.
    if (stat("-shm") !== undefined && stat("-wal") !== undefined) return readingAs({ readonly_shm: "1" })
    // It cannot do so if that file is missing. Without locks, and for itself alone, it never needs one.
    if (has("-wal")) {
      return Effect.tap(
        readingAs({ vfs: process.platform === "win32" ? "win32-none" : "unix-none" }),
        (database) => attempt(() => database.exec("PRAGMA locking_mode = EXCLUSIVE"))
      )
    }
    if (has("-journal")) return openWith(path, { readOnly: true })
    // A plain read-only connection to a WAL database would leave -wal and -shm files behind.
    return readingAs({ immutable: "1" })
  })

/** Turns the driver's errors into typed failures. */
export const attempt = <A>(run: () => A): Effect.Effect<A, SqliteFailure> =>
  Effect.try({ try: run, catch: SqliteFailure.from })

const openWith = Effect.fnUntraced(function*(
  path: string | URL,
  options: { readonly readOnly: boolean }
): Effect.fn.Return<SqliteDatabase, SqliteFailure, Scope.Scope> {
  const { DatabaseSync } = yield* Effect.tryPromise({
    try: () => import("node:sqlite"),
    catch: SqliteFailure.from
  })
  const connect = () => new DatabaseSync(path, { ...options, timeout: 0 })
  let database = yield* attempt(connect)
  yield* Effect.addFinalizer(() => Effect.sync(() => database.close()))
  return {
    exec: (sql) => database.exec(sql),
    prepare: (sql) => {
      const statement = database.prepare(sql)
      return {
        run: (values) => void statement.run(...values),
        all: (values) => statement.all(...values),
        arrays: (values) => {
          statement.setReturnArrays(true)
          const rows: unknown = statement.all(...values)
          statement.setReturnArrays(false)
          return rows as ReadonlyArray<ReadonlyArray<SQLOutputValue>>
        }
      }
    },
    columnsOf: (table) =>
      database.prepare(columnsQuery).all(table).map((row) => ({
        name: String(row["name"]),
        type: String(row["type"]),
        isNotNull: row["isNotNull"] === 1,
        isRequired: row["isRequired"] === 1,
        hasDefault: row["hasDefault"] === 1,
        isStrict: row["isStrict"] === 1
      })),
    isInTransaction: () => database.isTransaction,
    reopen: () => {
      fs.statSync(path)
      const lost = database
      database = connect()
      lost.close()
    }
  }
})

/**
 * Removes the files of a database that is not open. The database itself goes last: a log that is left alone would be put into the
 * next database of its name.
 *
 * @since 0.1.0
 * @category destructors
 */
export const remove = (path: string): Effect.Effect<void, SqliteFailure> =>
  attempt(() => {
    for (const suffix of ["-wal", "-shm", ""]) removeFile(path + suffix)
  })

/**
 * Forces what was committed to a database's write-ahead log to disk, without holding up the program. The log has no locks that
 * opening and closing it could drop.
 *
 * @since 0.1.0
 * @category transactions
 */
export const syncLog = (path: string): Effect.Effect<void, SqliteFailure> =>
  // There is no log in other modes, and none when all of it is in the database.
  Effect.mapError(syncFile(`${path}-wal`), SqliteFailure.from)
