/**
 * The runs in Postgres: their events, what their columns mean, and the view of the rows with their runs.
 *
 * All of it is beside the samples: what cannot be kept is told, and recording goes on.
 */
import { eventToRow, formatTimestamp, type RunEvent, type Sample, type SchemaLock } from "@sampleline/core"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Writer } from "./FileFailure.ts"
import { quoted } from "./identifiers.ts"
import { inTransaction } from "./inTransaction.ts"
import { lockName, type PostgresTable, readTable, type TableName } from "./PostgresTable.ts"
import { storable } from "./PostgresTypes.ts"
import {
  DESCRIPTION_COLUMNS,
  descriptionCells,
  descriptionOf,
  endCells,
  endsOfKilled,
  EVENT_COLUMNS,
  eventCells,
  eventsNotKept,
  eventsOf,
  OUTAGE_EVENTS,
  type OutageRow,
  RUN_COLUMNS,
  type RunCells,
  type RunColumnType,
  runsOf,
  silentSince,
  startCells
} from "./RunTables.ts"
import { NAME_TAKEN, noView, rowsWithRun, RUN_UNKNOWN, type RunOfRow, type ViewDialect, viewOf } from "./RunView.ts"
import { SqlFailure } from "./SqlFailure.ts"

const TYPES: { readonly [type in RunColumnType]: string } = {
  text: "text",
  time: "timestamptz",
  float: "double precision",
  int: "bigint",
  json: "jsonb"
}

const VIEW_DIALECT: ViewDialect = {
  elements: (array) => `jsonb_array_elements(${array}) AS d(value)`,
  without: (object, key) => `${object} - '${key}'`,
  gather: "jsonb_object_agg"
}

/** Longer names are cut by Postgres, and two could become one. */
const LONGEST_NAME = 63
const NAME_TOO_LONG = "its name would be too long for Postgres"

const unitsNotKept = (why: string): string => `units are not kept: ${why}`

export class PostgresRuns {
  private readonly writer: Writer
  private readonly name: TableName
  private readonly createTable: boolean
  /** Whether there are tables for events; undefined before the first event. */
  isReady: boolean | undefined

  constructor(writer: Writer, { createTable, schema, table }: TableName & { readonly createTable: boolean }) {
    this.writer = writer
    this.name = { schema, table }
    this.createTable = createTable
  }

  /** Writes an event. If there are no tables for events, this is told once. */
  write(sql: SqlClient, event: RunEvent): Effect.Effect<void, SqlError> {
    const attempt = Effect.gen({ self: this }, function*() {
      const isReady = this.isReady ?? (yield* this.prepare(sql, event))
      if (isReady) yield* writeEvent(sql, this.name, event)
      else if (this.isReady === undefined) yield* this.say(eventsNotKept(this.name.table))
      this.isReady = isReady
    })
    return inTransaction(sql, attempt)
  }

  /** Says what the columns of a run mean, once for each run, and makes the view. */
  describe(sql: SqlClient, table: PostgresTable, batch: ReadonlyArray<Sample>, lock: SchemaLock): Effect.Effect<void> {
    const orSay = (kept: Effect.Effect<string | null, SqlError>, what: (why: string) => string) =>
      inTransaction(sql, kept).pipe(
        Effect.catch((error) => Effect.succeed(what(SqlFailure.from(error, "").message))),
        Effect.flatMap((problem) => problem === null ? Effect.void : this.say(problem))
      )
    return Effect.andThen(
      orSay(this.describeColumns(sql, batch, lock), unitsNotKept),
      this.createTable && this.isReady === true
        ? orSay(this.makeView(sql, table, lock), (why) => noView(this.name.table, why))
        : Effect.void
    )
  }

  /** Gives why the units are not kept; null if they are, or nobody has made a table for them. */
  private describeColumns(
    sql: SqlClient,
    batch: ReadonlyArray<Sample>,
    lock: SchemaLock
  ): Effect.Effect<string | null, SqlError> {
    const { createTable, name } = this
    const description = { ...name, table: descriptionOf(name.table) }
    return Effect.gen(function*() {
      if (description.table.length > LONGEST_NAME) return unitsNotKept(NAME_TOO_LONG)
      if (createTable) yield* lockName(sql, name)
      if (!(yield* isThere(sql, description, DESCRIPTION_COLUMNS, createTable))) {
        return createTable
          ? unitsNotKept(`the table ${description.table} has other columns, or the user may not insert into it`)
          : null
      }
      if (yield* hasRun(sql, description, batch[0]!.run.id)) return null
      yield* insertAll(sql, description, DESCRIPTION_COLUMNS, descriptionCells(batch, lock))
      return null
    })
  }

