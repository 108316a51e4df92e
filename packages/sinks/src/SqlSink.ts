/**
 * A table in any database that the program has an `effect/sql` client for: Postgres, SQLite or MySQL, told by the client's dialect.
 *
 * Over Postgres rows go the way of `PostgresSink` without COPY. Elsewhere they go by several rows a statement, all of a batch in
 * one transaction. A new table gets the dialect's types; one that is there is written by the columns that it and the run both
 * have. The client, its connections and its time-outs are the program's.
 *
 * Accepted means: committed.
 */
import {
  type Cell,
  type Column,
  formatTimestamp,
  type InvalidOptionError,
  type Sample,
  SampleSink,
  SchemaLock,
  SinkOpenError,
  SinkSchemaError,
  type SinkShape
} from "@sampleline/core"
import { type Array, Context, Effect, type Layer, type Scope } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { checkIdentifiers, quoted, TIME_COLUMNS } from "./internal/identifiers.ts"
import * as Postgres from "./internal/PostgresTable.ts"
import { SqlFailure, toOpenError, toWriteError } from "./internal/SqlFailure.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface SqlSinkOptions {
  /** Default: `samples`. */
  readonly table?: string | undefined
  /** Of Postgres only. Default: `public`. */
  readonly schema?: string | undefined
  /** Whether to make the table if there is none. Default: false. */
  readonly createTable?: boolean | undefined
  /** Whether `run_id` and `sequence` follow the status. Default: false. */
  readonly identity?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category sinks
 */
export class SqlSink extends Context.Service<
  SqlSink,
  SinkShape & {
    readonly table: string
    /** The locked columns; empty before the first batch. */
    readonly columns: ReadonlyArray<Column>
  }
>()("@sampleline/sinks/SqlSink") {
  static readonly make = Effect.fnUntraced(function*(
    options: SqlSinkOptions = {}
  ): Effect.fn.Return<
    SqlSink["Service"],
    InvalidOptionError | SinkOpenError | SinkSchemaError,
    Scope.Scope | SqlClient
  > {
    const { schema = "public", table = "samples" } = options
    yield* checkIdentifiers({ schema, table })
    const name: Postgres.TableName = { schema, table }
    const sql = yield* SqlClient
    const dialect = sql.onDialectOrElse({
      pg: () => postgres(sql, name, options),
      sqlite: () => other(sql, name, options, SQLITE),
      mysql: () => other(sql, name, options, MYSQL),
      orElse: () => undefined
    })
    const target = dialect?.target ?? name.table
    if (dialect === undefined) {
      return yield* new SinkOpenError({
        sink: SINK,
        target,
        reason: "Unknown",
        detail: "the client speaks a dialect that this sink does not; use a client for Postgres, SQLite or MySQL"
      })
    }
    const isThere = yield* Effect.mapError(
      dialect.isThere,
      (error) => error instanceof SinkSchemaError ? error : toOpenError(SINK, target, SqlFailure.from(error, ""))
    )
    if (!isThere && options.createTable !== true) {
      return yield* new SinkSchemaError({
        sink: SINK,
        target,
        detail: `there is no table ${name.table}; make one, or let the sink make it with createTable`
      })
    }
    yield* Effect.logInfo(`${SINK} opened ${target}`)
    yield* Effect.addFinalizer(() => Effect.logInfo(`${SINK} closed ${target}`))

    return {
      ...SampleSink.make({
        name: SINK,
        target,
        lock: dialect.lock,
        write: (batch) =>
          Effect.mapError(dialect.write(batch), (error) =>
            error instanceof SinkSchemaError
              ? error
              : toWriteError(SINK, target, batch.length, SqlFailure.from(error, "")))
      }),
      table: name.table,
      get columns() {
        return dialect.lock()?.columns ?? []
      }
    }
  })

  /** Provides `SqlSink` and `SampleSink`. */
  static readonly layer = (
    options?: SqlSinkOptions
  ): Layer.Layer<SqlSink | SampleSink, InvalidOptionError | SinkOpenError | SinkSchemaError, SqlClient> =>
    SampleSink.layerOf(SqlSink, SqlSink.make(options))
}

const SINK = "SqlSink"

/** What differs between databases. */
interface Dialect {
  readonly target: string
  readonly isThere: Effect.Effect<boolean, SqlError | SinkSchemaError>
  readonly lock: () => SchemaLock | undefined
  readonly write: (batch: Array.NonEmptyReadonlyArray<Sample>) => Effect.Effect<void, SqlError | SinkSchemaError>
}

