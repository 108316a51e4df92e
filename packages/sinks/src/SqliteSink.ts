/**
 * A table in an SQLite database: one transaction a batch, several rows a statement, all in or all out.
 *
 * Columns are fixed at the first batch, or by the table if it exists: then only what both have is written, by the table's
 * types. Times are RFC 3339 text or integer microseconds. Units and identities of the devices stand in `<table>_columns`.
 *
 * Accepted means: committed. With `synchronous` NORMAL, the default, that survives a kill -9 of the process; FULL makes it
 * survive a power cut. A database that another process has locked is waited for without holding up anything else.
 */
import {
  type Cell,
  type CellWriter,
  type Column,
  type ColumnType,
  type Device,
  InvalidOptionError,
  type Sample,
  SampleSink,
  SchemaLock,
  SinkOpenError,
  SinkSchemaError,
  type SinkShape,
  SinkWriteError
} from "@sampleline/core"
import { retryWhileLocked, runTransaction, SqliteDatabase, type SqliteFailure } from "@sampleline/sqlite"
import { type Array, Context, Duration, Effect, Formatter, type Layer, Option, type Scope } from "effect"
import * as fs from "node:fs"
import { toOpenError } from "./internal/ByteOutput.ts"
import { describeDevices } from "./internal/Description.ts"
import { checkParents, type FileMode, makeParents } from "./internal/files.ts"
import { checkIdentifiers, quoted, TIME_COLUMNS } from "./internal/identifiers.ts"
import { TextBuffer } from "./internal/TextBuffer.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface SqliteSinkOptions {
  readonly path: string
  /** `create` refuses an existing file, `append` writes into it, `overwrite` replaces only the sink's own table. Default: `create`. */
  readonly mode?: FileMode | undefined
  /** Default: `samples`. */
  readonly table?: string | undefined
  /** Whether to make the table if there is none. Default: true. */
  readonly createTable?: boolean | undefined
  /** Default: `WAL`. */
  readonly journalMode?: "WAL" | "DELETE" | "TRUNCATE" | "PERSIST" | "MEMORY" | "OFF" | undefined
  /** Default: `NORMAL`. */
  readonly synchronous?: "NORMAL" | "FULL" | "EXTRA" | "OFF" | undefined
  /** How long to wait for a database that another process has locked. Default: 5 seconds. */
  readonly busyTimeout?: Duration.Input | undefined
  /** How a new table stores times: RFC 3339 text, or integer microseconds since the epoch. Default: `text`. */
  readonly timestamps?: "text" | "integer" | undefined
  /** Whether `run_id` and `sequence` follow the status. Default: false. */
  readonly identity?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category sinks
 */
export class SqliteSink extends Context.Service<
  SqliteSink,
  SinkShape & {
    readonly path: string
    readonly table: string
    /** The locked columns; empty before the first batch into a new table. */
    readonly columns: ReadonlyArray<Column>
  }
