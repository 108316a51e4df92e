/**
 * A table in any database that the program has an `effect/sql` client for: Postgres, SQLite or MySQL, chosen by the client's
 * dialect.
 *
 * In Postgres rows, runs and events are written as by `PostgresSink` without COPY. Elsewhere several rows go into a statement, all
 * of a batch into one transaction, and events are not kept. A new table gets the dialect's types. If the table exists, the columns that it shares with the run are
 * written. The client, its connections and its time-outs are the program's.
 *
 * Accepted means: committed.
 */
import {
  type Column,
  type Device,
  type InvalidOptionError,
  type RowOptions,
  SampleSink,
  SinkOpenError,
  SinkSchemaError,
  type SinkShape
} from "@sampleline/core"
import { type Config, Context, Effect, type Layer, type Scope } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { firstBatchOf } from "./internal/firstBatch.ts"
import { checkIdentifiers } from "./internal/identifiers.ts"
import { layerConfigOf } from "./internal/layerConfig.ts"
import { eventNotWritten } from "./internal/RunTables.ts"
import { serverOpenError, serverWriteError, SqlFailure } from "./internal/SqlFailure.ts"
import { MYSQL, SQLITE, tableInGrammar } from "./internal/SqlGrammar.ts"
import { tableInPostgres } from "./internal/SqlInPostgres.ts"
import type { SqlTable } from "./internal/SqlTable.ts"
import type { TableProblem } from "./internal/TableFit.ts"
import type { OpenableSink } from "./OpenableSink.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface SqlSinkOptions extends RowOptions {
  /** Default: `samples`. */
  readonly table?: string | undefined
  /** For Postgres only. Default: `public`. */
  readonly schema?: string | undefined
  /** Whether to make a missing table. Default: false. */
  readonly createTable?: boolean | undefined
}

type OpenFailure = InvalidOptionError | SinkOpenError | SinkSchemaError

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
  ): Effect.fn.Return<SqlSink["Service"], OpenFailure, Scope.Scope | SqlClient> {
    const table = yield* open(options)
    const { lock, target } = table
    const annotated = Effect.annotateLogs({ sink: SINK, target })
    yield* annotated(Effect.logInfo(`${SINK} opened ${target}`))
    yield* Effect.addFinalizer(() => annotated(Effect.logInfo(`${SINK} closed ${target}`)))

    return {
      ...SampleSink.make({
        name: SINK,
        target,
        dropped: () => lock()?.dropped,
        event: (event) =>
          Effect.catch(
            table.event?.(event) ?? Effect.void,
            (error) => Effect.logWarning(`${SINK} ${target}: ${eventNotWritten(SqlFailure.from(error, "").message)}`)
          ),
        write: (batch) =>
          Effect.mapError(table.write(batch), (error) =>
            "problem" in error
              ? schemaError(target, error)
              : serverWriteError(SINK, target, batch.length, SqlFailure.from(error, "")))
      }),
      table: nameOf(options).table,
      get columns() {
        return lock()?.columns ?? []
      }
    }
  })

  /** Provides `SqlSink` and `SampleSink`. */
  static readonly layer = (options?: SqlSinkOptions): Layer.Layer<SqlSink | SampleSink, OpenFailure, SqlClient> =>
    SampleSink.layerOf(SqlSink, SqlSink.make(options))

  /** The layer with options from the configuration. */
  static readonly layerConfig: (
    options: Config.Wrap<SqlSinkOptions>
  ) => Layer.Layer<SqlSink | SampleSink, OpenFailure | Config.ConfigError, SqlClient> = layerConfigOf<
    SqlSinkOptions,
    SqlSink | SampleSink,
    OpenFailure,
    SqlClient
  >(SqlSink.layer)

  /** Fails as opening would, and changes nothing. With the devices it also fails as their first batch would. */
  static readonly check = Effect.fnUntraced(function*(
    options: SqlSinkOptions,
    devices?: ReadonlyArray<Device>
  ): Effect.fn.Return<void, OpenFailure, SqlClient> {
    const table = yield* open(options)
    const batch = firstBatchOf(devices)
    if (batch !== null) yield* Effect.mapError(table.check(batch), (error) => toOpenFailure(table.target, error))
  })
}

const SINK = "SqlSink"

// For the type checker only.
void (SqlSink satisfies OpenableSink<SqlSinkOptions, OpenFailure, SqlClient>)

const nameOf = ({ schema = "public", table = "samples" }: SqlSinkOptions) => ({ schema, table })

const schemaError = (target: string, { problem }: TableProblem) =>
  new SinkSchemaError({ sink: SINK, target, detail: problem })

const toOpenFailure = (target: string, error: SqlError | TableProblem): SinkOpenError | SinkSchemaError =>
  "problem" in error ? schemaError(target, error) : serverOpenError(SINK, target, SqlFailure.from(error, ""))

/** The table in the client's database. Fails if it is missing and may not be made. */
const open = Effect.fnUntraced(function*(
  options: SqlSinkOptions
): Effect.fn.Return<SqlTable, OpenFailure, SqlClient> {
  const name = nameOf(options)
  yield* checkIdentifiers(name)
  const sql = yield* SqlClient
  const table = sql.onDialectOrElse({
    pg: () => tableInPostgres(sql, name, options),
    sqlite: () => tableInGrammar(sql, name.table, options, SQLITE),
    mysql: () => tableInGrammar(sql, name.table, options, MYSQL),
    orElse: () => undefined
  })
  if (table === undefined) {
    return yield* new SinkOpenError({
      sink: SINK,
      target: name.table,
      reason: "Unknown",
      detail: "the client's dialect is not supported; use a client for Postgres, SQLite or MySQL"
    })
  }
  const exists = yield* Effect.mapError(table.exists, (error) => toOpenFailure(table.target, error))
  if (exists || options.createTable === true) return table
  return yield* schemaError(table.target, {
    problem: `there is no table ${name.table}; make one, or let the sink make it with createTable`
  })
})