const postgres = (sql: SqlClient, name: Postgres.TableName, options: SqlSinkOptions): Dialect => {
  const target = `${name.schema}.${name.table}`
  let rows: Postgres.TableRows | undefined
  const begin = Effect.fnUntraced(function*(batch: ReadonlyArray<Sample>) {
    if (options.createTable === true) yield* Postgres.createTable(sql, name, batch, options)
    const { table } = yield* Postgres.readTable(sql, name)
    const result = table === null ? { problem: "the table is gone" } : Postgres.rowsOf(table, batch, options)
    return "problem" in result ? yield* new SinkSchemaError({ sink: SINK, target, detail: result.problem }) : result
  })
  return {
    target,
    isThere: Effect.map(Postgres.readTable(sql, name), ({ table }) => table !== null),
    lock: () => rows?.lock,
    write: Effect.fnUntraced(function*(batch) {
      const { lock } = rows ??= yield* begin(batch)
      yield* Postgres.insertRows(sql, name, rows, batch.map((sample) => lock.row(sample)))
    })
  }
}

/** What a database without a path of its own needs to know. */
interface Grammar {
  readonly quoted: (name: string) => string
  /** Types of the columns of a new table. */
  readonly types: { readonly [type in Column["type"]]: string }
  /** The most parameters a statement takes. */
  readonly maxParameters: number
  /** The columns of a table by name and declared type, for one parameter, the table's name. */
  readonly columnsQuery: string
  /** How a column of this declared type stores a time. */
  readonly timeIn: (declared: string) => (micros: number) => Cell
}

const asNumber = (micros: number): Cell => micros

const SQLITE: Grammar = {
  quoted,
  types: { text: "TEXT", float: "REAL", int: "INTEGER", timestamp: "TEXT" },
  maxParameters: 32_766,
  columnsQuery: "SELECT name AS name, type AS type FROM pragma_table_info(?)",
  timeIn: (declared) => /CHAR|CLOB|TEXT/i.test(declared) ? formatTimestamp : asNumber
}

const MYSQL: Grammar = {
  quoted: (name) => `\`${name.replaceAll("`", "``")}\``,
  types: { text: "TEXT", float: "DOUBLE", int: "BIGINT", timestamp: "DATETIME(6)" },
  maxParameters: 65_535,
  columnsQuery: "SELECT column_name AS name, data_type AS type FROM information_schema.columns "
    + "WHERE table_schema = database() AND table_name = ? AND extra NOT LIKE '%GENERATED%' ORDER BY ordinal_position",
  // Its times have no zone and take no Z: they are UTC.
  timeIn: (declared) =>
    /datetime|timestamp/i.test(declared)
      ? (micros) => formatTimestamp(micros).replace("T", " ").slice(0, -1)
      : /char|text/i.test(declared)
      ? formatTimestamp
      : asNumber
}

/** More rows than this a statement make nothing faster. */
const MAX_ROWS = 64

const other = (
  sql: SqlClient,
  { table }: Postgres.TableName,
  options: SqlSinkOptions,
  { columnsQuery, maxParameters, quoted, timeIn, types }: Grammar
): Dialect => {
  let lock: SchemaLock | undefined
  const readColumns = sql.unsafe<{ readonly name: string; readonly type: string }>(columnsQuery, [table])

  const create = (batch: ReadonlyArray<Sample>) => {
    const columns = SchemaLock.fromBatch(batch, options).columns.map(({ name, type }) =>
      `${quoted(name)} ${types[type]}`
    )
    return sql.unsafe(`CREATE TABLE IF NOT EXISTS ${quoted(table)} (${columns.join(", ")})`)
  }
  const begin = Effect.fnUntraced(function*(batch: ReadonlyArray<Sample>) {
    if (options.createTable === true) yield* create(batch)
    const columns = yield* readColumns
    const found = SchemaLock.fromTable(
      columns.map(({ name, type }) => {
        const toTime = timeIn(type)
        return {
          name,
          type: TIME_COLUMNS.has(name) ? "timestamp" : columnType(type),
          nullable: true,
          ...(TIME_COLUMNS.has(name) ? { convert: (value: number | string) => toTime(Number(value)) } : {})
        }
      }),
      batch,
      options
    )
    if (found.columns.length > 0) return found
    return yield* new SinkSchemaError({
      sink: SINK,
      target: table,
      detail: "the table has none of this run's columns; choose another table"
    })
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
    isThere: Effect.map(readColumns, (columns) => columns.length > 0),
    lock: () => lock,
    write: Effect.fnUntraced(function*(batch) {
      const { columns } = lock ??= yield* begin(batch)
      const rows = batch.map((sample) => lock!.row(sample))
      const atOnce = Math.max(1, Math.min(MAX_ROWS, Math.floor(maxParameters / columns.length)))
      const statements: globalThis.Array<Effect.Effect<unknown, SqlError>> = []
      for (let at = 0; at < rows.length; at += atOnce) statements.push(insert(columns, rows.slice(at, at + atOnce)))
      yield* sql.withTransaction(Effect.all(statements, { discard: true }))
    })
  }
}

/** A declared type as the vocabulary of rows has it. */
const columnType = (declared: string): Column["type"] =>
  /INT/i.test(declared) ? "int" : /CHAR|CLOB|TEXT|JSON/i.test(declared) ? "text" : "float"
