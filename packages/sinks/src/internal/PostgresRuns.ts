/**
 * The runs and their events in Postgres.
 */
import { eventToRow, formatTimestamp, type RunEvent } from "@sampleline/core"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { quoted } from "./identifiers.ts"
import { inTransaction } from "./inTransaction.ts"
import { readTable, type TableName } from "./PostgresTable.ts"
import {
  endCells,
  endOfKilled,
  EVENT_COLUMNS,
  eventCells,
  eventsOf,
  RUN_COLUMNS,
  type RunCells,
  type RunColumnType,
  runsOf,
  silentSince,
  startCells
} from "./RunTables.ts"

const TYPES: { readonly [type in RunColumnType]: string } = {
  text: "text",
  time: "timestamptz",
  float: "double precision",
  int: "bigint",
  json: "jsonb"
}

/** Longer names are cut by Postgres, and two could become one. */
const LONGEST_NAME = 63

/** Makes the tables if that is asked for, and ends the runs that were killed. False if there are no tables for events. */
export const prepareRuns = Effect.fnUntraced(function*(
  sql: SqlClient,
  { createTable, schema, table }: TableName & { readonly createTable: boolean },
  event: RunEvent
): Effect.fn.Return<boolean, SqlError> {
  const runs = { schema, table: runsOf(table) }
  const events = { schema, table: eventsOf(table) }
  if (events.table.length > LONGEST_NAME) return false
  if (createTable) {
    yield* make(sql, runs, RUN_COLUMNS)
    yield* make(sql, events, EVENT_COLUMNS)
  }
  const isReady = (yield* has(sql, runs, RUN_COLUMNS)) && (yield* has(sql, events, EVENT_COLUMNS))
  if (isReady) yield* endKilledRuns(sql, { schema, table }, event)
  return isReady
})

/** Writes an event. */
export const writeEvent = (
  sql: SqlClient,
  { schema, table }: TableName,
  event: RunEvent
): Effect.Effect<void, SqlError> => {
  const row = eventToRow(event)
  const runs = { schema, table: runsOf(table) }
  return inTransaction(
    sql,
    Effect.gen(function*() {
      yield* insert(sql, { schema, table: eventsOf(table) }, eventCells(row))
      if (event._tag === "RunStarted") yield* insert(sql, runs, startCells(event))
      if (event._tag === "RunEnded") yield* end(sql, runs, row.run_id, endCells(row))
    })
  )
}

const nameOf = ({ schema, table }: TableName): string => `${quoted(schema)}.${quoted(table)}`

const make = (sql: SqlClient, name: TableName, columns: { readonly [name: string]: RunColumnType }) => {
  const declared = Object.entries(columns).map(([column, type]) => `${quoted(column)} ${TYPES[type]}`)
  return sql.unsafe(`CREATE TABLE IF NOT EXISTS ${nameOf(name)} (${declared.join(", ")})`)
}

const has = (sql: SqlClient, name: TableName, columns: { readonly [name: string]: RunColumnType }) =>
  Effect.map(readTable(sql, name), ({ table }) => {
    const insertable = table?.columns.filter(({ isInsertable }) => isInsertable).map((column) => column.name) ?? []
    return Object.keys(columns).every((column) => insertable.includes(column))
  })

const endKilledRuns = Effect.fnUntraced(function*(sql: SqlClient, name: TableName, event: RunEvent) {
  const runs = { ...name, table: runsOf(name.table) }
  const open = yield* sql.unsafe<{ readonly run_id: string; readonly started_at: string }>(
    `SELECT run_id, to_json(started_at AT TIME ZONE 'UTC') #>> '{}' || 'Z' AS started_at FROM ${nameOf(runs)} `
      + "WHERE ended_by IS NULL AND run_id <> $1",
    [event.runId]
  )
  if (open.length === 0) return
  const lastRowAt = yield* Effect.orElseSucceed(lastTime(sql, name), () => null)
  for (const { run_id, started_at } of open) {
    if ((lastRowAt ?? started_at) > silentSince(event)) continue
    const row = endOfKilled({ runId: run_id, startedAt: started_at, lastRowAt, at: formatTimestamp(event.at) })
    yield* insert(sql, { ...name, table: eventsOf(name.table) }, eventCells(row))
    yield* end(sql, runs, run_id, endCells(row))
  }
})

/** When the last row was received. Looks at the last pages of the table only: all of it may take minutes. */
const lastTime = (sql: SqlClient, name: TableName): Effect.Effect<string | null, SqlError> =>
  Effect.map(
    sql.unsafe<{ readonly at: string | null }>(
      `SELECT to_json(max(received_at) AT TIME ZONE 'UTC') #>> '{}' || 'Z' AS at FROM ${nameOf(name)} `
        + "WHERE ctid >= format('(%s,0)', greatest(pg_relation_size($1::regclass) / current_setting('block_size')::int - 4, 0))::tid",
      [nameOf(name)]
    ),
    ([row]) => row?.at ?? null
  )

const insert = (sql: SqlClient, name: TableName, cells: RunCells) => {
  const columns = Object.keys(cells)
  return sql.unsafe(
    `INSERT INTO ${nameOf(name)} (${columns.map(quoted).join(", ")}) VALUES (${
      columns.map((_, at) => `$${at + 1}`).join(", ")
    })`,
    Object.values(cells)
  )
}

const end = (sql: SqlClient, runs: TableName, runId: string, cells: RunCells) => {
  const changes = Object.keys(cells).map((column, at) => `${quoted(column)} = $${at + 1}`)
  return sql.unsafe(`UPDATE ${nameOf(runs)} SET ${changes.join(", ")} WHERE run_id = $${changes.length + 1}`, [
    ...Object.values(cells),
    runId
  ])
}
