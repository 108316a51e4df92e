/**
 * The one place that opens connections to a Postgres server: it decides on encryption, time-outs and the number of connections.
 *
 * `@effect/sql-pg` runs statements, but has no COPY. COPY goes through `pg` and `pg-copy-streams`; then a statement has a
 * connection only while it runs, before the first COPY.
 */
import type { SinkDependencyError, SinkOpenError } from "@sampleline/core"
import { Duration, Effect, Exit, Fiber, Option, Redacted, Scope } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Pool, PoolClient } from "pg"
import { loadDriver } from "./drivers.ts"
import type { PostgresSettings } from "./PostgresSettings.ts"
import { SqlFailure } from "./SqlFailure.ts"

export interface PostgresDriver {
  /** Runs statements. */
  readonly statements: <A, E>(
    run: (sql: SqlClient) => Effect.Effect<A, E>
  ) => Effect.Effect<A, SqlFailure>
  /** Sends the bytes of a COPY ... FROM STDIN in a transaction of its own. Success means that they are committed. */
  readonly copy: (statement: string, bytes: Buffer) => Effect.Effect<void, SqlFailure>
}

const APPLICATION = "sampleline"

/** Loads the drivers. Connections are made when they are needed; the scope closes them within `closeTimeout`. */
export const openPostgres = Effect.fnUntraced(function*(
  sink: string,
  settings: PostgresSettings
): Effect.fn.Return<PostgresDriver, SinkDependencyError | SinkOpenError | SqlFailure, Scope.Scope> {
  const { closeTimeout, commandTimeout, target, useCopy } = settings
  const packages = useCopy ? ["@effect/sql-pg", "pg", "pg-copy-streams"] : ["@effect/sql-pg"]
  const { PgClient } = yield* loadDriver({ sink, target }, packages, () => import("@effect/sql-pg"))
  const toFailure = failureFrom(settings)
  const inTime = <A, E>(run: Effect.Effect<A, E>): Effect.Effect<A, SqlFailure> =>
    abandonAfter(
      Effect.mapError(run, toFailure),
      commandTimeout,
      () => new SqlFailure({ message: `no answer within ${Duration.format(commandTimeout)}`, code: "TIMEOUT" })
    )

  const config = {
    host: settings.host,
    port: settings.port,
    username: settings.user,
    password: settings.password,
    database: settings.database,
    ssl: settings.ssl,
    connectTimeout: settings.connectTimeout,
    applicationName: APPLICATION,
    startupOptions: startupOptions(settings)
  }
  if (!useCopy) {
    const { maxConnections, minConnections } = settings
    const sql = yield* acquireBounded(
      PgClient.make({ ...config, maxConnections, minConnections }).pipe(Effect.provide(Reactivity.layer)),
      closeTimeout
    ).pipe(Effect.mapError(toFailure))
    return { statements: (run) => inTime(run(sql)), copy: () => Effect.die("without COPY") }
  }

  const pool = yield* openPool(sink, packages, settings)
  return {
    statements: (run) =>
      acquireBounded(PgClient.makeClient(config).pipe(Effect.provide(Reactivity.layer)), closeTimeout).pipe(
        Effect.mapError(toFailure),
        Effect.flatMap((sql) => inTime(run(sql))),
        Effect.scoped
      ),
    copy: (statement, bytes) => pool(statement, bytes, inTime)
  }
})

const openPool = Effect.fnUntraced(function*(
  sink: string,
  packages: ReadonlyArray<string>,
  settings: PostgresSettings
) {
  const [{ default: pg }, { from: copyFrom }] = yield* loadDriver(
    { sink, target: settings.target },
    packages,
    () => Promise.all([import("pg"), import("pg-copy-streams")])
  )
  const clients = new Set<PoolClient>()
  const pool: Pool = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new pg.Pool({
        host: settings.host,
        port: settings.port,
        user: settings.user,
        database: settings.database,
        ssl: settings.ssl,
        password: secretOf(settings),
        min: settings.minConnections,
        max: settings.maxConnections,
        connectionTimeoutMillis: Duration.toMillis(settings.connectTimeout),
        application_name: APPLICATION,
        options: startupOptions(settings),
        keepAlive: true
      })
    ),
    (pool) =>
      abandonAfter(Effect.promise(() => pool.end()), settings.closeTimeout, () => "late").pipe(
        // The server does not answer the goodbye: close the sockets without it.
        Effect.catch(() =>
          Effect.sync(() => {
            for (const client of clients) socketOf(client)?.destroy()
          })
        )
      )
  )
  // The pool replaces an idle connection that is lost. If that fails, the next batch says why.
  pool.on("error", () => {})
  pool.on("connect", (client) => {
    clients.add(client)
    client.on("error", () => {})
    client.on("end", () => clients.delete(client))
  })
  return (
    statement: string,
    bytes: Buffer,
    inTime: <A, E>(run: Effect.Effect<A, E>) => Effect.Effect<A, SqlFailure>
  ): Effect.Effect<void, SqlFailure> =>
    Effect.acquireUseRelease(
      Effect.tryPromise({ try: () => pool.connect(), catch: failureFrom(settings) }),
      (client) =>
        inTime(Effect.callback<void, unknown>((resume) => {
          const stream = client.query(copyFrom(statement))
          stream.on("finish", () => resume(Effect.void))
          stream.on("error", (cause) => resume(Effect.fail(cause)))
          stream.end(bytes)
        })),
      (client, exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) socketOf(client)?.destroy()
          client.release(Exit.isFailure(exit))
        })
    )
})

const socketOf = (client: PoolClient) =>
  (client as unknown as { readonly connection?: { readonly stream?: { readonly destroy: () => void } } }).connection
    ?.stream

const startupOptions = ({ statementTimeout }: PostgresSettings) =>
  `-c statement_timeout=${Math.ceil(Duration.toMillis(statementTimeout))}`

const failureFrom = (settings: PostgresSettings) => (cause: unknown) => SqlFailure.from(cause, secretOf(settings))

const secretOf = ({ password }: PostgresSettings): string => password === undefined ? "" : Redacted.value(password)

/** Acquires into the surrounding scope; releasing takes at most `timeout`. */
const acquireBounded = <A, E>(acquire: Effect.Effect<A, E, Scope.Scope>, timeout: Duration.Duration) =>
  Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(
      Scope.make(),
      (scope, exit) => Effect.ignore(abandonAfter(Scope.close(scope, exit), timeout, () => "late"))
    )
    return yield* Scope.provide(acquire, scope)
  })

/** Fails after `timeout` and abandons `run`, which may not even react to an interruption. */
const abandonAfter = <A, E, E2>(
  run: Effect.Effect<A, E>,
  timeout: Duration.Duration,
  late: () => E2
): Effect.Effect<A, E | E2> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkDetach(run, { startImmediately: true })
    const exit = yield* Fiber.await(fiber).pipe(
      Effect.timeoutOption(timeout),
      Effect.onInterrupt(() => Effect.sync(() => fiber.interruptUnsafe()))
    )
    if (Option.isSome(exit)) return yield* exit.value
    fiber.interruptUnsafe()
    return yield* Effect.fail(late())
  })
