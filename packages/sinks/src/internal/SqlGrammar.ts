/**
 * A table behind an `effect/sql` client for SQLite or MySQL: several rows a statement, all statements of a batch in one
 * transaction.
 */
import { type Cell, type Column, formatTimestamp, type Sample, SchemaLock, type TableColumn } from "@sampleline/core"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { SqlSinkOptions } from "../SqlSink.ts"
import { quoted, TIME_COLUMNS } from "./identifiers.ts"
import { inTransaction } from "./inTransaction.ts"
import { orProblem, type SqlTable, type TableProblem } from "./SqlTable.ts"

/** How a database differs from others. */
export interface Grammar {
  readonly quoted: (name: string) => string
  /** The types of the columns of a new table. */
  readonly types: { readonly [type in Column["type"]]: string }
  /** The most parameters of a statement. */
  readonly maxParameters: number
  /** Gives the columns of a table by name and declared type. Its one parameter is the table's name. */
  readonly columnsQuery: string
  /** How a column of this declared type stores a time. */
  readonly timeIn: (declared: string) => (micros: number) => Cell
}

const asNumber = (micros: number): Cell => micros

export const SQLITE: Grammar = {
  quoted,
  types: { text: "TEXT", float: "REAL", int: "INTEGER", timestamp: "TEXT" },
  maxParameters: 32_766,
  columnsQuery: "SELECT name AS name, type AS type FROM pragma_table_info(?)",
  timeIn: (declared) => /CHAR|CLOB|TEXT/i.test(declared) ? formatTimestamp : asNumber
}

export const MYSQL: Grammar = {
  quoted: (name) => `\`${name.replaceAll("`", "``")}\``,
  types: { text: "TEXT", float: "DOUBLE", int: "BIGINT", timestamp: "DATETIME(6)" },
  maxParameters: 65_535,
  columnsQuery: "SELECT column_name AS name, data_type AS type FROM information_schema.columns "
    + "WHERE table_schema = database() AND table_name = ? AND extra NOT LIKE '%GENERATED%' ORDER BY ordinal_position",
  // MySQL's times have no zone and take no Z: they are UTC.
  timeIn: (declared) =>
    /datetime|timestamp/i.test(declared)
      ? (micros) => formatTimestamp(micros).replace("T", " ").slice(0, -1)
      : /char|text/i.test(declared)
      ? formatTimestamp
      : asNumber
}

/** More rows a statement are no faster. */
const MAX_ROWS = 64

export const tableInGrammar = (
  sql: SqlClient,
  table: string,
  options: SqlSinkOptions,
  { columnsQuery, maxParameters, quoted, timeIn, types }: Grammar
): SqlTable => {
  let lock: SchemaLock | undefined
  const readColumns = sql.unsafe<DeclaredColumn>(columnsQuery, [table])

  const create = (batch: ReadonlyArray<Sample>) => {
    const columns = SchemaLock.fromBatch(batch, options).columns.map(({ name, type }) =>
      `${quoted(name)} ${types[type]}`
    )
    return sql.unsafe(`CREATE TABLE IF NOT EXISTS ${quoted(table)} (${columns.join(", ")})`)
  }
  const lockTo = (columns: ReadonlyArray<DeclaredColumn>, batch: ReadonlyArray<Sample>) => {
    const found = SchemaLock.fromTable(columns.map((column) => tableColumn(column, timeIn)), batch, options)
    return orProblem(found.columns.length > 0 ? found : NOTHING_SHARED)
  }
  const begin = Effect.fnUntraced(function*(batch: ReadonlyArray<Sample>) {
    if (options.createTable === true) yield* create(batch)
    return yield* lockTo(yield* readColumns, batch)
  })
  const insert = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<ReadonlyArray<Cell>>) => {
    const row = `(${columns.map(() => "?").join(", ")})`
    return sql.unsafe(
      `INSERT INTO ${quoted(table)} (${columns.map(({ name }) => quoted(name)).join(", ")}) VALUES ${
        rows.map(() => row).join(", ")
      }`,
      rows.flat()
    )
  }
  return {
    target: table,
    exists: Effect.map(readColumns, (columns) => columns.length > 0),
    lock: () => lock,
    write: Effect.fnUntraced(function*(batch) {
      const { columns } = lock ??= yield* begin(batch)
      const rows = batch.map((sample) => lock!.row(sample))
      const atOnce = Math.max(1, Math.min(MAX_ROWS, Math.floor(maxParameters / columns.length)))
      const statements: Array<Effect.Effect<unknown, SqlError>> = []
      for (let at = 0; at < rows.length; at += atOnce) statements.push(insert(columns, rows.slice(at, at + atOnce)))
      yield* inTransaction(sql, Effect.all(statements, { discard: true }))
    }),
    check: Effect.fnUntraced(function*(batch) {
      const columns = yield* readColumns
      if (columns.length > 0) yield* lockTo(columns, batch)
    })
  }
}

interface DeclaredColumn {
  readonly name: string
  readonly type: string
}

const NOTHING_SHARED: TableProblem = { problem: "the table has none of this run's columns; choose another table" }

const tableColumn = ({ name, type }: DeclaredColumn, timeIn: Grammar["timeIn"]): TableColumn => {
  if (!TIME_COLUMNS.has(name)) return { name, type: columnType(type), nullable: true }
  const toTime = timeIn(type)
  return { name, type: "timestamp", nullable: true, convert: (value) => toTime(Number(value)) }
}

/** The type of a row's column for a declared type. */
const columnType = (declared: string): Column["type"] =>
  /INT/i.test(declared) ? "int" : /CHAR|CLOB|TEXT|JSON/i.test(declared) ? "text" : "float"
