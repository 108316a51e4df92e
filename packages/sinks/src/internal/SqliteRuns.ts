/**
 * The tables beside the samples in SQLite: `<table>_runs` has a row for each run, `<table>_events` one for each of its events, as
 * `eventToRow` gives them.
 *
 * They are made with the table. Where tables are not made, they are written if they are there with these columns.
 */
import { type EventRow, eventToRow, formatTimestamp, type RunEvent } from "@sampleline/core"
import { runTransaction, type SqliteDatabase } from "@sampleline/sqlite"
import { quoted } from "./identifiers.ts"
import type { SqliteSettings } from "./SqliteSettings.ts"
import { placeholders } from "./SqliteTable.ts"

const EVENTS = {
  run_id: "TEXT",
  at: "TEXT",
  event: "TEXT",
  device: "TEXT",
  reason: "TEXT",
  detail: "TEXT",
  since_at: "TEXT",
  until_at: "TEXT",
  count: "INTEGER",
  data: "TEXT"
} satisfies { readonly [column in keyof EventRow]: string }

const RUNS = {
  run_id: "TEXT",
  started_at: "TEXT",
  finished_at: "TEXT",
  ended_by: "TEXT",
  ended_detail: "TEXT",
  rate_hz: "REAL",
  host: "TEXT",
  version: "TEXT",
  metadata: "TEXT",
  devices: "TEXT",
  samples: "INTEGER",
  counts: "TEXT"
}

/** A run without an end may still go on. It is taken for killed if its last sample is this old, in microseconds. */
const SILENCE_MICROS = 60_000_000

export class SqliteRuns {
  private readonly database: SqliteDatabase.SqliteDatabase
  private readonly settings: SqliteSettings
  private readonly runs: string
  private readonly events: string
  private isReady: boolean | undefined

  constructor(database: SqliteDatabase.SqliteDatabase, settings: SqliteSettings) {
    this.database = database
    this.settings = settings
    this.runs = `${settings.table}_runs`
    this.events = `${settings.table}_events`
  }

  /** Writes an event, in a transaction of its own. False if there are no tables for it. Throws the driver's errors. */
  write(event: RunEvent): boolean {
    this.isReady = runTransaction(this.database, () => {
      const isReady = this.isReady ?? this.prepare(event)
      if (isReady) this.keep(event)
      return isReady
    })
    return this.isReady
  }

  private keep(event: RunEvent): void {
    const row = eventToRow(event)
    this.insertEvent(row)
    if (event._tag === "RunEnded") this.end(row)
    if (event._tag !== "RunStarted") return
    const { devices, host, metadata, rateHz, version } = event
    this.insert(this.runs, {
      run_id: row.run_id,
      started_at: row.at,
      rate_hz: rateHz,
      host,
      version,
      metadata: JSON.stringify(metadata),
      devices: JSON.stringify(row.data?.["devices"] ?? devices)
    })
  }

  private prepare(event: RunEvent): boolean {
    const { createTable, mode } = this.settings
    if (mode === "overwrite") {
      this.database.exec(`DROP TABLE IF EXISTS ${quoted(this.runs)}; DROP TABLE IF EXISTS ${quoted(this.events)}`)
    }
    if (createTable) {
      this.make(this.runs, RUNS)
      this.make(this.events, EVENTS)
    }
    if (!this.has(this.runs, RUNS) || !this.has(this.events, EVENTS)) return false
    this.endKilledRuns(event)
    return true
  }

  private make(table: string, columns: { readonly [name: string]: string }): void {
    const declared = Object.entries(columns).map(([name, type]) => `${quoted(name)} ${type}`)
    this.database.exec(`CREATE TABLE IF NOT EXISTS ${quoted(table)} (${declared.join(", ")})`)
  }

  private has(table: string, columns: { readonly [name: string]: string }): boolean {
    const names = this.database.columnsOf(table).map(({ name }) => name)
    return Object.keys(columns).every((name) => names.includes(name))
  }

  /** Nobody wrote the end of a run that was killed. */
  private endKilledRuns({ at, runId }: RunEvent): void {
    const lastRowAt = this.lastRowAt()
    const silentSince = formatTimestamp(at - SILENCE_MICROS)
    const open = this.database.prepare(
      `SELECT run_id, started_at FROM ${quoted(this.runs)} WHERE ended_by IS NULL AND run_id <> ?`
    ).all([runId])
    for (const { run_id, started_at } of open) {
      if ((lastRowAt ?? String(started_at)) > silentSince) continue
      const end: EventRow = {
        run_id: String(run_id),
        at: formatTimestamp(at),
        event: "RunEnded",
        device: null,
        reason: "unknown",
        detail: "nobody wrote the end of this run: its recorder was killed, or the machine stopped",
        since_at: String(started_at),
        until_at: lastRowAt,
        count: null,
        data: null
      }
      this.insertEvent(end)
      this.end(end)
    }
  }

  /** When the last row was received, as text; null if there is none or the table has no such time. */
  private lastRowAt(): string | null {
    const { table } = this.settings
    const column = this.database.columnsOf(table).find(({ name }) => name === "received_at")
    if (column === undefined) return null
    const [row] = this.database.prepare(
      `SELECT received_at FROM ${quoted(table)} ORDER BY rowid DESC LIMIT 1`
    ).all([])
    const time = row?.["received_at"]
    return typeof time === "number" ? formatTimestamp(time) : typeof time === "string" ? time : null
  }

  private insertEvent({ data, ...row }: EventRow): void {
    this.insert(this.events, { ...row, data: data === null ? null : JSON.stringify(data) })
  }

  private end({ count, data, detail, reason, run_id, until_at }: EventRow): void {
    this.database.prepare(
      `UPDATE ${
        quoted(this.runs)
      } SET finished_at = ?, ended_by = ?, ended_detail = ?, samples = ?, counts = ? WHERE run_id = ?`
    ).run([until_at, reason, detail, count, data === null ? null : JSON.stringify(data), run_id])
  }

  private insert(table: string, row: { readonly [column: string]: string | number | null }): void {
    const names = Object.keys(row)
    this.database.prepare(
      `INSERT INTO ${quoted(table)} (${names.map(quoted).join(", ")}) VALUES (${placeholders(names.length)})`
    ).run(Object.values(row))
  }
}
