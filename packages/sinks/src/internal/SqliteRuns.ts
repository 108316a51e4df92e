/**
 * The runs and their events in SQLite.
 */
import { type EventRow, eventToRow, formatTimestamp, type RunEvent } from "@sampleline/core"
import { runTransaction, type SqliteDatabase } from "@sampleline/sqlite"
import { quoted } from "./identifiers.ts"
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
import type { SqliteSettings } from "./SqliteSettings.ts"
import { placeholders } from "./SqliteTable.ts"

const TYPES: { readonly [type in RunColumnType]: string } = {
  text: "TEXT",
  time: "TEXT",
  float: "REAL",
  int: "INTEGER",
  json: "TEXT"
}

export class SqliteRuns {
  private readonly database: SqliteDatabase.SqliteDatabase
  private readonly settings: SqliteSettings
  private readonly runs: string
  private readonly events: string
  private isReady: boolean | undefined

  constructor(database: SqliteDatabase.SqliteDatabase, settings: SqliteSettings) {
    this.database = database
    this.settings = settings
    this.runs = runsOf(settings.table)
    this.events = eventsOf(settings.table)
  }

  /** Writes an event, in a transaction of its own. False if there are no tables for it. Throws the driver's errors. */
  write(event: RunEvent): boolean {
    this.isReady = runTransaction(this.database, () => {
      const isReady = this.isReady ?? this.prepare(event)
      if (isReady) {
        const row = eventToRow(event)
        this.insert(this.events, eventCells(row))
        if (event._tag === "RunStarted") this.insert(this.runs, startCells(event))
        if (event._tag === "RunEnded") this.end(row)
      }
      return isReady
    })
    return this.isReady
  }

  private prepare(event: RunEvent): boolean {
    const { createTable, mode } = this.settings
    if (mode === "overwrite") {
      this.database.exec(`DROP TABLE IF EXISTS ${quoted(this.runs)}; DROP TABLE IF EXISTS ${quoted(this.events)}`)
    }
    if (createTable) {
      this.make(this.runs, RUN_COLUMNS)
      this.make(this.events, EVENT_COLUMNS)
    }
    if (!this.has(this.runs, RUN_COLUMNS) || !this.has(this.events, EVENT_COLUMNS)) return false
    this.endKilledRuns(event)
    return true
  }

  private make(table: string, columns: { readonly [name: string]: RunColumnType }): void {
    const declared = Object.entries(columns).map(([name, type]) => `${quoted(name)} ${TYPES[type]}`)
    this.database.exec(`CREATE TABLE IF NOT EXISTS ${quoted(table)} (${declared.join(", ")})`)
  }

  private has(table: string, columns: { readonly [name: string]: RunColumnType }): boolean {
    const names = this.database.columnsOf(table).map(({ name }) => name)
    return Object.keys(columns).every((name) => names.includes(name))
  }

  private endKilledRuns(event: RunEvent): void {
    const open = this.database.prepare(
      `SELECT run_id, started_at FROM ${quoted(this.runs)} WHERE ended_by IS NULL AND run_id <> ?`
    ).all([event.runId])
    if (open.length === 0) return
    const lastRowAt = this.lastRowAt()
    for (const { run_id, started_at } of open) {
      const startedAt = String(started_at)
      if ((lastRowAt ?? startedAt) > silentSince(event)) continue
      const end = endOfKilled({ runId: String(run_id), startedAt, lastRowAt, at: formatTimestamp(event.at) })
      this.insert(this.events, eventCells(end))
      this.end(end)
    }
  }

  /** When the last row was received; null if there is none or the table has no such time. */
  private lastRowAt(): string | null {
    const { table } = this.settings
    if (!this.database.columnsOf(table).some(({ name }) => name === "received_at")) return null
    const [row] = this.database.prepare(
      `SELECT received_at FROM ${quoted(table)} ORDER BY rowid DESC LIMIT 1`
    ).all([])
    const time = row?.["received_at"]
    return typeof time === "number" ? formatTimestamp(time) : typeof time === "string" ? time : null
  }

  private insert(table: string, cells: RunCells): void {
    const names = Object.keys(cells)
    this.database.prepare(
      `INSERT INTO ${quoted(table)} (${names.map(quoted).join(", ")}) VALUES (${placeholders(names.length)})`
    ).run(Object.values(cells))
  }

  private end(row: EventRow): void {
    const cells = endCells(row)
    const changes = Object.keys(cells).map((name) => `${quoted(name)} = ?`)
    this.database.prepare(`UPDATE ${quoted(this.runs)} SET ${changes.join(", ")} WHERE run_id = ?`).run([
      ...Object.values(cells),
      row.run_id
    ])
  }
}
