/**
 * The one place that opens connections to a Postgres server: it decides on encryption, time-outs and the number of connections.
 *
 * `@effect/sql-pg` runs statements, but has no COPY. COPY goes through `pg`, and so does a transaction that has one. Then a statement
 * of its own has a connection only while it runs.
 *
 * A pooler such as PgBouncer may be in between. It refuses settings at the start of a connection, and may give each transaction
 * another connection to the server. So time-outs belong to a transaction, and no statement is prepared for later.
 */
import type * as SqlPg from "@effect/sql-pg"
import type { SinkDependencyError, SinkOpenError } from "@sampleline/core"
import { Duration, Effect, Exit, Fiber, Redacted, Scope } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import type Pg from "pg"
import type { Client, ClientConfig, Pool, PoolClient } from "pg"
import { CopyIn } from "./CopyIn.ts"
import { loadDriver } from "./drivers.ts"
import { inTransaction } from "./inTransaction.ts"
import { sqlOn } from "./PgSqlClient.ts"
import type { PostgresSettings } from "./PostgresSettings.ts"
import type { Encryption, Encryptions } from "./PostgresTls.ts"
import { isAboutEncryption, SqlFailure } from "./SqlFailure.ts"

/** Where statements run. */
export interface PostgresSession {
  /** Runs statements. */
  readonly statements: <A, E>(
    run: (sql: SqlClient) => Effect.Effect<A, E>
  ) => Effect.Effect<A, Exclude<E, SqlError> | SqlFailure>
  /** Runs statements, one of them a COPY ... FROM STDIN that gets the bytes. */
  readonly copy: (statements: ReadonlyArray<string>, bytes: Buffer) => Effect.Effect<void, SqlFailure>
}

