/**
 * A table in a Postgres database, by binary COPY or by inserts.
 *
 * With `createTable` the table is made with real types: `timestamptz`, `double precision`. A table that is there is written by
 * the columns that it and the run both have, each value converted to its column's type; its other columns, such as a serial key
 * or a `default now()`, stay the database's business. Units and the devices' identities become comments of a table that is made.
 *
 * Accepted means: committed, all of a batch or nothing. A batch that failed by a time-out or a lost connection may still be
 * committed by the server afterwards. No message, span or error holds a password or a URL.
 */
import {
  type Column,
  type Device,
  InvalidOptionError,
  type Sample,
  SampleSink,
  type SinkDependencyError,
  SinkOpenError,
  SinkSchemaError,
  type SinkShape
} from "@sampleline/core"
import {
  type Array,
  Config,
  Context,
  Duration,
  Effect,
  Formatter,
  Layer,
  Option,
  type Redacted,
  type Scope,
  Semaphore
} from "effect"
import * as os from "node:os"
import type { ConnectionOptions } from "node:tls"
import { checkIdentifiers } from "./internal/identifiers.ts"
import { openPostgres, parseUrl, type PostgresAddress, type PostgresSettings } from "./internal/PostgresDriver.ts"
import {
  copyStatement,
  createTable,
  insertRows,
  type PostgresTable,
  readTable,
  rowsOf,
  type TableRows
} from "./internal/PostgresTable.ts"
import { CopyBuffer } from "./internal/PostgresTypes.ts"
import { type SqlFailure, toOpenError, toWriteError } from "./internal/SqlFailure.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface PostgresSinkOptions {
  /** `postgres://user:password@host:5432/database?sslmode=require`; either this or `host`. */
  readonly url?: Redacted.Redacted | undefined
  readonly host?: string | undefined
  /** Default: 5432. */
  readonly port?: number | undefined
  /** Default: the name of the system's user. */
  readonly user?: string | undefined
  /** Also for a `url` without one. */
  readonly password?: Redacted.Redacted | undefined
  /** Default: the user's name. */
  readonly database?: string | undefined
  /** Whether, and how, the connection is encrypted. Default: as the url's `sslmode` says, else false. */
  readonly ssl?: boolean | ConnectionOptions | undefined
  /** Default: `public`. */
  readonly schema?: string | undefined
  /** Default: `samples`. */
  readonly table?: string | undefined
  /** Whether to make the table if there is none. Default: false. */
  readonly createTable?: boolean | undefined
  /** Binary COPY, or else inserts. Default: true. */
  readonly useCopy?: boolean | undefined
  /** How many connections are kept. Default: 1. */
  readonly minConnections?: number | undefined
  /** How many connections there are at most; more than one serves programs that write several batches at once. Default: 4. */
  readonly maxConnections?: number | undefined
  /** How long the server works on one statement; 0 for as long as it takes. Default: 30 seconds. */
  readonly statementTimeout?: Duration.Input | undefined
  /** How long to wait for the server's answer to a batch. Default: 10 seconds. */
  readonly commandTimeout?: Duration.Input | undefined
  /** How long connecting may take. Default: 30 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** How long closing may take; then the connections are cut. Default: 10 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
  /** Whether `run_id` and `sequence` follow the status. Default: false. */
  readonly identity?: boolean | undefined
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
    const settings = yield* validate(options)
    const { schema, table, target } = settings
    const { driver, table: found } = yield* open(settings)
    let existing = found
    yield* Effect.logInfo(`${SINK} opened ${target}`)
    yield* Effect.addFinalizer(() => Effect.logInfo(`${SINK} closed ${target}`))

    let rows: TableRows | undefined
    let statement: string | undefined
    /** The first of batches that come at once locks the columns. */
    const beginning = Semaphore.makeUnsafe(1)
    const buffers: globalThis.Array<CopyBuffer> = []

    const begin = Effect.fnUntraced(function*(batch: ReadonlyArray<Sample>) {
      existing ??= yield* driver.statements((sql) =>
        Effect.andThen(createTable(sql, settings, batch, options), readTable(sql, settings))
      ).pipe(Effect.map((found) => found.table))
      const result = rowsOf(existing!, batch, options)
      if ("problem" in result) return yield* new SinkSchemaError({ sink: SINK, target, detail: result.problem })
      if (result.leftOut.length > 0) {
        yield* Effect.logWarning(
          `${SINK} ${target}: leaving out ${result.leftOut.join(", ")}, which ${settings.user} may not insert into`
        )
      }
      rows = result
    })

    const write = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
      if (rows === undefined) {
        yield* beginning.withPermit(Effect.suspend(() => rows === undefined ? begin(batch) : Effect.void))
      }
      const locked = rows!
      const { kinds, lock } = locked
      if (!settings.useCopy || !existing!.canCopy) {
        return yield* driver.statements((sql) =>
          insertRows(sql, settings, locked, batch.map((sample) => lock.row(sample)))
        )
      }
      const buffer = buffers.pop() ?? new CopyBuffer(kinds)
      yield* driver.copy(statement ??= copyStatement(settings, locked), buffer.encode(lock, batch))
      // One that was not accepted may still be held by a connection that is being cut.
      buffers.push(buffer)
    })

    return {
      ...SampleSink.make({
        name: SINK,
        target,
        lock: () => rows?.lock,
        write: (batch) =>
          Effect.catchTag(
            write(batch),
            "SqlFailure",
            (failure) => Effect.fail(toWriteError(SINK, target, batch.length, failure))
          )
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
  static readonly layerConfig = (
    options: Config.Wrap<PostgresSinkOptions>
  ): Layer.Layer<PostgresSink | SampleSink, OpenFailure | Config.ConfigError> =>
    Layer.unwrap(Effect.map(Config.unwrap(options), PostgresSink.layer))

  /** Fails as opening would; connects for it, and changes nothing. */
  static readonly check = (
    options: PostgresSinkOptions,
    _devices?: ReadonlyArray<Device>
  ): Effect.Effect<void, OpenFailure> => Effect.asVoid(Effect.scoped(Effect.flatMap(validate(options), open)))
}

const SINK = "PostgresSink"

interface Settings extends PostgresSettings {
  readonly schema: string
  readonly table: string
  readonly createTable: boolean
  /** Safe to be shown. */
  readonly target: string
}

const validate = Effect.fnUntraced(
  function*(options: PostgresSinkOptions): Effect.fn.Return<Settings, InvalidOptionError> {
    const { createTable = false, maxConnections = 4, minConnections = 1, schema = "public", table = "samples" } =
      options
    const refuse = (option: string, value: unknown, expected: string) =>
      new InvalidOptionError({ option, value: Formatter.format(value), expected })
    yield* checkIdentifiers({ schema, table })
    const address = yield* addressOf(options)
    if (!Number.isInteger(address.port) || address.port < 1 || address.port > 65_535) {
      return yield* refuse("port", address.port, "a port number from 1 to 65535")
    }
    if (!Number.isInteger(minConnections) || minConnections < 0) {
      return yield* refuse("minConnections", minConnections, "a whole number, 0 or more")
    }
    if (!Number.isInteger(maxConnections) || maxConnections < 1 || maxConnections < minConnections) {
      return yield* refuse("maxConnections", maxConnections, "a whole number above 0, not below minConnections")
    }
    const time = (option: keyof PostgresSinkOptions, byDefault: Duration.Input, least: number) => {
      const value = (options[option] ?? byDefault) as Duration.Input
      const duration = Option.getOrUndefined(Duration.fromInput(value))
      return duration === undefined || Duration.toMillis(duration) < least || !Duration.isFinite(duration)
        ? Effect.fail(refuse(option, value, `a time ${least === 0 ? "of 0 or more" : "above 0"} such as "10 seconds"`))
        : Effect.succeed(duration)
    }
    return {
      ...address,
      schema,
      table,
      createTable,
      target: `${
        address.host.includes(":") ? `[${address.host}]` : address.host
      }:${address.port}/${address.database}.${schema}.${table}`,
      useCopy: options.useCopy ?? true,
      minConnections,
      maxConnections,
      statementTimeout: yield* time("statementTimeout", "30 seconds", 0),
      commandTimeout: yield* time("commandTimeout", "10 seconds", 1),
      connectTimeout: yield* time("connectTimeout", "30 seconds", 1),
      closeTimeout: yield* time("closeTimeout", "10 seconds", 1)
    }
  }
)

const addressOf = (options: PostgresSinkOptions): Effect.Effect<PostgresAddress, InvalidOptionError> =>
  Effect.gen(function*() {
    const { database, host, password, port, ssl, url, user } = options
    if (url === undefined) {
      if (host === undefined || host === "") {
        return yield* new InvalidOptionError({ option: "host", value: "missing", expected: "a host, or else a url" })
      }
      const name = user ?? os.userInfo().username
      return { host, port: port ?? 5432, user: name, password, database: database ?? name, ssl: ssl ?? false }
    }
    const apart = Object.entries({ host, port, user, database }).find(([, value]) => value !== undefined)
    if (apart !== undefined) {
      return yield* new InvalidOptionError({
        option: apart[0],
        value: "given beside url",
        expected: "either a url or a host, not both"
      })
    }
    const address = yield* parseUrl(url)
    return { ...address, password: address.password ?? password, ssl: ssl ?? address.ssl }
  })

/** Connects, and looks at the table. */
const open = Effect.fnUntraced(function*(settings: Settings) {
  const refuse = (failure: SqlFailure) => Effect.fail(toOpenError(SINK, settings.target, failure))
  const driver = yield* Effect.catchTag(openPostgres(SINK, settings), "SqlFailure", refuse)
  const found = yield* Effect.catch(driver.statements((sql) => readTable(sql, settings)), refuse)
  return { driver, table: yield* usableTable(settings, found) }
})

/** The table that is there; null for one that is to be made. */
const usableTable = (
  { createTable, schema, table, target, user }: Settings,
  found: Effect.Success<ReturnType<typeof readTable>>
): Effect.Effect<PostgresTable | null, SinkOpenError | SinkSchemaError> => {
  const refuse = (detail: string) => Effect.fail(new SinkSchemaError({ sink: SINK, target, detail }))
  const forbid = (detail: string) =>
    Effect.fail(new SinkOpenError({ sink: SINK, target, reason: "PermissionDenied", detail }))
  if (!found.hasSchema) return refuse(`the database has no schema ${schema}; make it, or choose another one`)
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
    : forbid(`the user ${user} may not make tables there: GRANT CREATE ON SCHEMA ${schema} TO ${user}`)
}
