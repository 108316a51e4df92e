/**
 * A table in a Postgres database, by binary COPY or by inserts.
 *
 * With `createTable` a missing table is made with real types: `timestamptz`, `double precision`. If the table exists, the columns
 * that it shares with the run are written, each value converted to its column's type. NaN and infinities stay in `real` and
 * `double precision`. Other columns, such as a serial key or a `default now()`, are left to the database.
 *
 * Units and the devices' identities are in `<table>_columns`, the runs in `<table>_runs`, and their events in `<table>_events`. The
 * view `<table>_with_run` has each row with its run.
 *
 * A batch is refused if a column's type was altered since recording began. `write` goes on when the type is as before; a run of
 * `pipeToSink` ends this output at the first refused batch.
 *
 * The server and the user are found as libpq, the library of psql, finds them: what the options leave out comes from the URL, a
 * service file, the environment (`PGHOST`, `PGPASSWORD`) and `~/.pgpass`. The README has a table of what is understood.
 *
 * Accepted means: committed, all of a batch or nothing. After a time-out or a lost connection the batch is not accepted, but the
 * server may still have committed it. No message, span or error holds a password or a URL.
 */
import {
  type Column,
  type Device,
  type InvalidOptionError,
  type RowOptions,
  type RunEvent,
  type Sample,
  SampleSink,
  type SinkDependencyError,
  SinkOpenError,
  SinkSchemaError,
  type SinkShape
} from "@sampleline/core"
import {
  type Array,
  type Config,
  Context,
  type Duration,
  Effect,
  type Layer,
  type Redacted,
  type Scope,
  Semaphore
} from "effect"
import type { ConnectionOptions } from "node:tls"
import { CopyBuffer } from "./internal/CopyBuffer.ts"
import { firstBatchOf } from "./internal/firstBatch.ts"
import { layerConfigOf } from "./internal/layerConfig.ts"
import { openPostgres } from "./internal/PostgresDriver.ts"
import { PostgresRuns } from "./internal/PostgresRuns.ts"
import { type PostgresSettings, postgresSettings } from "./internal/PostgresSettings.ts"
import {
  changeOf,
  copyStatement,
  createTable,
  insertRows,
  newTableProblem,
  type PostgresTable,
  readTable,
  rowsOf,
  type TableRows,
  typesUnchanged
} from "./internal/PostgresTable.ts"
import { eventNotWritten } from "./internal/RunTables.ts"
import { isAboutTable, serverOpenError, serverWriteError, type SqlFailure } from "./internal/SqlFailure.ts"
import { writeComplete } from "./internal/writeComplete.ts"
import type { OpenableSink } from "./OpenableSink.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface PostgresSinkOptions extends RowOptions {
  /** `postgres://user:password@host:5432/database?sslmode=require`. Give this or the parts below. */
  readonly url?: Redacted.Redacted | undefined
  /**
   * A name, an IP address, or the folder of a Unix socket. Default: `PGHOST`, else the socket of a server on this machine, else
   * `localhost`.
   */
  readonly host?: string | undefined
  /** Default: `PGPORT`, else 5432. */
  readonly port?: number | undefined
  /** Default: `PGUSER`, else the name of the system's user. */
  readonly user?: string | undefined
  /** Default: the password in `url`, `PGPASSWORD`, or the one in `~/.pgpass`. */
  readonly password?: Redacted.Redacted | undefined
  /** Default: `PGDATABASE`, else the user's name. */
  readonly database?: string | undefined
  /** Whether and how the connection is encrypted. Default: by the `sslmode` of `url` or of `PGSSLMODE`, else `prefer`. */
  readonly ssl?: boolean | ConnectionOptions | undefined
  /** Default: `public`. */
  readonly schema?: string | undefined
  /** Default: `samples`. */
  readonly table?: string | undefined
  /** Whether to make a missing table. Default: false. */
  readonly createTable?: boolean | undefined
  /** Whether to use binary COPY; if not, inserts. Default: true. */
  readonly useCopy?: boolean | undefined
  /** How many idle connections are kept. Default: 1. */
  readonly minConnections?: number | undefined
  /** The most connections. More than one serves programs that write several batches at once. Default: 4. */
  readonly maxConnections?: number | undefined
  /** How long the server may work on a statement; 0 for no limit. Default: 30 seconds. */
  readonly statementTimeout?: Duration.Input | undefined
  /** How long to wait for the server's answer to a batch. Default: 10 seconds. */
  readonly commandTimeout?: Duration.Input | undefined
  /** How long connecting may take. Default: the `connect_timeout` of `url` or of `PGCONNECT_TIMEOUT`, else 30 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** How long closing may take. After that the connections are cut. Default: 10 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
}

type OpenFailure = InvalidOptionError | SinkDependencyError | SinkOpenError | SinkSchemaError

/**
 * @since 0.1.0
 * @category sinks
 */
