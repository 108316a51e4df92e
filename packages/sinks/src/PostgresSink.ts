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
 *
 * With a journal each item is there once, whatever happens. How far the table is changes in the transaction of each batch: in a row
 * of `sampleline_positions` in the same schema, which is made where tables are made. A user who may only insert needs no such table:
 * then the journal keeps the transaction's id, and the server knows whether it was committed. With that, samples of the last second
 * before a power cut of the recorder may come twice, and before Postgres 17 a batch whose COMMIT the server crashed in, with a warning.
 */
import {
  type Column,
  type Device,
  type InvalidOptionError,
  type Resumable,
  type RowOptions,
  type RunEvent,
  type Sample,
  samplesIn,
  SampleSink,
  type SinkDependencyError,
  SinkOpenError,
  SinkSchemaError,
  type SinkShape,
  SinkWriteError,
  writeInOrder
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
import { openPostgres, type PostgresDriver, type PostgresSession } from "./internal/PostgresDriver.ts"
import { openPosition, type PostgresPosition } from "./internal/PostgresPositions.ts"
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
import { tableGone, type TableProblem } from "./internal/TableFit.ts"
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
    let locked: Locked | undefined
    let isDescribed = false
    const told = new Set<string>()
    /** If several first batches come at once, one of them locks the columns. */
    const beginning = Semaphore.makeUnsafe(1)

    const lockBy = Effect.fnUntraced(function*(session: PostgresSession, batch: ReadonlyArray<Sample>) {
      const problem = existing === null ? newTableProblem(batch, options) : null
      if (problem !== null) return yield* schemaError(settings, problem)
      existing ??= yield* session.statements((sql) =>
        Effect.andThen(createTable(sql, settings, batch, options), readTable(sql, settings))
      ).pipe(Effect.map((found) => found.table))
      const rows = rowsOf(existing!, batch, options, settings.useCopy)
      if ("problem" in rows) return yield* schemaError(settings, rows.problem)
      // A first batch that is not accepted comes again.
      for (const loss of rows.losses) {
        if (!told.has(loss)) yield* Effect.logWarning(`${SINK} ${target}: ${loss}`)
        told.add(loss)
      }
      locked = {
        rows,
        copyStatements: [copyStatement(settings, rows), `SELECT ${typesUnchanged(settings, rows)}`],
        buffers: []
      }
    })

    const begin = Effect.fnUntraced(function*(session: PostgresSession, batch: ReadonlyArray<Sample>) {
      if (locked === undefined) yield* lockBy(session, batch)
      if (isDescribed) return
      yield* session.statements((sql) => runs.describe(sql, existing!, batch, locked!.rows.lock))
      isDescribed = true
    })

    const writeRows = Effect.fnUntraced(function*(
      session: PostgresSession,
      batch: Array.NonEmptyReadonlyArray<Sample>
    ) {
      if (!isDescribed) yield* beginning.withPermit(begin(session, batch))
      const table = locked!
      yield* writeComplete(table.rows, batch, (complete) => insert(session, table, complete))
    })

    const insert = Effect.fnUntraced(function*(
      session: PostgresSession,
      { buffers, copyStatements, rows }: Locked,
      samples: ReadonlyArray<Sample>
    ) {
      const { byCopy, kinds, lock } = rows
      if (!byCopy) {
        return yield* session.statements((sql) =>
          insertRows(sql, settings, rows, samples.map((sample) => lock.row(sample)))
        )
      }
      const buffer = buffers.pop() ?? new CopyBuffer(kinds)
      yield* session.copy(copyStatements, buffer.encode(lock, samples))
      // After a failure the buffer is not used again: a connection that is being cut may still hold it.
      buffers.push(buffer)
    })

    const writeEvent = (session: PostgresSession, event: RunEvent) =>
      session.statements((sql) => runs.write(sql, event))
    const tellOf = ({ message }: SqlFailure) => Effect.logWarning(`${SINK} ${target}: ${eventNotWritten(message)}`)
    const writeFailure = (failure: SqlFailure, samples: number) => serverWriteError(SINK, target, samples, failure)

    /** A transaction. What it has made is forgotten if it is not committed. */
    const transaction: PostgresDriver["transaction"] = (run) =>
      Effect.suspend(() => {
        const before = { existing, locked, isDescribed, areRunsReady: runs.isReady }
        return Effect.onError(driver.transaction(run), () =>
          Effect.sync(() => {
            existing = before.existing
            locked = before.locked
            isDescribed = before.isDescribed
            runs.isReady = before.areRunsReady
          }))
      })

    const writeItems = (session: PostgresSession, items: ReadonlyArray<Sample | RunEvent>) =>
      writeInOrder(
        {
          write: (batch) => writeRows(session, batch),
          // An event has a savepoint of its own: without it the others are written.
          event: (event) =>
            Effect.catchTag(
              writeEvent(session, event),
              "SqlFailure",
              (failure) => writeFailure(failure, 0).isRetryable ? Effect.fail(failure) : tellOf(failure)
            )
        },
        items,
        () => {}
      )

    let position: PostgresPosition | undefined
    const resumable: Resumable = {
      open: Effect.fnUntraced(function*({ first, firstAt = Infinity, journal, place }) {
        position = yield* transaction(Effect.fnUntraced(function*(session) {
          const opened = yield* session.statements((sql) => openPosition(sql, settings, journal, place))
          if (existing === null && opened.place.through > firstAt) {
            return yield* Effect.fail({ problem: tableGone(table) })
          }
          if (locked === undefined && first !== null) yield* lockBy(session, first)
          return opened
        })).pipe(
          Effect.catchIf(isProblem, ({ problem }) => Effect.fail(unresumable(settings, problem))),
          Effect.catchTag("SqlFailure", (failure) => refusal(failure, 0))
        )
        return position.place
      }),
      writeAt: Effect.fnUntraced(function*(items, through, keep) {
        const before = position!
        position = yield* transaction((session) =>
          Effect.andThen(
            writeItems(session, items),
            session.statements((sql) => before.advance(sql, through, keep))
          )
        ).pipe(
          Effect.catchTag(
            "SqlFailure",
            (failure) => refusal(failure, samplesIn(items))
          )
        )
        return position.place
      }),
      // What is committed is on the server's disk.
      sync: Effect.void,
      finish: () => Effect.sync(() => position!.place),
      forget: Effect.suspend(() =>
        position === undefined
          ? Effect.void
          : Effect.mapError(driver.statements(position.forget), (failure) => writeFailure(failure, 0))
      )
    }

    /** The table itself if it was altered since its columns were locked, else the failure. */
    const refusal = Effect.fnUntraced(function*(failure: SqlFailure, samples: number) {
      const problem = locked === undefined || !isAboutTable(failure)
        ? null
        : yield* driver.statements((sql) => readTable(sql, settings)).pipe(
          Effect.map(({ table }) => changeOf(table, locked!.rows)),
          Effect.orElseSucceed(() => null)
        )
      return yield* problem === null ? writeFailure(failure, samples) : schemaError(settings, problem)
    })

    return {
      ...SampleSink.make({
        name: SINK,
        target,
        resumable,
        dropped: () => locked?.rows.lock.dropped,
        event: (event) => Effect.catch(writeEvent(driver, event), tellOf),
        write: (batch) =>
          Effect.catchTag(writeRows(driver, batch), "SqlFailure", (failure) => refusal(failure, batch.length))
      }),
      schema,
      table,
      get columns() {
        return locked?.rows.lock.columns ?? []
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

/** The columns of a run in the table, and how they are copied. */
interface Locked {
  readonly rows: TableRows
  readonly copyStatements: ReadonlyArray<string>
  /** Free ones. */
  readonly buffers: globalThis.Array<CopyBuffer>
}

const schemaError = ({ target }: PostgresSettings, detail: string) =>
  new SinkSchemaError({ sink: SINK, target, detail })

const unresumable = ({ target }: PostgresSettings, detail: string) =>
  new SinkWriteError({ sink: SINK, target, samples: 0, reason: "Unknown", detail })

const isProblem = (error: object): error is TableProblem => "problem" in error

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