/** Each call of `statements` and of `copy` is a transaction of its own. Success means that it is committed. */
export interface PostgresDriver extends PostgresSession {
  /** Gives a session whose calls are all in one transaction. Success means that it is committed. */
  readonly transaction: <A, E>(
    run: (session: PostgresSession) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SqlFailure>
}

/** Loads the drivers. Connections are made when they are needed; the scope closes them within `closeTimeout`. */
export const openPostgres = Effect.fnUntraced(function*(
  sink: string,
  settings: PostgresSettings
): Effect.fn.Return<PostgresDriver, SinkDependencyError | SinkOpenError | SqlFailure, Scope.Scope> {
  const { closeTimeout, commandTimeout, target, useCopy } = settings
  const packages = useCopy ? ["@effect/sql-pg", "pg"] : ["@effect/sql-pg"]
  const { PgClient } = yield* loadDriver({ sink, target }, packages, () => import("@effect/sql-pg"))
  const copyDriver = useCopy ? yield* loadDriver({ sink, target }, packages, () => import("pg")) : undefined
  const toFailure = failureFrom(settings)
  const typed = <A, E>(run: Effect.Effect<A, E>) =>
    Effect.mapError(run, (error) => isSqlError(error) ? toFailure(error) : error as Exclude<E, SqlError>)
  const late = () => new SqlFailure({ message: `no answer within ${Duration.format(commandTimeout)}`, code: "TIMEOUT" })
  const inTime = <A, E>(run: Effect.Effect<A, E>) => abandonAfter(typed(run), Effect.sleep(commandTimeout), late)
  /** As `inTime`, but the time begins anew with each answer: a transaction of many statements takes as long as it takes. */
  const answeredInTime = <A, E>(run: (answered: Effect.Effect<void>) => Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      let answers = 0
      const answered = Effect.sync(() => {
        answers++
      })
      const silence = Effect.suspend(() => {
        const seen = answers
        return Effect.map(Effect.sleep(commandTimeout), () => answers === seen)
      })
      return abandonAfter(typed(run(answered)), Effect.repeat(silence, { until: (isSilent) => isSilent }), late)
    })

  const config = clientConfig(settings)
  const connect = connecting(PgClient, settings)
  const ssl = yield* agreedEncryption(settings.encryptions, connect)
  const runWith = <A, E>(sql: SqlClient, run: (sql: SqlClient) => Effect.Effect<A, E>) =>
    inTime(inTransaction(sql, Effect.andThen(sql.unsafe(timeLimit(settings)), run(sql))))
  /** `limits` are statements that set the time limits of the transaction; none if its beginning does. */
  const transactionOn = <A, E>(
    sql: SqlClient,
    limits: ReadonlyArray<string>,
    copy: PostgresSession["copy"],
    run: (session: PostgresSession) => Effect.Effect<A, E>
  ) =>
    answeredInTime((answered) => {
      const session: PostgresSession = {
        statements: (run) => Effect.tap(typed(run(sql)), answered),
        copy: (statements, bytes) => Effect.tap(copy(statements, bytes), answered)
      }
      const limited = Effect.forEach(limits, (limit) => sql.unsafe(limit), { discard: true })
      return inTransaction(sql, Effect.andThen(limited, Effect.suspend(() => run(session))))
    })
  const limits = [timeLimit(settings), idleLimit(settings)]
  if (copyDriver === undefined) {
    const { maxConnections, minConnections } = settings
    const sql = yield* acquireBounded(
      PgClient.make({ ...config, ssl, maxConnections, minConnections }).pipe(Effect.provide(Reactivity.layer)),
      closeTimeout
    ).pipe(Effect.mapError(toFailure))
    const copy = () => Effect.die("without COPY")
    return {
      statements: (run) => runWith(sql, run),
      copy,
      transaction: (run) => transactionOn(sql, limits, copy, run)
    }
  }

  const withClient = yield* openPool(copyDriver.default, settings, ssl)
  const copyBy = (client: PoolClient, message: string, bytes: Buffer) =>
    Effect.mapError(copyFrom(client, message, bytes), toFailure)
  const begin = ["BEGIN", ...limits].join("; ")
  const compiler = PgClient.makeCompiler()
  return {
    statements: (run) => Effect.scoped(Effect.flatMap(connect(ssl), (sql) => runWith(sql, run))),
    copy: (statements, bytes) =>
      withClient((client) => inTime(copyBy(client, oneMessage(settings, statements), bytes))),
    transaction: (run) =>
      withClient((client) =>
        Effect.flatMap(
          sqlOn(client, { begin, compiler }),
          (sql) => transactionOn(sql, [], (statements, bytes) => copyBy(client, statements.join("; "), bytes), run)
        )
      )
  }
})