>()("@sampleline/sinks/SqliteSink") {
  static readonly make = Effect.fnUntraced(function*(
    options: SqliteSinkOptions
  ): Effect.fn.Return<SqliteSink["Service"], InvalidOptionError | SinkOpenError | SinkSchemaError, Scope.Scope> {
    const settings = yield* validate(options)
    const { busyTimeout, path, table } = settings
    const begun = { value: false }
    yield* acquireFile(settings, begun)
    const database = yield* Effect.mapError(SqliteDatabase.open(path), (cause) => toSqliteOpenError(path, cause))
    const existing = yield* retryWhileLocked(() => database.columnsOf(table), busyTimeout).pipe(
      Effect.mapError((cause) => toSqliteOpenError(path, cause))
    )
    if (existing.length === 0 && !settings.createTable) {
      return yield* new SinkSchemaError({
        sink: SINK,
        target: path,
        detail: `it has no table ${table}; make one, or let the sink make it with createTable`
      })
    }
    yield* Effect.logInfo(`${SINK} opened ${path}`)

    const isNew = existing.length === 0 || settings.mode === "overwrite"
    let shape: Shape | undefined
    let parameters: Parameters | undefined
    let inserts: Inserts | undefined

    const write = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
      shape ??= isNew ? shapeOfBatch(batch, options) : shapeOfTable(existing, batch, options)
      const { columns } = shape.lock
      if (columns.length === 0) {
        return yield* new SinkSchemaError({
          sink: SINK,
          target: path,
          detail: `its table ${table} has none of this run's columns; choose another table`
        })
      }
      const values = (parameters ??= new Parameters(shape)).of(batch)
      const transaction = () => {
        if (inserts === undefined) {
          if (settings.mode === "overwrite") dropTables(database, table)
          if (isNew) database.exec(createTable(table, shape!))
          describeColumns(database, table, batch, shape!.lock)
        }
        const prepared = inserts ?? prepareInserts(database, table, columns)
        insertAll(prepared, values, columns.length)
        return prepared
      }
      const attempted = () => {
        if (!begun.value) {
          database.exec(`PRAGMA journal_mode = ${settings.journalMode}; PRAGMA synchronous = ${settings.synchronous}`)
          begun.value = true
        }
        inserts = runTransaction(database, transaction)
      }
      yield* Effect.mapError(
        retryWhileLocked(attempted, busyTimeout),
        (cause) => toSqliteWriteError(path, batch.length, busyTimeout, cause)
      )
    })

    return {
      ...SampleSink.make({ name: SINK, target: path, lock: () => shape?.lock, write }),
      path,
      table,
      get columns() {
        return shape?.lock.columns ?? []
      }
    }
  })

  /** Provides `SqliteSink` and `SampleSink`. */
  static readonly layer = (
    options: SqliteSinkOptions
  ): Layer.Layer<SqliteSink | SampleSink, InvalidOptionError | SinkOpenError | SinkSchemaError> =>
    SampleSink.layerOf(SqliteSink, SqliteSink.make(options))

  /** Fails as opening would, as far as that can be told without touching anything. */
  static readonly check = Effect.fnUntraced(function*(
    options: SqliteSinkOptions,
    _devices?: ReadonlyArray<Device>
  ): Effect.fn.Return<void, InvalidOptionError | SinkOpenError> {
    const settings = yield* validate(options)
    if (!(yield* isDatabaseThere(settings))) yield* onFile(settings.path, () => checkParents(settings.path))
  })
}

const SINK = "SqliteSink"
const JOURNAL_MODES: ReadonlySet<string> = new Set(["WAL", "DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF"])
const SYNCHRONOUS: ReadonlySet<string> = new Set(["NORMAL", "FULL", "EXTRA", "OFF"])
/** What every SQLite database begins with. */
const MAGIC = "SQLite format 3\0"

interface Settings {
  readonly path: string
  readonly mode: FileMode
  readonly table: string
  readonly createTable: boolean
  readonly journalMode: string
  readonly synchronous: string
  readonly busyTimeout: Duration.Duration
}

const validate = Effect.fnUntraced(
  function*(options: SqliteSinkOptions): Effect.fn.Return<Settings, InvalidOptionError> {
    const { createTable = true, journalMode = "WAL", mode = "create", path, synchronous = "NORMAL" } = options
    const { table = "samples" } = options
    const refuse = (option: string, value: unknown, expected: string) =>
      new InvalidOptionError({ option, value: Formatter.format(value), expected })
    yield* checkIdentifiers({ table })
    if (/^sqlite_/i.test(table)) {
      return yield* refuse("table", table, "a name that does not begin with sqlite_, which SQLite keeps for itself")
    }
    // These two become part of a statement.
    if (!JOURNAL_MODES.has(journalMode)) {
      return yield* refuse("journalMode", journalMode, [...JOURNAL_MODES].join(", "))
    }
    if (!SYNCHRONOUS.has(synchronous)) return yield* refuse("synchronous", synchronous, [...SYNCHRONOUS].join(", "))
    const busyTimeout = Option.getOrUndefined(Duration.fromInput(options.busyTimeout ?? "5 seconds"))
    if (busyTimeout === undefined || Duration.isNegative(busyTimeout)) {
      return yield* refuse("busyTimeout", options.busyTimeout, "a time such as \"5 seconds\", or 0 not to wait")
    }
    return { path, mode, table, createTable, journalMode, synchronous, busyTimeout }
  }
)

const onFile = <A>(path: string, run: () => A): Effect.Effect<A, SinkOpenError> =>
  Effect.try({ try: run, catch: (cause) => toOpenError({ sink: SINK, target: path }, cause) })

/** Whether there is a database already; refuses one that may not be touched, and what is no database. */
const isDatabaseThere = Effect.fnUntraced(function*(
  { mode, path }: Settings
): Effect.fn.Return<boolean, SinkOpenError> {
  const stats = yield* onFile(path, () => fs.statSync(path, { throwIfNoEntry: false }))
  if (stats === undefined) return false
  if (stats.isDirectory()) return yield* toOpenError({ sink: SINK, target: path }, { code: "EISDIR" })
  if (mode === "create") return yield* toOpenError({ sink: SINK, target: path }, { code: "EEXIST" })
  const isDatabase = yield* onFile(path, () => {
    const fd = fs.openSync(path, "r+")
    const start = Buffer.alloc(MAGIC.length)
    const read = fs.readSync(fd, start, 0, start.length, 0)
    fs.closeSync(fd)
    return read === 0 || start.toString("latin1") === MAGIC
  })
  return isDatabase ? true : yield* foreign(path)
})

