/**
 * The one place that knows which SQLite driver there is: Node's own `node:sqlite`, loaded when the first database is opened.
 * Calls are synchronous and never wait for a lock; what to do about `isBusy` is the caller's business.
 */
import { Effect, type Scope } from "effect"
import type { SQLInputValue } from "node:sqlite"
import { messageOf } from "./ByteOutput.ts"

/** An error of SQLite with its extended result code, or whatever else went wrong. */
export class SqliteFailure extends Error {
  readonly code: number

  constructor(cause: unknown) {
    super(messageOf(cause), { cause })
    this.code = typeof cause === "object" && cause !== null && "errcode" in cause ? Number(cause.errcode) : -1
  }

  /** The primary result code, as listed on sqlite.org/rescode.html. */
  get primaryCode(): number {
    return this.code & 0xff
  }

  get isBusy(): boolean {
    return this.primaryCode === 5
  }
}

export interface SqliteStatement {
  readonly run: (values: ReadonlyArray<SQLInputValue>) => void
}

export interface SqliteColumn {
  readonly name: string
  /** As declared; empty where nothing was. */
  readonly type: string
}

/** All of these throw what the driver throws: call them in an `attempt`. */
export interface SqliteDatabase {
  readonly exec: (sql: string) => void
  readonly prepare: (sql: string) => SqliteStatement
  /** The columns of a table; empty where there is none. `table` must be a checked identifier. */
  readonly columnsOf: (table: string) => ReadonlyArray<SqliteColumn>
  readonly inTransaction: () => boolean
}

/** Opens a database; the scope closes it. */
export const openSqlite = (path: string): Effect.Effect<SqliteDatabase, SqliteFailure, Scope.Scope> =>
  Effect.gen(function*() {
    const { DatabaseSync } = yield* Effect.tryPromise({
      try: () => import("node:sqlite"),
      catch: (cause) => new SqliteFailure(cause)
    })
    const database = yield* Effect.acquireRelease(
      attempt(() => new DatabaseSync(path, { timeout: 0 })),
      (database) => Effect.sync(() => database.close())
    )
    return {
      exec: (sql) => database.exec(sql),
      prepare: (sql) => {
        const statement = database.prepare(sql)
        return { run: (values) => void statement.run(...values) }
      },
      columnsOf: (table) =>
        database.prepare(`PRAGMA table_info("${table}")`).all().map((row) => ({
          name: String(row["name"]),
          type: String(row["type"])
        })),
      inTransaction: () => database.isTransaction
    }
  })

/** What the driver throws, as a typed failure. */
export const attempt = <A>(run: () => A): Effect.Effect<A, SqliteFailure> =>
  Effect.try({ try: run, catch: (cause) => new SqliteFailure(cause) })
