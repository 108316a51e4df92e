/**
 * Reads a table in an SQLite database as `SqliteSink` writes it. Positions are row ids.
 *
 * Each batch has a connection of its own, which takes no locks that a recorder would wait for. So the log of a database that is written
 * does not grow because it is read, and a recorder that begins meanwhile is seen. A program may read what it records itself in WAL mode
 * only, which is the mode of a new database.
 */
import {
  descriptionOf,
  eventsOf,
  quoted,
  storedInSqlite,
  type TableDescription,
  timesIn
} from "@sampleline/sinks/Reading"
import { retryWhileLocked, SqliteDatabase, type SqliteFailure } from "@sampleline/sqlite"
import { Duration, Effect, Stream } from "effect"
import * as fs from "node:fs"
import {
  describedByEvents,
  fixedType,
  foreignProblem,
  isTime,
  recordedColumns,
  recordedType,
  type TypedColumn
} from "./internal/Columns.ts"
import { ForeignContent, readError } from "./internal/failures.ts"
import { batchOf, checkTable, DESCRIPTION_NAMES, EVENT_NAMES, eventOf, unitOf } from "./internal/Tables.ts"
import type { OpenFormat } from "./open.ts"
import { ReadError } from "./ReadError.ts"
import { BATCH_ROWS } from "./Recorded.ts"

type Database = SqliteDatabase.SqliteDatabase

/** Opens a table of an SQLite database. */
export const open: OpenFormat = Effect.fnUntraced(function*(place, { table = "samples" }) {
  yield* checkTable(place, table)
  const look = <A>(run: (database: Database) => A): Effect.Effect<A, ReadError> =>
    Effect.flatMap(SqliteDatabase.openReadOnly(place), (database) => retryWhileLocked(() => run(database), LOCKED_FOR))
      .pipe(Effect.scoped, Effect.mapError(sqliteReadError(place)))
  yield* look((database) => columnsIn(database, table))
  return {
    format: "sqlite",
    place,
    columns: look((database) => recordedColumns(columnsIn(database, table), descriptionIn(database, table).devices)),
    events: Stream.unwrap(Effect.map(look((database) => eventsIn(database, table)), Stream.fromIterable)),
    extent: look((database) => extentIn(database, table)),
    samples: ({ batchRows = BATCH_ROWS, columns: wanted, from = 0, to = Infinity } = {}) =>
      Stream.unwrap(look((database) => {
        const all = columnsIn(database, table)
        if (all.length === 0) return Stream.empty
        const columns = all.filter(({ name }) => wanted?.includes(name) ?? true)
        const end = Math.min(to, extentIn(database, table).end)
        const sql = `SELECT ${["_rowid_", ...columns.map(({ sql }) => sql)].join(", ")} FROM ${quoted(table)} `
          + "WHERE _rowid_ >= ? AND _rowid_ < ? ORDER BY _rowid_ LIMIT ?"
        const batchAt = (from: number) =>
          look((database) => {
            const rows = database.prepare(sql).arrays([from, end, batchRows])
            if (rows.length === 0) return undefined
            const batch = batchOf(columns, rows, Number)
            return [batch, batch.to] as const
          })
        // Others have their turn between two batches.
        return Stream.unfold(from, (from) => Effect.andThen(Effect.yieldNow, batchAt(from)))
      }))
  }
})

/** A table in a database of the old kind is locked while a batch is written to it. */
const LOCKED_FOR = Duration.seconds(5)

interface TableColumn extends TypedColumn {
  /** The expression that reads it. */
  readonly sql: string
}

