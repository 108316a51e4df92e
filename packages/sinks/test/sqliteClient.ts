/** An `effect/sql` client of the SQLite dialect over `node:sqlite`, as a program may have one. */
import { Effect, Layer } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import { makeCompilerSqlite } from "effect/sql/Statement"
import { DatabaseSync, type SQLInputValue } from "node:sqlite"

export const sqliteClient = (path: string): Layer.Layer<SqlClient.SqlClient> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function*() {
      const database = yield* Effect.acquireRelease(
        Effect.sync(() => new DatabaseSync(path)),
        (database) => Effect.sync(() => database.close())
      )
      const run = (sql: string, params: ReadonlyArray<unknown>) =>
        Effect.try({
          try: () => database.prepare(sql).all(...params as ReadonlyArray<SQLInputValue>) as ReadonlyArray<any>,
          catch: (cause) => new SqlError({ reason: classifySqliteError(cause) })
        })
      const connection: Connection = {
        execute: run,
        executeRaw: run,
        executeUnprepared: run,
        executeStream: () => Effect.die("not used") as never,
        executeValues: () => Effect.die("not used"),
        executeValuesUnprepared: () => Effect.die("not used")
      }
      return yield* SqlClient.make({
        acquirer: Effect.succeed(connection),
        compiler: makeCompilerSqlite(),
        driver: "node:sqlite",
        spanAttributes: []
      })
    }).pipe(Effect.provide(Reactivity.layer))
  )
