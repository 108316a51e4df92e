/**
 * The runs in SQLite: their events, what their columns mean, and the view of the rows with their runs.
 */
import {
  type EventRow,
  eventToRow,
  formatTimestamp,
  type RunEvent,
  type Sample,
  type SchemaLock
} from "@sampleline/core"
import { runTransaction, type SqliteDatabase } from "@sampleline/sqlite"
import { quoted } from "./identifiers.ts"
import {
  DESCRIPTION_COLUMNS,
  descriptionCells,
  descriptionOf,
  endCells,
  endsOfKilled,
  EVENT_COLUMNS,
  eventCells,
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
import type { SqliteSettings } from "./SqliteSettings.ts"
import { placeholders } from "./SqliteTable.ts"
import { timesIn } from "./SqliteTypes.ts"

const TYPES: { readonly [type in RunColumnType]: string } = {
  text: "TEXT",
  time: "TEXT",
  float: "REAL",
  int: "INTEGER",
  json: "TEXT"
}

const VIEW_DIALECT: ViewDialect = {
  elements: (array) => `json_each(${array}) AS d`,
  without: (object, key) => `json_remove(${object}, '$.${key}')`,
  gather: "json_group_object"
}
/** SQLite keeps the text of a view. */
const OUR_VIEW = "/* made by sampleline */"

export class SqliteRuns {
  private readonly database: SqliteDatabase.SqliteDatabase
  private readonly settings: SqliteSettings
  private readonly runs: string
  private readonly events: string
  /** Whether there are tables for events; undefined before the first one. A transaction that is rolled back sets it back. */
  isReady: boolean | undefined

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
        // One row a run, also if its start comes again: the view would show each of its rows twice.
        if (event._tag === "RunStarted" && !this.hasRun(this.runs, event.runId)) {
          this.insert(this.runs, startCells(event))
        }
        if (event._tag === "RunEnded") this.end(row)
      }
      return isReady
    })
    return this.isReady
  }

  /**
   * Says what the columns of a run mean, once for each run, and makes the view. Gives why there is no view; null if there is one, or
   * none is wanted. Called in a transaction. Throws the driver's errors.
   */
  describe(batch: ReadonlyArray<Sample>, lock: SchemaLock): string | null {
    const description = descriptionOf(this.settings.table)
    this.make(description, DESCRIPTION_COLUMNS)
    if (!this.hasRun(description, batch[0]!.run.id)) {
      for (const cells of descriptionCells(batch, lock)) this.insert(description, cells)
    }
    return this.settings.createTable && this.isReady === true ? this.makeView(lock) : null
  }

  private makeView(lock: SchemaLock): string | null {
    const { table } = this.settings
    const row = this.runOfRow(lock)
    if (row === null) return noView(table, RUN_UNKNOWN)
    const view = viewOf(table)
    const sql = `CREATE VIEW ${quoted(view)} AS ${OUR_VIEW} ${rowsWithRun(table, row, VIEW_DIALECT)}`
    const [found] = this.database.prepare("SELECT sql FROM sqlite_schema WHERE name = ? COLLATE NOCASE").all([view])
    if (found?.["sql"] === sql) return null
    if (found !== undefined) {
      if (!String(found["sql"]).includes(OUR_VIEW)) return noView(table, NAME_TAKEN)
      this.database.exec(`DROP VIEW ${quoted(view)}`)
    }
    this.database.exec(sql)
    return null
  }

  /** What tells the run of a row of the table; null if nothing does. Only columns that this recorder writes count. */
  private runOfRow(lock: SchemaLock): RunOfRow | null {
    const columns = this.database.columnsOf(this.settings.table)
    const written = new Set(lock.columns.map(({ name }) => name))
    const find = (wanted: string) => columns.find(({ name }) => written.has(name) && name.toLowerCase() === wanted)
    const [device, runId, requestedAt] = [find("device"), find("run_id"), find("requested_at")]
    if (device === undefined) return null
    const row = { device: `s.${quoted(device.name)}` }
    if (runId !== undefined) return { ...row, runId: `s.${quoted(runId.name)}` }
    const time = requestedAt === undefined ? null : rfc3339(`s.${quoted(requestedAt.name)}`, timesIn(requestedAt.type))
    return time === null ? null : { ...row, requestedAt: time }
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
      const runId = String(run_id)
      const ends = endsOfKilled({
        runId,
        startedAt,
        lastRowAt,
        at: formatTimestamp(event.at),
        outages: this.outagesOf(runId)
      })
      for (const row of ends) this.insert(this.events, eventCells(row))
      this.end(ends.at(-1)!)
    }
  }

  private outagesOf(runId: string): ReadonlyArray<OutageRow> {
    const rows = this.database.prepare(
      `SELECT at, event, device, reason, detail FROM ${quoted(this.events)} WHERE run_id = ? AND event IN (${
        placeholders(OUTAGE_EVENTS.length)
      }) ORDER BY rowid`
    ).all([runId, ...OUTAGE_EVENTS])
    return rows.map((row) => ({
      at: String(row["at"]),
      event: String(row["event"]),
      device: textOrNull(row["device"]),
      reason: textOrNull(row["reason"]),
      detail: textOrNull(row["detail"])
    }))
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

  private hasRun(table: string, runId: string): boolean {
    return this.database.prepare(`SELECT 1 FROM ${quoted(table)} WHERE run_id = ? LIMIT 1`).all([runId]).length > 0
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

const textOrNull = (value: unknown): string | null => typeof value === "string" ? value : null

/** A column's time as the text that runs have; null if the column does not hold the time of day. */
const rfc3339 = (column: string, form: ReturnType<typeof timesIn>): string | null => {
  switch (form) {
    case "text":
      return column
    case "datetime":
      return `replace(${column}, ' ', 'T') || 'Z'`
    case "micros": {
      const micros = `CAST(${column} AS INTEGER)`
      const second = `strftime('%Y-%m-%dT%H:%M:%S', ${micros} / 1000000, 'unixepoch')`
      return `${second} || printf('.%06dZ', ${micros} % 1000000)`
    }
    case "date":
      return null
  }
}