/** Reads from a server. Connections are made when they are needed; the scope closes them within `closeTimeout`. */
export const openPostgresReading = Effect.fnUntraced(function*(
  reader: string,
  settings: PostgresSettings
): Effect.fn.Return<PostgresReading, SinkDependencyError | SinkOpenError | SqlFailure, Scope.Scope> {
  const { closeTimeout, commandTimeout, maxConnections, statementTimeout, target } = settings
  const { PgClient } = yield* loadDriver({ sink: reader, target }, ["@effect/sql-pg"], () => import("@effect/sql-pg"))
  const toFailure = failureFrom(settings)
  const ssl = yield* agreedEncryption(settings.encryptions, connecting(PgClient, settings))
  const sql = yield* acquireBounded(
    PgClient.make({ ...clientConfig(settings), ssl, maxConnections, minConnections: 0 }).pipe(
      Effect.provide(Reactivity.layer)
    ),
    closeTimeout
  ).pipe(Effect.mapError(toFailure))
  const longest = Duration.sum(statementTimeout, commandTimeout)
  const late = () => new SqlFailure({ message: `no answer within ${Duration.format(longest)}`, code: "TIMEOUT" })
  const inTime = <A>(run: Effect.Effect<A, SqlError>) =>
    Effect.mapError(abandonAfter(run, Effect.sleep(longest), late), toFailure)
  return {
    snapshot: Effect.gen(function*() {
      const connection = yield* sql.reserve
      const run = (statement: string) => connection.executeUnprepared(statement, [], undefined)
      yield* Effect.acquireRelease(
        inTime(run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")),
        () => Effect.ignore(abandonAfter(run("ROLLBACK"), Effect.sleep(closeTimeout), late))
      )
      yield* inTime(run(timeLimit(settings)))
      return (statement: string, values: ReadonlyArray<unknown> = []) =>
        inTime(connection.executeValuesUnprepared(statement, values))
    }).pipe(Effect.mapError(toFailure))
  }
})

export interface PostgresReading {
  /** A read-only transaction until the scope closes. It sees the database as it was at its beginning. */
  readonly snapshot: Effect.Effect<PostgresQuery, SqlFailure, Scope.Scope>
}

/** Runs a statement; gives its rows as arrays. */
export type PostgresQuery = (
  statement: string,
  values?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlFailure>

const clientConfig = (settings: PostgresSettings) => ({
  host: settings.host,
  port: settings.port,
  username: settings.user,
  password: settings.password,
  database: settings.database,
  connectTimeout: settings.connectTimeout,
  applicationName: settings.applicationName,
  startupOptions: settings.startupOptions,
  prepare: false
})

/** Opens a connection. */
const connecting = (PgClient: typeof SqlPg.PgClient, settings: PostgresSettings) => (ssl: Encryption) =>
  acquireBounded(
    PgClient.makeClient({ ...clientConfig(settings), ssl }).pipe(Effect.provide(Reactivity.layer)),
    settings.closeTimeout
  ).pipe(Effect.mapError(failureFrom(settings)))

/**
 * The first encryption with which the server lets the user in. Later connections are encrypted in the same way: no one can make
 * a recording fall back to plain text.
 */
const agreedEncryption = Effect.fnUntraced(function*(
  [first, second]: Encryptions,
  connect: (encryption: Encryption) => Effect.Effect<unknown, SqlFailure, Scope.Scope>
): Effect.fn.Return<Encryption, SqlFailure> {
  if (second === undefined) return first
  return yield* Effect.scoped(connect(first)).pipe(
    Effect.as(first),
    Effect.catchIf(isAboutEncryption, () => Effect.succeed(second))
  )
})

/** Gives a function that runs an effect with a connection. */
const openPool = Effect.fnUntraced(function*(
  pg: typeof Pg,
  settings: PostgresSettings,
  ssl: Encryption
) {
  const clients = new Set<Client>()
  /** The server may never answer them. */
  const connecting = new Set<Client>()
  const cut = (those: ReadonlySet<Client>) => {
    for (const client of those) socketOf(client)?.destroy()
  }
  const pool: Pool = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new pg.Pool({
        host: settings.host,
        port: settings.port,
        user: settings.user,
        database: settings.database,
        // It changes what it is given: it hides the key.
        ssl: typeof ssl === "object" ? { ...ssl } : ssl,
        sslnegotiation: "postgres",
        password: secretOf(settings),
        min: settings.minConnections,
        max: settings.maxConnections,
        connectionTimeoutMillis: Duration.toMillis(settings.connectTimeout),
        application_name: settings.applicationName,
        options: settings.startupOptions,
        keepAlive: true,
        Client: class extends pg.Client {
          constructor(config?: ClientConfig) {
            super(config)
            connecting.add(this)
            this.on("end", () => connecting.delete(this))
          }
        }
      })
    ),
    (pool) =>
      Effect.sync(() => cut(connecting)).pipe(
        Effect.andThen(
          abandonAfter(Effect.promise(() => pool.end()), Effect.sleep(settings.closeTimeout), () => "late")
        ),
        // The server does not answer the goodbye: close the sockets without it.
        Effect.catch(() => Effect.sync(() => cut(clients)))
      )
  )
  // The pool replaces an idle connection that is lost. If that fails, the next batch says why.
  pool.on("error", () => {})
  pool.on("connect", (client) => {
    connecting.delete(client)
    clients.add(client)
    client.on("error", () => {})
    client.on("end", () => clients.delete(client))
  })
  return <A, E>(use: (client: PoolClient) => Effect.Effect<A, E>): Effect.Effect<A, E | SqlFailure> =>
    Effect.suspend(() => {
      let used: PoolClient | undefined
      const release = (client: PoolClient, exit: Exit.Exit<unknown, unknown>) => {
        if (Exit.isFailure(exit)) socketOf(client)?.destroy()
        client.release(Exit.isFailure(exit))
      }
      return Effect.acquireUseRelease(
        Effect.sync(() => ({ connected: pool.connect() })),
        ({ connected }) =>
          Effect.flatMap(Effect.tryPromise({ try: () => connected, catch: failureFrom(settings) }), (client) => {
            used = client
            return use(client)
          }),
        ({ connected }, exit) =>
          Effect.sync(() => {
            if (used !== undefined) return release(used, exit)
            // Who is interrupted does not wait for the connection.
            connected.then((client) => release(client, exit), () => {})
          })
      )
    })
})