const foreign = (path: string, cause?: unknown) =>
  new SinkOpenError({
    sink: SINK,
    target: path,
    reason: "Foreign",
    detail: "it is no intact SQLite database; it is left as it is. Record to another file",
    cause
  })

/** Makes the file if there is none, and takes it away again if nothing came into it. */
const acquireFile = Effect.fnUntraced(function*(settings: Settings, begun: { readonly value: boolean }) {
  const { path } = settings
  const isNew = !(yield* isDatabaseThere(settings))
  yield* Effect.acquireRelease(
    onFile(path, () => {
      if (!isNew) return
      makeParents(path)
      fs.closeSync(fs.openSync(path, "wx", 0o666))
    }),
    () =>
      Effect.sync(() => {
        if (isNew && !begun.value) fs.rmSync(path, { force: true })
      }).pipe(Effect.andThen(Effect.logInfo(`${SINK} closed ${path}`)))
  )
})

/** The locked columns, and how the table stores each. */
interface Shape {
  readonly lock: SchemaLock
  readonly storedTypes: ReadonlyArray<"TEXT" | "REAL" | "INTEGER">
}

const shapeOfBatch = (batch: Iterable<Sample>, options: SqliteSinkOptions): Shape => {
  const lock = SchemaLock.fromBatch(batch, options)
  const stored: { readonly [type in ColumnType]: Shape["storedTypes"][number] } = {
    text: "TEXT",
    float: "REAL",
    int: "INTEGER",
    timestamp: options.timestamps === "integer" ? "INTEGER" : "TEXT"
  }
  return { lock, storedTypes: lock.columns.map((column) => stored[column.type]) }
}

const shapeOfTable = (
  existing: ReadonlyArray<SqliteDatabase.SqliteColumn>,
  batch: Iterable<Sample>,
  options: SqliteSinkOptions
): Shape => {
  const types = { INTEGER: "int", TEXT: "text", REAL: "float" } as const
  const storedTypes = new Map(existing.map(({ name, type }) => [name, affinityOf(type)]))
  const columns = existing.map(({ name, type }): Column => ({
    name,
    type: TIME_COLUMNS.has(name) ? "timestamp" : types[affinityOf(type)],
    nullable: true
  }))
  const lock = SchemaLock.fromTable(columns, batch, options)
  return { lock, storedTypes: lock.columns.map((column) => storedTypes.get(column.name)!) }
}

/** What SQLite makes of a declared type. */
const affinityOf = (declared: string): Shape["storedTypes"][number] =>
  /INT/i.test(declared) ? "INTEGER" : /CHAR|CLOB|TEXT/i.test(declared) ? "TEXT" : "REAL"

/**
 * The cells of all rows of a batch, one after the other. Its times as text are parts of one string: one that is put together is
 * bound half as fast.
 */
class Parameters implements CellWriter {
  private readonly shape: Shape
  private values: globalThis.Array<Cell> = []
  private at = 0
  private readonly times = new TextBuffer()
  /** Where in `values` each time goes, and where in `times` it ends. */
  private readonly places: globalThis.Array<number> = []
  private readonly ends: globalThis.Array<number> = []

  constructor(shape: Shape) {
    this.shape = shape
  }

  of(batch: ReadonlyArray<Sample>): ReadonlyArray<Cell> {
    const { lock } = this.shape
    // Another batch may come while this one waits for a lock.
    this.values = []
    this.at = 0
    this.times.clear()
    this.places.length = this.ends.length = 0
    for (const sample of batch) lock.write(sample, this)
    const times = this.times.content().toString("latin1")
    for (let n = 0; n < this.places.length; n++) {
      this.values[this.places[n]!] = times.slice(n === 0 ? 0 : this.ends[n - 1], this.ends[n])
    }
    return this.values
  }

  number(value: number): void {
    this.values[this.at++] = value
  }

  text(value: string): void {
    this.values[this.at++] = value.toWellFormed()
  }

  timestamp(micros: number): void {
    const { storedTypes } = this.shape
    if (storedTypes[this.at % storedTypes.length] !== "TEXT") return this.number(micros)
    this.times.timestamp(micros)
    this.places.push(this.at++)
    this.ends.push(this.times.length)
  }