  /** Gives why there is no view; null if there is one. */
  private makeView(sql: SqlClient, table: PostgresTable, lock: SchemaLock): Effect.Effect<string | null, SqlError> {
    const { schema, table: samples } = this.name
    const view = { schema, table: viewOf(samples) }
    // Tells our view from others.
    const comment = `Each row of ${samples} with its run. Made by sampleline.`
    return Effect.gen({ self: this }, function*() {
      if (view.table.length > LONGEST_NAME) return noView(samples, NAME_TOO_LONG)
      yield* lockName(sql, this.name)
      const [found] = yield* sql.unsafe<{ readonly comment: string | null }>(
        "SELECT obj_description(c.oid, 'pg_class') AS comment FROM pg_catalog.pg_class c "
          + "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
        [schema, view.table]
      )
      if (found !== undefined) return found.comment === comment ? null : noView(samples, NAME_TAKEN)
      const row = runOfRow(table, lock)
      if (row === null) return noView(samples, RUN_UNKNOWN)
      const rows = rowsWithRun(samples, row, VIEW_DIALECT, (table) => nameOf({ schema, table }))
      yield* sql.unsafe(`CREATE VIEW ${nameOf(view)} AS ${rows}`)
      yield* sql.unsafe(`COMMENT ON VIEW ${nameOf(view)} IS '${comment}'`)
      return null
    })
  }

  /** Makes the tables if that is asked for, and ends the runs that were killed. False if there are no tables for events. */
  private prepare(sql: SqlClient, event: RunEvent): Effect.Effect<boolean, SqlError> {
    const { createTable, name } = this
    return Effect.gen(function*() {
      const runs = { ...name, table: runsOf(name.table) }
      const events = { ...name, table: eventsOf(name.table) }
      if (events.table.length > LONGEST_NAME) return false
      if (createTable) yield* lockName(sql, name)
      const isReady = (yield* isThere(sql, runs, RUN_COLUMNS, createTable))
        && (yield* isThere(sql, events, EVENT_COLUMNS, createTable))
      if (isReady) yield* endKilledRuns(sql, name, event)
      return isReady
    })
  }

  private say(what: string): Effect.Effect<void> {
    const { sink, target } = this.writer
    return Effect.logInfo(`${sink} ${target}: ${what}`)
  }
}

const writeEvent = Effect.fnUntraced(function*(sql: SqlClient, { schema, table }: TableName, event: RunEvent) {
  const row = eventToRow(event)
  const runs = { schema, table: runsOf(table) }
  yield* insert(sql, { schema, table: eventsOf(table) }, eventCells(row))
  // One row a run, also if its start comes again: the view would show each of its rows twice.
  if (event._tag === "RunStarted" && !(yield* hasRun(sql, runs, event.runId))) {
    yield* insert(sql, runs, startCells(event))
  }
  if (event._tag === "RunEnded") yield* end(sql, runs, row.run_id, endCells(row))
})

/** What tells the run of a row of the table; null if nothing does. Only columns that this recorder writes count. */
const runOfRow = ({ columns }: PostgresTable, lock: SchemaLock): RunOfRow | null => {
  const written = new Set(lock.columns.map(({ name }) => name))
  const find = (wanted: string) => columns.find(({ name }) => written.has(name) && name.toLowerCase() === wanted)
  const [device, runId, requestedAt] = [find("device"), find("run_id"), find("requested_at")]
  if (device === undefined) return null
  const row = { device: `s.${quoted(device.name)}::text` }
  if (runId !== undefined) return { ...row, runId: `s.${quoted(runId.name)}::text` }
  const time = requestedAt === undefined ? null : timeOf(`s.${quoted(requestedAt.name)}`, requestedAt.baseType)
  return time === null ? null : { ...row, requestedAt: time }
}

