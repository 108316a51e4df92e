/**
 * How much of a journal is in a table. Two ways:
 *
 * - A row of the table `sampleline_positions` in the schema. It changes in the transaction of the batch, so both are there or neither.
 * - Where there is no such table and none may be made: the id of the batch's transaction, which the journal keeps before the COMMIT.
 *   The server is asked later whether that transaction was committed. This needs no right but to insert. A server that crashes may
 *   give an id again that is not in its log yet, so the id is forced to the log first, where the server can.
 */
import type { SinkPlace } from "@sampleline/core"
import { Effect, Schedule } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { lockName, qualified, type TableName } from "./PostgresTable.ts"
import { SqlFailure } from "./SqlFailure.ts"
import type { TableProblem } from "./TableFit.ts"

export interface PostgresPosition {
  readonly place: SinkPlace
  /** Called last in the transaction of a batch. Gives the position that the table has when that is committed. */
  readonly advance: (
    sql: SqlClient,
    through: number,
    keep: (place: SinkPlace) => Effect.Effect<void>
  ) => Effect.Effect<PostgresPosition, SqlError | SqlFailure>
  readonly forget: (sql: SqlClient) => Effect.Effect<unknown, SqlError>
}

/** How much of a journal the table has. `place` is the last that the journal has kept. Called in a transaction. */
export const openPosition = Effect.fnUntraced(function*(
  sql: SqlClient,
  name: TableName & { readonly createTable: boolean },
  journal: string,
  place: SinkPlace | null
): Effect.fn.Return<PostgresPosition, SqlError | TableProblem> {
  if (place !== null && place.token !== "") return yield* positionById(sql, place)
  if (place === null && !(yield* hasRows(sql, name))) {
    return byId(0, { transaction: null, through: 0, upSince: null }, yield* canForceId(sql))
  }
  const table = positionsOf(name)
  // Waits for a client that has just died while it made the row.
  if (place === null) {
    yield* sql.unsafe(`INSERT INTO ${table} (journal, output, through) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING`, [
      journal,
      name.table
    ])
  } else if (!(yield* isThere(sql, table))) return yield* Effect.fail({ problem: TABLES_GONE })
  // Waits for a client that has just died: its COMMIT may be under way.
  const [row] = yield* sql.unsafe<{ readonly through: string }>(
    `SELECT through::text AS through FROM ${table} WHERE journal = $1 AND output = $2 FOR UPDATE`,
    [journal, name.table]
  )
  if (row === undefined) {
    return yield* Effect.fail({
      problem:
        `${TABLE} does not know of this journal: the run is complete already, or this is another database; nothing was changed`
    })
  }
  return byRow(name, journal, Number(row.through))
})

const TABLE = "sampleline_positions"

const TABLES_GONE =
  `the database no longer knows what the journal has written to it: its table ${TABLE} is gone, as after DROP DATABASE; nothing was `
  + "changed. Put the tables back, or finish the output in another table"

const isThere = (sql: SqlClient, table: string): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    sql.unsafe<{ readonly isThere: boolean }>(`SELECT to_regclass($1) IS NOT NULL AS "isThere"`, [table]),
    ([found]) => found?.isThere === true
  )

const positionsOf = ({ schema }: TableName): string => qualified({ schema, table: TABLE })

/** Whether there is a table of positions that the user may change. Makes a missing one where that is allowed. */
const hasRows = Effect.fnUntraced(function*(
  sql: SqlClient,
  { createTable, schema }: TableName & { readonly createTable: boolean }
): Effect.fn.Return<boolean, SqlError> {
  const name = { schema, table: TABLE }
  if (createTable) yield* lockName(sql, name)
  const [found] = yield* sql.unsafe<
    { readonly isThere: boolean; readonly isUsable: boolean; readonly canCreate: boolean }
  >(
    `SELECT t.oid IS NOT NULL AS "isThere", has_schema_privilege(n.oid, 'CREATE') AS "canCreate",
        coalesce(has_table_privilege(t.oid, 'SELECT') AND has_table_privilege(t.oid, 'INSERT')
          AND has_table_privilege(t.oid, 'UPDATE'), false) AS "isUsable"
      FROM pg_catalog.pg_namespace n
      LEFT JOIN pg_catalog.pg_class t ON t.relnamespace = n.oid AND t.relname = $2
      WHERE n.nspname = $1`,
    [schema, TABLE]
  )
  if (found === undefined || found.isThere) return found?.isUsable === true
  if (!createTable || !found.canCreate) return false
  yield* sql.unsafe(
    `CREATE TABLE ${
      qualified(name)
    } (journal text, output text, through bigint NOT NULL, PRIMARY KEY (journal, output))`
  )
  return true
})

