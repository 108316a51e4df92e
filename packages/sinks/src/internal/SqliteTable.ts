/**
 * The table of `SqliteSink`: which of its columns a run fills, and how a new one is made.
 */
import { type ColumnType, type RowOptions, type Sample, SchemaLock } from "@sampleline/core"
import type { SqliteDatabase } from "@sampleline/sqlite"
import { quoted } from "./identifiers.ts"
import { DESCRIPTION_COLUMNS, descriptionOf } from "./RunTables.ts"
import type { SqliteSettings } from "./SqliteSettings.ts"
import { holdsInSqlite, storedInSqlite, timesIn } from "./SqliteTypes.ts"
import { fitTable, type TableFit, type TableProblem, timestampText } from "./TableFit.ts"

/** The locked columns, and how the table stores them. */
export interface SqliteShape extends Pick<TableFit<unknown>, "lock" | "notNull" | "losses"> {
  /** For each locked column: whether times in it are RFC 3339 text. */
  readonly timesAsText: ReadonlyArray<boolean>
  /** Whether the table must be made. */
  readonly isNew: boolean
}

/** How a first batch goes into the table, or why it cannot. `existing` are the columns of the table; empty if there is none. */
export const shapeOf = (
  settings: SqliteSettings,
  existing: ReadonlyArray<SqliteDatabase.SqliteColumn>,
  batch: ReadonlyArray<Sample>,
  options: RowOptions
): SqliteShape | TableProblem =>
  existing.length === 0 || settings.mode === "overwrite"
    ? shapeOfBatch(settings, batch, options)
    : shapeOfTable(settings, existing, batch, options)

const shapeOfBatch = (
  { timeType }: SqliteSettings,
  batch: Iterable<Sample>,
  options: RowOptions
): SqliteShape => {
  const lock = SchemaLock.fromBatch(batch, { ...options, rowIds: true, holdsFloat: holdsInSqlite }).typed()
  return {
    lock,
    notNull: { lock, names: [] },
    timesAsText: lock.columns.map(() => timeType === "TEXT"),
    isNew: true,
    losses: []
  }
}

const shapeOfTable = (
  { table }: SqliteSettings,
  existing: ReadonlyArray<SqliteDatabase.SqliteColumn>,
  batch: ReadonlyArray<Sample>,
  options: RowOptions
): SqliteShape | TableProblem => {
  const storing = ({ isStrict, type: declared }: SqliteDatabase.SqliteColumn, type: ColumnType) => {
    const stored = storedInSqlite(declared, isStrict, type)
    // The parameters of the statements format RFC 3339, all times of a batch at once.
    return stored?.convert === timestampText ? { type } : stored
  }
  const fit = fitTable({
    table: `its table ${table}`,
    existing,
    batch,
    options: { ...options, holdsFloat: holdsInSqlite },
    storing
  })
  if ("problem" in fit) return fit
  const { columns, ...fitted } = fit
  return { ...fitted, timesAsText: columns.map(({ type }) => timesIn(type) === "text"), isNew: false }
}

/** Makes the table, and replaces an old one in mode `overwrite`. */
export const makeTable = (
  database: SqliteDatabase.SqliteDatabase,
  { mode, table, timeType }: SqliteSettings,
  { lock }: SqliteShape
): void => {
  if (mode === "overwrite") {
    database.exec(`DROP TABLE IF EXISTS ${quoted(table)}; DROP TABLE IF EXISTS ${quoted(descriptionOf(table))}`)
  }
  const types: { readonly [type in ColumnType]: string } = {
    text: "TEXT",
    any: "TEXT",
    float: "REAL",
    int: "INTEGER",
    timestamp: timeType
  }
  const columns = lock.columns.map(({ name, type }) => `${quoted(name)} ${types[type]}`)
  database.exec(`CREATE TABLE ${quoted(table)} (${columns.join(", ")})`)
}

/** Why the description cannot be kept: another program's table has its name. Null if it can. Throws the driver's errors. */
export const descriptionProblem = (
  database: SqliteDatabase.SqliteDatabase,
  { mode, table }: SqliteSettings
): string | null => {
  const found = database.columnsOf(descriptionOf(table)).map(({ name }) => name)
  return mode === "overwrite" || found.length === 0 || found.join() === Object.keys(DESCRIPTION_COLUMNS).join()
    ? null
    : `its table ${descriptionOf(table)}, which should describe ${table}, has other columns; `
      + "rename that one, or record to another table"
}

/** Parameters of one row: `?, ?, ?`. */
export const placeholders = (count: number): string => Array.from({ length: count }, () => "?").join(", ")