export class PostgresSink extends Context.Service<
  PostgresSink,
  SinkShape & {
    readonly schema: string
    readonly table: string
    /** The locked columns, in the table's order; empty before the first batch. */
    readonly columns: ReadonlyArray<Column>
  }
>()("@sampleline/sinks/PostgresSink") {
  static readonly make = Effect.fnUntraced(function*(
    options: PostgresSinkOptions
  ): Effect.fn.Return<PostgresSink["Service"], OpenFailure, Scope.Scope> {
    const settings = yield* postgresSettings(options)
    const { schema, table, target } = settings
    const { driver, table: found } = yield* open(settings)
    let existing = found
    const annotated = Effect.annotateLogs({ sink: SINK, target })
    yield* annotated(Effect.logInfo(`${SINK} opened ${target}`))
    yield* Effect.addFinalizer(() => annotated(Effect.logInfo(`${SINK} closed ${target}`)))

    const runs = new PostgresRuns({ sink: SINK, target }, settings)
    let rows: TableRows | undefined
    let statements: ReadonlyArray<string> | undefined
    /** If several first batches come at once, one of them locks the columns. */
    const beginning = Semaphore.makeUnsafe(1)
    const buffers: globalThis.Array<CopyBuffer> = []

    const begin = Effect.fnUntraced(function*(batch: ReadonlyArray<Sample>) {
      const problem = existing === null ? newTableProblem(batch, options) : null
      if (problem !== null) return yield* schemaError(settings, problem)
      existing ??= yield* driver.statements((sql) =>
        Effect.andThen(createTable(sql, settings, batch, options), readTable(sql, settings))
      ).pipe(Effect.map((found) => found.table))
      const result = rowsOf(existing!, batch, options, settings.useCopy)
      if ("problem" in result) return yield* schemaError(settings, result.problem)
      for (const loss of result.losses) yield* Effect.logWarning(`${SINK} ${target}: ${loss}`)
      yield* driver.statements((sql) => runs.describe(sql, existing!, batch, result.lock))
      rows = result
    })

    const write = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
      if (rows === undefined) {
        yield* beginning.withPermit(Effect.suspend(() => rows === undefined ? begin(batch) : Effect.void))
      }
      const locked = rows!
      yield* writeComplete(locked, batch, (complete) => insert(locked, complete))
    })

    const insert = Effect.fnUntraced(function*(locked: TableRows, samples: ReadonlyArray<Sample>) {
      const { byCopy, kinds, lock } = locked
      if (!byCopy) {
        return yield* driver.statements((sql) =>
          insertRows(sql, settings, locked, samples.map((sample) => lock.row(sample)))
        )
      }
      const buffer = buffers.pop() ?? new CopyBuffer(kinds)
      statements ??= [copyStatement(settings, locked), `SELECT ${typesUnchanged(settings, locked)}`]
      yield* driver.copy(statements, buffer.encode(lock, samples))
      // After a failure the buffer is not used again: a connection that is being cut may still hold it.
      buffers.push(buffer)
    })

    const event = (event: RunEvent) =>
      Effect.catch(
        driver.statements((sql) => runs.write(sql, event)),
        ({ message }) => Effect.logWarning(`${SINK} ${target}: ${eventNotWritten(message)}`)
      )

    /** The table itself if it was altered since its columns were locked, else the failure. */
    const refusal = Effect.fnUntraced(function*(failure: SqlFailure, samples: number) {
      const problem = rows === undefined || !isAboutTable(failure)
        ? null
        : yield* driver.statements((sql) => readTable(sql, settings)).pipe(
          Effect.map(({ table }) => changeOf(table, rows!)),
          Effect.orElseSucceed(() => null)
        )
      return yield* problem === null
        ? serverWriteError(SINK, target, samples, failure)
        : schemaError(settings, problem)
    })

    return {
      ...SampleSink.make({
        name: SINK,
        target,
        dropped: () => rows?.lock.dropped,
        event,
        write: (batch) => Effect.catchTag(write(batch), "SqlFailure", (failure) => refusal(failure, batch.length))
      }),
      schema,
      table,
      get columns() {
        return rows?.lock.columns ?? []
      }
    }
  })

  /** Provides `PostgresSink` and `SampleSink`. */
  static readonly layer = (options: PostgresSinkOptions): Layer.Layer<PostgresSink | SampleSink, OpenFailure> =>
    SampleSink.layerOf(PostgresSink, PostgresSink.make(options))

  /**
   * The layer with options from the configuration.
   *
   * @example
   * PostgresSink.layerConfig({ url: Config.Redacted("DATABASE_URL"), createTable: Config.succeed(true) })
   */
  static readonly layerConfig: (
    options: Config.Wrap<PostgresSinkOptions>
  ) => Layer.Layer<PostgresSink | SampleSink, OpenFailure | Config.ConfigError> = layerConfigOf(PostgresSink.layer)

  /** Connects and fails as opening would; changes nothing. With the devices it also fails as their first batch would. */
  static readonly check = Effect.fnUntraced(
    function*(
      options: PostgresSinkOptions,
      devices?: ReadonlyArray<Device>
    ): Effect.fn.Return<void, OpenFailure, Scope.Scope> {
      const settings = yield* postgresSettings(options)
      const { table } = yield* open(settings)
      const batch = firstBatchOf(devices)
      if (batch === null) return
      const problem = table === null
        ? newTableProblem(batch, options)
        : problemOf(rowsOf(table, batch, options, settings.useCopy))
      if (problem !== null) return yield* schemaError(settings, problem)
    },
    Effect.scoped
  )
}