/** Sends a message of statements, one of them a COPY ... FROM STDIN that gets the bytes. */
const copyFrom = (client: PoolClient, message: string, bytes: Buffer) =>
  Effect.callback<void, unknown>((resume) => {
    client.query(new CopyIn(message, bytes, (error) => resume(error === undefined ? Effect.void : Effect.fail(error))))
  })

const socketOf = (client: Client) =>
  (client as unknown as { readonly connection?: { readonly stream?: { readonly destroy: () => void } } }).connection
    ?.stream

/** How long the server may work on each statement of a transaction. */
const timeLimit = ({ statementTimeout }: PostgresSettings): string =>
  `SET LOCAL statement_timeout = ${Math.ceil(Duration.toMillis(statementTimeout))}`

/**
 * How long the server waits for the next statement of a transaction. Else a transaction of a machine that has vanished would keep its
 * locks for hours.
 */
const idleLimit = ({ commandTimeout }: PostgresSettings): string =>
  `SET LOCAL idle_in_transaction_session_timeout = ${Math.ceil(Duration.toMillis(commandTimeout))}`

/** A transaction as one message to the server: it costs no round trip of its own. */
const oneMessage = (settings: PostgresSettings, statements: ReadonlyArray<string>): string =>
  ["BEGIN", timeLimit(settings), ...statements, "COMMIT"].join("; ")

const failureFrom = (settings: PostgresSettings) => (cause: unknown) => SqlFailure.from(cause, secretOf(settings))

const secretOf = ({ password }: PostgresSettings): string => password === undefined ? "" : Redacted.value(password)

/** Acquires into the surrounding scope; releasing takes at most `timeout`. */
const acquireBounded = <A, E>(acquire: Effect.Effect<A, E, Scope.Scope>, timeout: Duration.Duration) =>
  Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(
      Scope.make(),
      (scope, exit) => Effect.ignore(abandonAfter(Scope.close(scope, exit), Effect.sleep(timeout), () => "late"))
    )
    return yield* Scope.provide(acquire, scope)
  })

/** Fails when the time is up and abandons `run`, which may not even react to an interruption. */
const abandonAfter = <A, E, E2>(
  run: Effect.Effect<A, E>,
  timeIsUp: Effect.Effect<unknown>,
  late: () => E2
): Effect.Effect<A, E | E2> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkDetach(run, { startImmediately: true })
    const exit = yield* Effect.raceFirst(Fiber.await(fiber), Effect.as(timeIsUp, null)).pipe(
      Effect.onInterrupt(() => Effect.sync(() => fiber.interruptUnsafe()))
    )
    if (exit !== null) return yield* exit
    fiber.interruptUnsafe()
    return yield* Effect.fail(late())
  })