/** The columns of a table; none if it is not made yet. Throws `ForeignContent`. */
const columnsIn = (database: Database, table: string): ReadonlyArray<TableColumn> => {
  const columns = database.columnsOf(table)
  const problem = columns.length === 0
    ? missingProblem(database, table)
    : foreignProblem(columns.map(({ name }) => name)) ?? kindProblem(database, table)
  if (problem !== null) throw new ForeignContent({ message: problem })
  return columns.map(({ isStrict, name, type }) => {
    const stored = storedInSqlite(type, isStrict, "any")
    const isInForm = isTime(name) && timesIn(type) === "datetime"
    return {
      name,
      type: fixedType(name) ?? (stored === undefined ? "any" : recordedType(stored.type)),
      // That form has no zone, and is UTC.
      sql: isInForm ? `replace(${quoted(name)}, ' ', 'T') || 'Z'` : quoted(name)
    }
  })
}

/** Why there is no table. A new recording has none before its first samples. */
const missingProblem = (database: Database, table: string): string | null => {
  const tables = database.prepare(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
  )
    .all([]).map(({ name }) => String(name))
  if (tables.length === 0 || tables.includes(eventsOf(table))) return null
  const recordings = tables.filter((name) => database.columnsOf(name).some((column) => isTime(column.name)))
  return `it has no table ${table}; `
    + (recordings.length === 0 ? "none of its tables is a recording" : `recordings are in ${recordings.join(", ")}`)
}

const kindProblem = (database: Database, table: string): string | null => {
  const [found] = database.prepare("SELECT type, wr FROM pragma_table_list(?)").all([table])
  return found?.["type"] === "table" && found["wr"] === 0
    ? null
    : `${table} is a view, or a table without row ids; read the table that was recorded`
}

const descriptionIn = (database: Database, table: string): TableDescription => {
  const description = descriptionOf(table)
  if (!has(database, description, DESCRIPTION_NAMES)) return describedByEvents(eventsIn(database, table))
  return { columns: [], devices: rowsIn(database, description, DESCRIPTION_NAMES).map(unitOf) }
}

const eventsIn = (database: Database, table: string) => {
  const events = eventsOf(table)
  return has(database, events, EVENT_NAMES) ? rowsIn(database, events, EVENT_NAMES).map(eventOf) : []
}

const has = (database: Database, table: string, names: ReadonlyArray<string>): boolean => {
  const columns = database.columnsOf(table)
  return names.every((wanted) => columns.some(({ name }) => name === wanted))
}

const rowsIn = (database: Database, table: string, names: ReadonlyArray<string>) =>
  database.prepare(`SELECT ${names.map(quoted).join(", ")} FROM ${quoted(table)} ORDER BY _rowid_`).arrays([])

const extentIn = (database: Database, table: string) => {
  if (database.columnsOf(table).length === 0) return { first: 0, end: 0 }
  const name = quoted(table)
  const [[first, last] = []] = database.prepare(
    `SELECT (SELECT min(_rowid_) FROM ${name}), (SELECT max(_rowid_) FROM ${name})`
  ).arrays([])
  return { first: Number(first ?? 1), end: Number(last ?? 0) + 1 }
}

const [BUSY, READONLY, CORRUPT, CANTOPEN, NOTADB] = [5, 8, 11, 14, 26]

const sqliteReadError = (place: string) => (failure: SqliteFailure): ReadError => {
  if (failure.code < 0) return readError(place)(failure.cause)
  const fail = (reason: ReadError["reason"], detail: string) => new ReadError({ place, reason, detail, cause: failure })
  switch (failure.primaryCode) {
    case NOTADB:
      return fail("NotARecording", "it is not an SQLite database")
    case CORRUPT:
      return fail("Damaged", `${failure.message}; sqlite3 saves what is left by its command .recover`)
    case READONLY:
      return fail(
        "Damaged",
        "a crash left it half written, and opening it for writing repairs it: record to it again, or open it by sqlite3"
      )
    case BUSY:
      return fail("Unreadable", `another process has locked it for ${Duration.format(LOCKED_FOR)}; end that process`)
    case CANTOPEN:
      return fs.existsSync(place)
        ? fail("Unreadable", "SQLite cannot open it; check the permissions of the file and of its folder")
        : fail("NotFound", "there is no such file; check its name")
    default:
      return fail("Unreadable", failure.message)
  }
}
