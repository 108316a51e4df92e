/**
 * A Postgres table behind an `effect/sql` client, written as `PostgresSink` does without COPY.
 */
import type { Sample } from "@sampleline/core"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlSinkOptions } from "../SqlSink.ts"
import { PostgresRuns } from "./PostgresRuns.ts"
import {
  changeOf,
  createTable,
  insertRows,
  newTableProblem,
  readTable,
  rowsOf,
  TABLE_GONE,
  type TableName,
  type TableRows
} from "./PostgresTable.ts"
import { isAboutTable, SqlFailure } from "./SqlFailure.ts"
import { orProblem, type SqlTable } from "./SqlTable.ts"
import { writeComplete } from "./writeComplete.ts"

export const tableInPostgres = (sql: SqlClient, name: TableName, options: SqlSinkOptions): SqlTable => {
  const target = `${name.schema}.${name.table}`
  const runs = new PostgresRuns({ sink: "SqlSink", target }, { ...name, createTable: options.createTable === true })
  let rows: TableRows | undefined
  const read = Effect.map(readTable(sql, name), ({ table }) => table)

  const begin = Effect.fnUntraced(function*(batch: ReadonlyArray<Sample>) {
    if (options.createTable === true) {
      const problem = newTableProblem(batch, options)
      if (problem !== null && (yield* read) === null) return yield* Effect.fail({ problem })
      yield* createTable(sql, name, batch, options)
    }
    const table = yield* read
    if (table === null) return yield* Effect.fail({ problem: TABLE_GONE })
    const found = yield* orProblem(rowsOf(table, batch, options, false))
    for (const loss of found.losses) yield* Effect.logWarning(`SqlSink ${target}: ${loss}`)
    yield* runs.describe(sql, table, batch, found.lock)
    return found
  })
  return {
    target,
    exists: Effect.map(read, (table) => table !== null),
    lock: () => rows?.lock,
    event: (event) => runs.write(sql, event),
    write: Effect.fnUntraced(function*(batch) {
      const locked = rows ??= yield* begin(batch)
      yield* writeComplete(
        locked,
        batch,
        (complete) => insertRows(sql, name, locked, complete.map((sample) => locked.lock.row(sample)))
      ).pipe(
        Effect.catchIf(
          (error) => isAboutTable(SqlFailure.from(error, "")),
          Effect.fnUntraced(function*(error) {
            const problem = changeOf(yield* read, locked)
            return yield* Effect.fail(problem === null ? error : { problem })
          })
        )
      )
    }),
    check: Effect.fnUntraced(function*(batch) {
      const table = yield* read
      if (table !== null) yield* orProblem(rowsOf(table, batch, options, false))
      const problem = table === null ? newTableProblem(batch, options) : null
      if (problem !== null) return yield* Effect.fail({ problem })
    })
  }
}
