/**
 * A table in an SQLite database: one transaction a batch, several rows a statement, all of a batch or nothing.
 *
 * Columns are fixed at the first batch. If the table exists, the columns that it shares with the run are written, by the table's
 * types. Times are RFC 3339 text or integer microseconds. SQLite keeps infinities, and stores NaN as NULL, which is counted.
 * Units and the devices' identities are in `<table>_columns`, the runs in `<table>_runs`, and their events in `<table>_events`. The
 * view `<table>_with_run` has each row with its run.
 *
 * Accepted means: committed. With `synchronous` NORMAL, the default, a batch survives a kill -9 of the process; with FULL it
 * survives a power cut. If another process has locked the database, the sink waits, and nothing else waits with it.
 *
 * In WAL mode SQLite commits to `<path>-wal`. The first batch is copied into the database file at once, later ones every minute
 * while batches come. So a copy of that file alone lacks at most the rows of a minute.
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
  type SinkOpenError,
  SinkSchemaError,
  type SinkShape,
  writeInOrder
} from "@sampleline/core"
import { inTransaction, retryWhileLocked, runTransaction, SqliteDatabase } from "@sampleline/sqlite"
import { type Array, Clock, type Config, Context, type Duration, Effect, type Layer, type Scope } from "effect"
import { withSamples } from "./internal/FileFailure.ts"
import { firstBatchOf } from "./internal/firstBatch.ts"
import { layerConfigOf } from "./internal/layerConfig.ts"
import type { FileMode } from "./internal/OutputFile.ts"
import { eventsNotKept } from "./internal/RunTables.ts"
import { sqliteOpenError } from "./internal/SqliteFailures.ts"
import { columnsOf, openSqlite, viewSqlite } from "./internal/SqliteFile.ts"
import { insertAll, type Inserts, Parameters, prepareInserts } from "./internal/SqliteInserts.ts"
import { SqlitePositions } from "./internal/SqlitePositions.ts"
import { SqliteRuns } from "./internal/SqliteRuns.ts"
import { type SqliteSettings, sqliteSettings } from "./internal/SqliteSettings.ts"
import { descriptionProblem, makeTable, shapeOf, type SqliteShape } from "./internal/SqliteTable.ts"
import { tableGone } from "./internal/TableFit.ts"
import { writeComplete } from "./internal/writeComplete.ts"
import type { OpenableSink } from "./OpenableSink.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface SqliteSinkOptions extends RowOptions {
  readonly path: string
  /** `create` refuses an existing file, `append` writes into it, `overwrite` replaces only the sink's own table. Default: `create`. */
  readonly mode?: FileMode | undefined
  /** Default: `samples`. */
  readonly table?: string | undefined
  /** Whether to make a missing table. Default: true. */
  readonly createTable?: boolean | undefined
  /** Default: `WAL` for a new database; one that exists keeps its own. */
  readonly journalMode?: "WAL" | "DELETE" | "TRUNCATE" | "PERSIST" | "MEMORY" | "OFF" | undefined
  /** Default: `NORMAL`. */
  readonly synchronous?: "NORMAL" | "FULL" | "EXTRA" | "OFF" | undefined
  /** How long to wait for a database that another process has locked. Default: 5 seconds. */
  readonly busyTimeout?: Duration.Input | undefined
  /** How a new table stores times: RFC 3339 text, or integer microseconds since the epoch. Default: `text`. */
  readonly timestamps?: "text" | "integer" | undefined
}

type OpenFailure = InvalidOptionError | SinkOpenError | SinkSchemaError

/**
 * @since 0.1.0
 * @category sinks
 */
export class SqliteSink extends Context.Service<
  SqliteSink,
  SinkShape & {
    readonly path: string
    readonly table: string
    /** The locked columns; empty before the first batch. */
    readonly columns: ReadonlyArray<Column>
  }