const SINK = "PostgresSink"

// For the type checker only.
void (PostgresSink satisfies OpenableSink<PostgresSinkOptions, OpenFailure>)

const schemaError = ({ target }: PostgresSettings, detail: string) =>
  new SinkSchemaError({ sink: SINK, target, detail })

const problemOf = (result: ReturnType<typeof rowsOf>): string | null => "problem" in result ? result.problem : null

/** Connects, and reads the table. */
const open = Effect.fnUntraced(function*(settings: PostgresSettings) {
  const refuse = (failure: SqlFailure) => Effect.fail(serverOpenError(SINK, settings.target, failure))
  const driver = yield* Effect.catchTag(openPostgres(SINK, settings), "SqlFailure", refuse)
  const found = yield* Effect.catch(driver.statements((sql) => readTable(sql, settings)), refuse)
  return { driver, table: yield* usableTable(settings, found) }
})

/** The existing table; null if it must be made. */
const usableTable = (
  settings: PostgresSettings,
  found: Effect.Success<ReturnType<typeof readTable>>
): Effect.Effect<PostgresTable | null, SinkOpenError | SinkSchemaError> => {
  const { createTable, schema, table, target, user } = settings
  const refuse = (detail: string) => Effect.fail(schemaError(settings, detail))
  const forbid = (detail: string) =>
    Effect.fail(new SinkOpenError({ sink: SINK, target, reason: "PermissionDenied", detail }))
  if (!found.hasSchema) return refuse(`the database has no schema ${schema}; make it, or choose another schema`)
  if (found.table !== null) {
    return found.table.canInsert
      ? Effect.succeed(found.table)
      : forbid(`the user ${user} may not insert into it: GRANT INSERT ON ${schema}.${table} TO ${user}`)
  }
  if (!createTable) {
    return refuse(
      `the schema has no table ${table}; make one, or let the sink make it with createTable (--create-table)`
    )
  }
  return found.canCreate
    ? Effect.succeed(null)
    : forbid(`the user ${user} may not make tables in it: GRANT CREATE ON SCHEMA ${schema} TO ${user}`)
}
