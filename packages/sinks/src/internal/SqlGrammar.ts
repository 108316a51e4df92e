/**
 * A table behind an `effect/sql` client for SQLite or MySQL: several rows a statement, all statements of a batch in one
 * transaction.
 */
import { type Cell, type Column, type ColumnType, type Sample, SchemaLock } from "@sampleline/core"
import { SqliteDatabase } from "@sampleline/sqlite"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { SqlSinkOptions } from "../SqlSink.ts"
import { quoted } from "./identifiers.ts"
import { inTransaction } from "./inTransaction.ts"
import { holdsInSqlite, storedInSqlite } from "./SqliteTypes.ts"
import { orProblem, type SqlTable } from "./SqlTable.ts"
import {
  dateText,
  datetimeText,
  type ExistingColumn,
  fitTable,
  type Storing,
  type TableFit,
  timestampText
} from "./TableFit.ts"
import { writeComplete } from "./writeComplete.ts"

/** How a database differs from others. */
export interface Grammar {
  readonly quoted: (name: string) => string
  /** The types of the columns of a new table. */
  readonly types: { readonly [type in Column["type"]]: string }
  /** The most parameters of a statement. */
  readonly maxParameters: number
  /**
   * Gives the columns of a table: name, declared type, and, each 0 or 1, whether it is NOT NULL, whether a row must have a value,
   * whether the database fills one in, whether the types are strict. Its one parameter is the table's name.
   */
  readonly columnsQuery: string
  /** Whether a column of floats can hold this value, which may be NaN or an infinity. */
  readonly holdsFloat: (value: number) => boolean
  /** How a column stores values of a type; undefined if it cannot. */
  readonly storing: (column: DeclaredColumn, type: ColumnType) => Storing | undefined
}

interface DeclaredColumn extends ExistingColumn {
  readonly isStrict: boolean
}

export const SQLITE: Grammar = {
  quoted,
  types: { text: "TEXT", float: "REAL", int: "INTEGER", timestamp: "TEXT", any: "TEXT" },
  maxParameters: 32_766,
  columnsQuery: SqliteDatabase.columnsQuery,
  holdsFloat: holdsInSqlite,
  storing: ({ isStrict, type: declared }, type) => storedInSqlite(declared, isStrict, type)
}

export const MYSQL: Grammar = {
  quoted: (name) => `\`${name.replaceAll("`", "``")}\``,
  types: { text: "TEXT", float: "DOUBLE", int: "BIGINT", timestamp: "DATETIME(6)", any: "TEXT" },
  maxParameters: 65_535,
  columnsQuery: "SELECT column_name AS name, data_type AS type, is_nullable = 'NO' AS isNotNull, "
    + "is_nullable = 'NO' AND column_default IS NULL AND extra NOT LIKE '%auto_increment%' AS isRequired, "
    + "column_default IS NOT NULL OR extra LIKE '%auto_increment%' AS hasDefault, 1 AS isStrict "
    + "FROM information_schema.columns "
    + "WHERE table_schema = database() AND table_name = ? "
    // DEFAULT_GENERATED only means that the default is an expression.
    + "AND extra NOT LIKE '%VIRTUAL GENERATED%' AND extra NOT LIKE '%STORED GENERATED%' ORDER BY ordinal_position",
  holdsFloat: Number.isFinite,
  storing: ({ type: declared }, type) => storedInMysql(declared, type)
}