>()("@sampleline/sinks/SqliteSink") {
  static readonly make = Effect.fnUntraced(function*(
    options: SqliteSinkOptions
  ): Effect.fn.Return<SqliteSink["Service"], OpenFailure, Scope.Scope> {
    const settings = yield* sqliteSettings(options)
    const { busyTimeout, path, synchronous, table } = settings
    const writer = { sink: SINK, target: path }
    let hasBegun = false
    const { database, ended, failed, isNew, reopenIfLost, toDisk, watch } = yield* openSqlite(
      writer,
      settings,
      () => hasBegun
    )
    const journalMode = settings.journalMode ?? (isNew ? "WAL" : null)
    const existing = yield* Effect.mapError(columnsOf(database, settings), (cause) => sqliteOpenError(writer, cause))
    yield* expectTable(settings, existing)
    yield* expectOwnDescription(settings, database)
    yield* Effect.logInfo(`${SINK} opened ${path}`)

    let shape: SqliteShape | undefined
    let parameters: Parameters | undefined
    let isConfigured = false
    let begun: Begun | undefined
    const checkpoint = checkpointing(database)
    // SQLite itself does this only if no other program has the database open.
    yield* Effect.addFinalizer(() => copyLog(database))
    const runs = new SqliteRuns(database, settings)
    let eventsLeftOut = false
    const configure = () => {
      if (isConfigured) return
      if (journalMode !== null) database.exec(`PRAGMA journal_mode = ${journalMode}`)
      database.exec(`PRAGMA synchronous = ${synchronous}`)
      isConfigured = true
    }

    const event = Effect.fnUntraced(function*(event: RunEvent) {
      const end = ended()
      if (end !== undefined) return yield* withSamples(end, 0)
      const attempted = () => {
        configure()
        return runs.write(event)
      }
      const isKept = yield* Effect.mapError(
        retryWhileLocked(attempted, busyTimeout),
        failed(0)
      )
      if (isKept || eventsLeftOut) return
      eventsLeftOut = true
      yield* Effect.logInfo(`${SINK} ${path}: ${eventsNotKept(table)}`)
    })

    const lockBy = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
      if (shape !== undefined) return shape
      const found = shapeOf(settings, existing, batch, options)
      if ("problem" in found) return yield* schemaError(settings, found.problem)
      for (const loss of found.losses) yield* Effect.logWarning(`${SINK} ${path}: ${loss}`)
      return shape = found
    })

    const writeRows = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
      const end = ended()
      if (end !== undefined) return yield* withSamples(end, batch.length)
      const locked = yield* lockBy(batch)
      yield* writeComplete(locked, batch, (complete) => insert(locked, batch, complete))
    })
    const write = (batch: Array.NonEmptyReadonlyArray<Sample>) => Effect.andThen(writeRows(batch), checkpoint)

    const insert = Effect.fnUntraced(function*(
      locked: SqliteShape,
      batch: ReadonlyArray<Sample>,
      complete: ReadonlyArray<Sample>
    ) {
      const values = (parameters ??= new Parameters(locked)).of(complete)
      const transaction = () => {
        const prepared = begun ?? begin(database, settings, runs, positions, locked, batch)
        insertAll(prepared.inserts, values, locked.lock.columns.length)
        return prepared
      }
      const attempted = () => {
        configure()
        begun = runTransaction(database, transaction)
        return begun
      }
      const isFirst = begun === undefined
      const { noView } = yield* Effect.mapError(
        retryWhileLocked(attempted, busyTimeout),
        failed(batch.length)
      )
      if (isFirst && noView !== null) yield* Effect.logInfo(`${SINK} ${path}: ${noView}`)
      watch.unseen += complete.length
    })

    const positions = new SqlitePositions(database, table)
    /** The connection is new if the disk was away. */
    const findAgain = () => {
      if (!reopenIfLost()) return
      isConfigured = false
      if (begun !== undefined) begun = { ...begun, inserts: prepareInserts(database, table, shape!.lock.columns) }
    }
    const resumable: Resumable = {
      open: Effect.fnUntraced(function*({ first, firstAt = Infinity, journal, place }) {
        const end = ended()
        if (end !== undefined) return yield* withSamples(end, 0)
        if (first !== null) yield* lockBy(first)
        const attempted = () => {
          findAgain()
          configure()
          return positions.open(journal, place?.through ?? null)
        }
        const through = yield* Effect.mapError(retryWhileLocked(attempted, busyTimeout), failed(0))
        if (existing.length === 0 && begun === undefined && through > firstAt) {
          return yield* schemaError(settings, tableGone(table))
        }
        return { through, token: "" }
      }),
      writeAt: Effect.fnUntraced(function*(items, through) {
        const undo = { begun, areRunsReady: runs.isReady }
        const all = Effect.andThen(
          writeInOrder({ event, write: writeRows }, items, () => {}),
          SqliteDatabase.attempt(() => positions.advance(through))
        )
        yield* inTransaction(database, busyTimeout, all).pipe(
          Effect.onError(() =>
            Effect.sync(() => {
              begun = undo.begun
              runs.isReady = undo.areRunsReady
            })
          ),
          Effect.catchTag("SqliteFailure", (failure) => Effect.fail(failed(samplesIn(items))(failure)))
        )
        positions.advanced(through)
        yield* checkpoint
        return { through, token: "" }
      }),
      sync: Effect.mapError(toDisk, failed(0)),
      finish: (through) => Effect.succeed({ through, token: "" }),
      forget: Effect.mapError(
        retryWhileLocked(() => runTransaction(database, () => positions.forget()), busyTimeout),
        failed(0)
      )
    }
    // Where the position cannot be kept with the rows, samples may be written again.
    const isResumable = settings.createTable && journalMode !== "OFF" && journalMode !== "MEMORY"

    return {
      ...SampleSink.make({
        name: SINK,
        target: path,
        resumable: isResumable ? resumable : undefined,
        began: () => {
          hasBegun = true
        },
        dropped: () => shape?.lock.dropped,
        event,
        lost: ended,
        write
      }),
      path,
      table,
      get columns() {
        return shape?.lock.columns ?? []
      }
    }
  }, (opening, { path }) => Effect.annotateLogs(opening, { sink: SINK, target: path }))

  /** Provides `SqliteSink` and `SampleSink`. */
  static readonly layer = (options: SqliteSinkOptions): Layer.Layer<SqliteSink | SampleSink, OpenFailure> =>
    SampleSink.layerOf(SqliteSink, SqliteSink.make(options))

  /** The layer with options from the configuration. */
  static readonly layerConfig: (
    options: Config.Wrap<SqliteSinkOptions>
  ) => Layer.Layer<SqliteSink | SampleSink, OpenFailure | Config.ConfigError> = layerConfigOf(SqliteSink.layer)

  /**
   * Fails as opening would, and changes nothing. With the devices it also fails as their first batch would: a new table is made
   * in memory, and the statements for an existing one are prepared on a read-only connection.
   */
  static readonly check = Effect.fnUntraced(
    function*(
      options: SqliteSinkOptions,
      devices?: ReadonlyArray<Device>
    ): Effect.fn.Return<void, OpenFailure, Scope.Scope> {
      const settings = yield* sqliteSettings(options)
      const view = yield* viewSqlite({ sink: SINK, target: settings.path }, settings)
      if (view === "unreadable") return
      const existing = view?.existing ?? []
      yield* expectTable(settings, existing)
      if (view !== null) yield* expectOwnDescription(settings, view.database)
      const batch = firstBatchOf(devices)
      if (batch === null) return
      const shape = shapeOf(settings, existing, batch, options)
      if ("problem" in shape) return yield* schemaError(settings, shape.problem)
      const refuse = ({ message }: { readonly message: string }) =>
        schemaError(settings, `SQLite refuses this run: ${message}. Rename the fields, or choose another table`)
      const rehearsal = Effect.gen(function*() {
        if (view !== null && !shape.isNew) {
          yield* SqliteDatabase.attempt(() => prepareInserts(view.database, settings.table, shape.lock.columns))
          return
        }
        const database = yield* SqliteDatabase.open(":memory:")
        yield* SqliteDatabase.attempt(() =>
          begin(
            database,
            settings,
            new SqliteRuns(database, settings),
            new SqlitePositions(database, settings.table),
            shape,
            batch
          )
        )
      })
      yield* Effect.mapError(rehearsal, refuse)
    },
    Effect.scoped
  )
}