  missing(): void {
    this.values[this.at++] = null
  }
}

const createTable = (table: string, { lock, storedTypes }: Shape): string =>
  `CREATE TABLE ${quoted(table)} (${
    lock.columns.map((column, at) => `${quoted(column.name)} ${storedTypes[at]}`).join(", ")
  })`

const dropTables = (database: SqliteDatabase.SqliteDatabase, table: string): void =>
  database.exec(`DROP TABLE IF EXISTS ${quoted(table)}; DROP TABLE IF EXISTS ${quoted(`${table}_columns`)}`)

/** What a number in the table means: a row for each of a device's columns, with unit and who the device is. */
const describeColumns = (
  database: SqliteDatabase.SqliteDatabase,
  table: string,
  batch: ReadonlyArray<Sample>,
  lock: SchemaLock
): void => {
  const name = quoted(`${table}_columns`)
  database.exec(
    `CREATE TABLE IF NOT EXISTS ${name} (run_id TEXT, device TEXT, unit_id TEXT, manufacturer TEXT, model TEXT, `
      + "serial_number TEXT, firmware TEXT, calibration_date TEXT, column_name TEXT, unit TEXT, statistic INTEGER)"
  )
  const insert = database.prepare(`INSERT INTO ${name} VALUES (${placeholders(11)})`)
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

interface Inserts {
  readonly one: SqliteDatabase.SqliteStatement
  readonly many: SqliteDatabase.SqliteStatement
  /** How many rows `many` takes. */
  readonly rows: number
}

/** SQLite takes at most this many parameters a statement; more than 16 rows a statement are no faster. */
const MAX_PARAMETERS = 32_766
const MAX_ROWS = 16

const prepareInserts = (
  database: SqliteDatabase.SqliteDatabase,
  table: string,
  columns: ReadonlyArray<Column>
): Inserts => {
  const rows = Math.max(1, Math.min(MAX_ROWS, Math.floor(MAX_PARAMETERS / columns.length)))
  const insert = `INSERT INTO ${quoted(table)} (${columns.map((column) => quoted(column.name)).join(", ")}) VALUES `
  const row = `(${placeholders(columns.length)})`
  return {
    one: database.prepare(insert + row),
    many: database.prepare(insert + globalThis.Array.from({ length: rows }, () => row).join(", ")),
    rows
  }
}

const placeholders = (count: number): string => globalThis.Array.from({ length: count }, () => "?").join(", ")

const insertAll = ({ many, one, rows }: Inserts, values: ReadonlyArray<Cell>, width: number): void => {
  let at = 0
  for (; at + rows * width <= values.length; at += rows * width) many.run(values.slice(at, at + rows * width))
  for (; at < values.length; at += width) one.run(values.slice(at, at + width))
}

const toSqliteOpenError = (path: string, cause: SqliteFailure): SinkOpenError => {
  const reasons: { readonly [code: number]: readonly [SinkOpenError["reason"], string] } = {
    5: ["Timeout", "another process has it locked; end that process or wait for it"],
    8: ["PermissionDenied", "it may not be written to; change its permissions"],
    13: ["DiskFull", "the disk is full; make room or choose another disk"],
    14: ["PermissionDenied", "SQLite cannot open it; check the permissions of the file and of its folder"]
  }
  if (cause.primaryCode === 11 || cause.primaryCode === 26) return foreign(path, cause)
  const [reason, detail] = reasons[cause.primaryCode] ?? ["Unknown", cause.message]
  return new SinkOpenError({ sink: SINK, target: path, reason, detail, cause })
}

const toSqliteWriteError = (
  path: string,
  samples: number,
  busyTimeout: Duration.Duration,
  cause: SqliteFailure
): SinkWriteError => {
  const reasons: { readonly [code: number]: readonly [SinkWriteError["reason"], string] } = {
    5: ["Timeout", `another process has had it locked for ${Duration.format(busyTimeout)}`],
    8: ["PermissionDenied", cause.message],
    13: ["DiskFull", "the disk is full; what was accepted before is complete"],
    19: ["Constraint", cause.message]
  }
  // A write that the system cut short: with a limit on the file's size, or on some file systems a full disk.
  const known = cause.code === 778 ? reasons[13] : reasons[cause.primaryCode]
  const [reason, detail] = known ?? ["Unknown", cause.message]
  return new SinkWriteError({ sink: SINK, target: path, samples, reason, detail, cause })
}