/** Undefined for types that do not hold such values, such as texts in `int`, and for times in a type that is too small. */
const storedInMysql = (declared: string, type: ColumnType): Storing | undefined => {
  const isText = /^(?:char|varchar|tinytext|text|mediumtext|longtext)$/i.test(declared)
  if (type === "timestamp") {
    // They have no zone and take no Z.
    if (/^(?:datetime|timestamp)$/i.test(declared)) return { type, convert: datetimeText }
    if (/^date$/i.test(declared)) return { type, convert: dateText, loses: "the time of day" }
    if (isText) return { type, convert: timestampText }
    return /^(?:bigint|decimal|double)$/i.test(declared) ? { type } : undefined
  }
  if (isText) return { type: "text" }
  if (/^json$/i.test(declared)) return { type: "text", convert: toJson }
  const isNumber = type === "float" || type === "int"
  if (/^(?:enum|set)$/i.test(declared)) return isNumber ? undefined : { type: "text" }
  // The server rounds decimals for a column of integers.
  const holdsNumbers = /^(?:(?:tiny|small|medium|big)?int|float|double|decimal)$/i.test(declared)
  return holdsNumbers && type !== "text" ? { type: "float" } : undefined
}

const toJson = (value: number | string): Cell =>
  typeof value === "string" || Number.isFinite(value) ? JSON.stringify(value) : null

/** More rows a statement are no faster. */
const MAX_ROWS = 64

export const tableInGrammar = (
  sql: SqlClient,
  table: string,
  options: SqlSinkOptions,
  { columnsQuery, holdsFloat, maxParameters, quoted, storing, types }: Grammar
): SqlTable => {
  let fit: TableFit<DeclaredColumn> | undefined
  const readColumns = Effect.map(
    sql.unsafe<
      {
        readonly name: string
        readonly type: string
        readonly isNotNull: unknown
        readonly isRequired: unknown
        readonly hasDefault: unknown
        readonly isStrict: unknown
      }
    >(
      columnsQuery,
      [table]
    ),
    (columns) =>
      columns.map(({ hasDefault, isNotNull, isRequired, isStrict, name, type }): DeclaredColumn => ({
        name,
        type,
        isNotNull: Number(isNotNull) === 1,
        isRequired: Number(isRequired) === 1,
        hasDefault: Number(hasDefault) === 1,
        isStrict: Number(isStrict) === 1
      }))
  )

  const create = (batch: ReadonlyArray<Sample>) => {
    const columns = SchemaLock.fromBatch(batch, { ...options, rowIds: true }).columns.map(({ name, type }) =>
      `${quoted(name)} ${types[type]}`
    )
    return sql.unsafe(`CREATE TABLE IF NOT EXISTS ${quoted(table)} (${columns.join(", ")})`)
  }
  const fitTo = (columns: ReadonlyArray<DeclaredColumn>, batch: ReadonlyArray<Sample>) =>
    orProblem(
      fitTable({ table: "the table", existing: columns, batch, options: { ...options, holdsFloat }, storing })
    )
  const begin = Effect.fnUntraced(function*(batch: ReadonlyArray<Sample>) {
    if (options.createTable === true) yield* create(batch)
    const fit = yield* fitTo(yield* readColumns, batch)
    for (const loss of fit.losses) yield* Effect.logWarning(`SqlSink ${table}: ${loss}`)
    return fit
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
  const insertAll = (lock: SchemaLock, samples: ReadonlyArray<Sample>) => {
    const { columns } = lock
    const rows = samples.map((sample) => lock.row(sample))
    const atOnce = Math.max(1, Math.min(MAX_ROWS, Math.floor(maxParameters / columns.length)))
    const statements: Array<Effect.Effect<unknown, SqlError>> = []
    for (let at = 0; at < rows.length; at += atOnce) statements.push(insert(columns, rows.slice(at, at + atOnce)))
    return inTransaction(sql, Effect.all(statements, { discard: true }))
  }
  return {
    target: table,
    exists: Effect.map(readColumns, (columns) => columns.length > 0),
    lock: () => fit?.lock,
    write: Effect.fnUntraced(function*(batch) {
      const fitted = fit ??= yield* begin(batch)
      yield* writeComplete(fitted, batch, (complete) => insertAll(fitted.lock, complete))
    }),
    check: Effect.fnUntraced(function*(batch) {
      const columns = yield* readColumns
      if (columns.length > 0) yield* fitTo(columns, batch)
    })
  }
}