const SINK = "SqliteSink"

// For the type checker only.
void (SqliteSink satisfies OpenableSink<SqliteSinkOptions, OpenFailure>)

const schemaError = ({ path }: SqliteSettings, detail: string) =>
  new SinkSchemaError({ sink: SINK, target: path, detail })

const expectTable = (
  settings: SqliteSettings,
  existing: ReadonlyArray<SqliteDatabase.SqliteColumn>
): Effect.Effect<void, SinkSchemaError> =>
  existing.length > 0 || settings.createTable
    ? Effect.void
    : Effect.fail(
      schemaError(settings, `it has no table ${settings.table}; make one, or let the sink make it with createTable`)
    )

/** Fails if another program's table has the name of the description. */
const expectOwnDescription = Effect.fnUntraced(function*(
  settings: SqliteSettings,
  database: SqliteDatabase.SqliteDatabase
): Effect.fn.Return<void, SinkOpenError | SinkSchemaError> {
  const problem = yield* Effect.mapError(
    retryWhileLocked(() => descriptionProblem(database, settings), settings.busyTimeout),
    (cause) => sqliteOpenError({ sink: SINK, target: settings.path }, cause)
  )
  if (problem !== null) return yield* schemaError(settings, problem)
})

/** How long committed rows may be in the write-ahead log alone. */
const CHECKPOINT_NANOS = 60_000_000_000n

/** Copies the write-ahead log into the database now and then. The log keeps what cannot be copied: a failure costs nothing. */
const checkpointing = (database: SqliteDatabase.SqliteDatabase): Effect.Effect<void> => {
  let dueNanos = 0n
  return Clock.clockWith((clock) => {
    const now = clock.monotonicTimeNanosUnsafe()
    if (now < dueNanos) return Effect.void
    dueNanos = now + CHECKPOINT_NANOS
    return copyLog(database)
  })
}

const copyLog = (database: SqliteDatabase.SqliteDatabase): Effect.Effect<void> =>
  Effect.ignore(SqliteDatabase.attempt(() => database.exec("PRAGMA wal_checkpoint(PASSIVE)")))

interface Begun {
  readonly inserts: Inserts
  /** Why there is no view of the rows with their runs; null if there is one, or none is wanted. */
  readonly noView: string | null
}

/** What the first batch needs: the table, its description, and the statements. */
const begin = (
  database: SqliteDatabase.SqliteDatabase,
  settings: SqliteSettings,
  runs: SqliteRuns,
  positions: SqlitePositions,
  shape: SqliteShape,
  batch: ReadonlyArray<Sample>
): Begun => {
  if (shape.isNew) {
    positions.forgetOthers()
    makeTable(database, settings, shape)
  }
  const noView = runs.describe(batch, shape.lock)
  return { inserts: prepareInserts(database, settings.table, shape.lock.columns), noView }
}