const byRow = (name: TableName, journal: string, through: number): PostgresPosition => ({
  place: { through, token: "" },
  advance: (sql, next) =>
    Effect.flatMap(
      sql.unsafe(
        `UPDATE ${positionsOf(name)} SET through = $1 WHERE journal = $2 AND output = $3 AND through = $4 RETURNING 1`,
        [next, journal, name.table, through]
      ),
      (changed) => changed.length === 0 ? Effect.fail(MOVED) : Effect.succeed(byRow(name, journal, next))
    ),
  forget: (sql) =>
    sql.unsafe(`DELETE FROM ${positionsOf(name)} WHERE journal = $1 AND output = $2`, [journal, name.table])
})

/** What a lost connection has left behind was committed after all. To open again shows how far the table is. */
const MOVED = new SqlFailure({
  code: "40001",
  message: `another transaction has written rows of this journal and changed its position in ${TABLE}`
})

interface Token {
  /** The transaction that brings the table to `through`; null if there was none. */
  readonly transaction: string | null
  readonly through: number
  /**
   * Null if the id was forced to the server's log, so that no other transaction ever gets it. Else since when the server had not
   * crashed: if it crashes before the id is in its log, it gives the id to another transaction.
   */
  readonly upSince: string | null
}

/** The table has what is before `through`. */
const byId = (through: number, token: Token, canForce: boolean): PostgresPosition => ({
  place: { through, token: JSON.stringify(token) },
  advance: Effect.fnUntraced(function*(sql, next, keep) {
    const [row] = yield* sql.unsafe<Pick<Token, "upSince"> & { readonly id: string }>(
      canForce
        // The message itself is nothing: it has the id, and takes it to the log.
        ? `SELECT pg_current_xact_id()::text AS id, NULL AS "upSince",
            pg_logical_emit_message(false, 'sampleline', pg_current_xact_id()::text, true)::text`
        : `SELECT pg_current_xact_id()::text AS id, ${UP_SINCE} AS "upSince"`
    )
    const token = { transaction: row!.id, through: next, upSince: row!.upSince }
    yield* keep({ through, token: JSON.stringify(token) })
    return byId(next, token, canForce)
  }),
  forget: () => Effect.void
})

/** Since when the server has not crashed: a crash costs it its statistics. */
const UP_SINCE = "(SELECT stats_reset::text FROM pg_stat_bgwriter)"

/** Whether the user may force a transaction's id to the server's log. Postgres can since version 17. */
const canForceId = (sql: SqlClient): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    sql.unsafe<{ readonly canForce: boolean | null }>(
      `SELECT has_function_privilege(
        to_regprocedure('pg_logical_emit_message(boolean, text, text, boolean)'), 'EXECUTE') AS "canForce"`
    ),
    ([row]) => row?.canForce === true
  )

const positionById = Effect.fnUntraced(function*(
  sql: SqlClient,
  place: SinkPlace
): Effect.fn.Return<PostgresPosition, SqlError | TableProblem> {
  const token = JSON.parse(place.token) as Token
  const canForce = yield* canForceId(sql)
  const before = byId(place.through, { ...token, transaction: null, through: place.through }, canForce)
  if (token.through === place.through) return before
  const items = `the items ${place.through} to ${token.through - 1} of the journal`
  const status = yield* Effect.repeat(statusOf(sql, token), {
    while: (status) => status === "in progress",
    schedule: Schedule.spaced(STATUS_INTERVAL)
  })
  switch (status) {
    case "committed":
      return byId(token.through, token, canForce)
    case "aborted":
      return before
    case "given again":
      yield* Effect.logWarning(
        `the server has crashed and cannot tell whether the last batch was written: ${items} are written again, so the table `
          + "may hold them twice"
      )
      return before
    default:
      return yield* Effect.fail({
        problem:
          `the server no longer knows whether the last batch was written, transaction ${token.transaction} with ${items}: `
          + "that was too long ago, or this is another server; nothing was changed. Give the journal another table"
      })
  }
})

const STATUS_INTERVAL = "50 millis"

/**
 * Null if the server does not know. `given again`: a transaction of this id was committed, but after a crash it may be another one.
 *
 * A number that the server has not given yet, by a little, was given before it crashed and is in no log: that transaction was not
 * committed. If it lies far ahead or was in the log, the server has been set back to an earlier time.
 */
const statusOf = (sql: SqlClient, { transaction, upSince }: Token): Effect.Effect<string | null, SqlError> =>
  Effect.map(
    sql.unsafe<{ readonly status: string | null; readonly isAhead: boolean; readonly upSince: string }>(
      `SELECT ahead.by >= 0 AS "isAhead", ${UP_SINCE} AS "upSince",
          CASE WHEN ahead.by < 0 THEN pg_xact_status($1::text::xid8) WHEN ahead.by < ${NOT_LOGGED} THEN 'aborted' END AS status
        FROM (SELECT $1::text::numeric - pg_current_xact_id()::text::numeric AS by) ahead`,
      [transaction]
    ),
    ([row]) => {
      const { isAhead, status, upSince: now } = row!
      if (isAhead && upSince === null) return null
      return status === "committed" && upSince !== null && upSince !== now ? "given again" : status
    }
  )

/** More transactions than a server begins before it writes one of them to its log. */
const NOT_LOGGED = 1000