/** A column's time as runs have it; null if the column does not hold times as this recorder writes them. */
const timeOf = (column: string, type: string): string | null => {
  switch (type) {
    case "timestamptz":
      return column
    case "timestamp":
      return `(${column} AT TIME ZONE 'UTC')`
    case "int8":
    case "float8":
    case "numeric":
      return `(timestamptz 'epoch' + ${column} * interval '1 microsecond')`
    default:
      return null
  }
}

const nameOf = ({ schema, table }: TableName): string => `${quoted(schema)}.${quoted(table)}`

/** Whether there is a table with these columns. Makes a missing one if that is asked for. */
const isThere = Effect.fnUntraced(function*(
  sql: SqlClient,
  name: TableName,
  columns: { readonly [name: string]: RunColumnType },
  createTable: boolean
): Effect.fn.Return<boolean, SqlError> {
  const { table } = yield* readTable(sql, name)
  if (table === null && createTable) {
    const declared = Object.entries(columns).map(([column, type]) => `${quoted(column)} ${TYPES[type]}`)
    yield* sql.unsafe(`CREATE TABLE ${nameOf(name)} (${declared.join(", ")})`)
    return true
  }
  const insertable = table?.columns.filter(({ isInsertable }) => isInsertable).map((column) => column.name) ?? []
  return Object.keys(columns).every((column) => insertable.includes(column))
})

const endKilledRuns = Effect.fnUntraced(function*(sql: SqlClient, name: TableName, event: RunEvent) {
  const runs = { ...name, table: runsOf(name.table) }
  const events = { ...name, table: eventsOf(name.table) }
  const open = yield* sql.unsafe<{ readonly run_id: string; readonly started_at: string }>(
    `SELECT run_id, to_json(started_at AT TIME ZONE 'UTC') #>> '{}' || 'Z' AS started_at FROM ${nameOf(runs)} `
      + "WHERE ended_by IS NULL AND run_id <> $1",
    [event.runId]
  )
  if (open.length === 0) return
  const lastRowAt = yield* Effect.orElseSucceed(lastTime(sql, name), () => null)
  for (const { run_id, started_at } of open) {
    if ((lastRowAt ?? started_at) > silentSince(event)) continue
    const outages = yield* Effect.orElseSucceed(outagesOf(sql, events, run_id), () => [])
    const rows = endsOfKilled({
      runId: run_id,
      startedAt: started_at,
      lastRowAt,
      at: formatTimestamp(event.at),
      outages
    })
    for (const row of rows) yield* insert(sql, events, eventCells(row))
    yield* end(sql, runs, run_id, endCells(rows.at(-1)!))
  }
})

const outagesOf = (
  sql: SqlClient,
  events: TableName,
  runId: string
): Effect.Effect<ReadonlyArray<OutageRow>, SqlError> =>
  sql.unsafe<OutageRow>(
    `SELECT to_json(at AT TIME ZONE 'UTC') #>> '{}' || 'Z' AS at, event, device, reason, detail FROM ${
      nameOf(events)
    } e `
      + "WHERE run_id = $1 AND event = ANY($2::text::text[]) ORDER BY e.at, e.ctid",
    [runId, `{${OUTAGE_EVENTS.join(",")}}`]
  )

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

const hasRun = (sql: SqlClient, name: TableName, runId: string): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    sql.unsafe(`SELECT 1 FROM ${nameOf(name)} WHERE run_id = $1 LIMIT 1`, [runId]),
    (found) => found.length > 0
  )

/** One statement for all rows: there may be hundreds, and the server may be far away. */
const insertAll = (
  sql: SqlClient,
  name: TableName,
  columns: { readonly [name: string]: RunColumnType },
  rows: ReadonlyArray<RunCells>
) => {
  const names = Object.keys(columns).map(quoted).join(", ")
  const types = Object.entries(columns).map(([column, type]) => `${quoted(column)} ${TYPES[type]}`).join(", ")
  return sql.unsafe(
    `INSERT INTO ${nameOf(name)} (${names}) SELECT ${names} FROM jsonb_to_recordset($1::jsonb) AS r(${types})`,
    [JSON.stringify(rows, (_key, cell) => typeof cell === "string" ? storable(cell.toWellFormed()) : cell)]
  )
}

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
