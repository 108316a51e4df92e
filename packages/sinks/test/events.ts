/** The events that a sink has kept, read by another reader. */
import { type EventRow, formatTimestamp } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { queryDuckDb } from "./duckdb.ts"
import { query, tablesOf } from "./sqlite.ts"

/** Beside a text file. */
export const eventsBeside = (path: string): ReadonlyArray<EventRow> =>
  fs.readFileSync(`${path}-events.jsonl`, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line))

export const eventsInSqlite = (path: string): ReadonlyArray<unknown> =>
  tablesOf(path).includes("samples_events")
    ? query(path, "SELECT * FROM samples_events ORDER BY rowid").map(({ data, ...row }) => ({
      ...row,
      data: data === null ? null : JSON.parse(String(data))
    }))
    : []

export const eventsInParquet = (path: string): Effect.Effect<ReadonlyArray<EventRow>> =>
  Effect.map(
    queryDuckDb(`SELECT decode(value) AS value FROM parquet_kv_metadata('${path}') WHERE decode(key) = 'events'`),
    ([row]) => JSON.parse(String(row!["value"]))
  )

/** `rows` runs a statement. */
export const eventsInPostgres = <E, R>(
  rows: (sql: string) => Effect.Effect<ReadonlyArray<{ readonly [column: string]: any }>, E, R>
) => {
  const micros = (column: string) => `(extract(epoch from ${column}) * 1000000)::bigint::text AS ${column}`
  const time = (micros: string | null) => micros === null ? null : formatTimestamp(Number(micros))
  return Effect.map(
    rows(
      `SELECT run_id, ${micros("at")}, event, device, reason, detail, ${micros("since_at")}, ${micros("until_at")},
        duration_s, count::int AS count, data FROM samples_events ORDER BY ctid`
    ),
    (found) =>
      found.map((row) => ({
        ...row,
        at: time(row["at"]),
        since_at: time(row["since_at"]),
        until_at: time(row["until_at"])
      }))
  )
}
