/**
 * The table of `SqliteSink`: which of its columns a run fills, how a new one is made, and the table beside it that says what
 * the columns mean.
 */
import { type Column, type ColumnType, type RowOptions, type Sample, SchemaLock } from "@sampleline/core"
import type { SqliteDatabase } from "@sampleline/sqlite"
import { describeDevices } from "./Description.ts"
import { quoted, TIME_COLUMNS } from "./identifiers.ts"
import type { SqliteSettings } from "./SqliteSettings.ts"

/** SQLite stores NaN as NULL. */
const holdsFloat = (value: number): boolean => !Number.isNaN(value)

/** The locked columns, and how the table stores each. */
export interface SqliteShape {
  readonly lock: SchemaLock
  readonly storedTypes: ReadonlyArray<StoredType>
  /** Whether the table must be made. */
  readonly isNew: boolean
}

type StoredType = "TEXT" | "REAL" | "INTEGER"

/** How a first batch goes into the table, or why it cannot. `existing` are the columns of the table; empty if there is none. */
export const shapeOf = (
  settings: SqliteSettings,
  existing: ReadonlyArray<SqliteDatabase.SqliteColumn>,
  batch: Iterable<Sample>,
  options: RowOptions
): SqliteShape | { readonly problem: string } =>
  existing.length === 0 || settings.mode === "overwrite"
    ? shapeOfBatch(settings, batch, options)
    : shapeOfTable(settings, existing, batch, options)

const shapeOfBatch = (
  { timeType }: SqliteSettings,
  batch: Iterable<Sample>,
  options: RowOptions
): SqliteShape => {
  const lock = SchemaLock.fromBatch(batch, { ...options, holdsFloat })
  const stored: { readonly [type in ColumnType]: StoredType } = {
    text: "TEXT",
    float: "REAL",
    int: "INTEGER",
    timestamp: timeType
  }
  return { lock, storedTypes: lock.columns.map((column) => stored[column.type]), isNew: true }
}

const shapeOfTable = (
  { table }: SqliteSettings,
  existing: ReadonlyArray<SqliteDatabase.SqliteColumn>,
  batch: Iterable<Sample>,
  options: RowOptions
): SqliteShape | { readonly problem: string } => {
  const types = { INTEGER: "int", TEXT: "text", REAL: "float" } as const
  const storedTypes = new Map(existing.map(({ name, type }) => [name, affinityOf(type)]))
  const columns = existing.map(({ name, type }): Column => ({
    name,
    type: TIME_COLUMNS.has(name) ? "timestamp" : types[affinityOf(type)],
    nullable: true
  }))
  const lock = SchemaLock.fromTable(columns, batch, { ...options, holdsFloat })
  if (lock.columns.length === 0) {
    return { problem: `its table ${table} has none of this run's columns; choose another table` }
  }
  const names = new Set(lock.columns.map(({ name }) => name))
  const required = existing.find(({ isRequired, name }) => isRequired && !names.has(name))
  if (required !== undefined) {
    return { problem: `its column ${required.name} needs a value, and this run has none for it; give it a default` }
  }
  return { lock, storedTypes: lock.columns.map((column) => storedTypes.get(column.name)!), isNew: false }
}

/** The type that SQLite stores a declared type as. */
const affinityOf = (declared: string): StoredType =>
  /INT/i.test(declared) ? "INTEGER" : /CHAR|CLOB|TEXT/i.test(declared) ? "TEXT" : "REAL"

/** Makes the table, and replaces an old one in mode `overwrite`. */
export const makeTable = (
  database: SqliteDatabase.SqliteDatabase,
  { mode, table }: SqliteSettings,
  { lock, storedTypes }: SqliteShape
): void => {
  if (mode === "overwrite") {
    database.exec(`DROP TABLE IF EXISTS ${quoted(table)}; DROP TABLE IF EXISTS ${quoted(descriptionOf(table))}`)
  }
  const columns = lock.columns.map((column, at) => `${quoted(column.name)} ${storedTypes[at]}`)
  database.exec(`CREATE TABLE ${quoted(table)} (${columns.join(", ")})`)
}

const descriptionOf = (table: string) => `${table}_columns`

/** What the numbers in the table mean: a row for each column of each device, with the unit and the device's identity. */
export const describeColumns = (
  database: SqliteDatabase.SqliteDatabase,
  { table }: SqliteSettings,
  batch: ReadonlyArray<Sample>,
  lock: SchemaLock
): void => {
  const name = quoted(descriptionOf(table))
  database.exec(
    `CREATE TABLE IF NOT EXISTS ${name} (run_id TEXT, device TEXT, unit_id TEXT, manufacturer TEXT, model TEXT, `
      + "serial_number TEXT, firmware TEXT, calibration_date TEXT, column_name TEXT, unit TEXT, statistic INTEGER)"
  )
  const insert = prepareDescription(database, table)
  for (const device of describeDevices(batch, lock)) {
    const who = [
      device.identity?.manufacturer,
      device.identity?.model,
      device.identity?.serialNumber,
      device.identity?.firmware,
      device.identity?.calibrationDate
    ].map((part) => part ?? null)
    for (const { column, statistic, unit } of device.columns) {
      insert.run([batch[0]!.run.id, device.name, device.unitId, ...who, column, unit, statistic])
    }
  }
}

const prepareDescription = (database: SqliteDatabase.SqliteDatabase, table: string) =>
  database.prepare(`INSERT INTO ${quoted(descriptionOf(table))} VALUES (${placeholders(11)})`)

/** Throws if another program's table has the name of the description. Changes nothing. */
export const checkDescription = (
  database: SqliteDatabase.SqliteDatabase,
  { mode, table }: SqliteSettings
): void => {
  if (mode !== "overwrite" && database.columnsOf(descriptionOf(table)).length > 0) prepareDescription(database, table)
}

/** Parameters of one row: `?, ?, ?`. */
export const placeholders = (count: number): string => Array.from({ length: count }, () => "?").join(", ")
