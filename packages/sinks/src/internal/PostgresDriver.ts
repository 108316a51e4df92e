/**
 * The one place that opens connections to a Postgres server: it decides on encryption, time-outs and how many there are.
 *
 * `@effect/sql-pg` runs statements. COPY it cannot, so that goes through `pg` and `pg-copy-streams`; statements then use a
 * connection only while they run, before the first COPY.
 */
import { InvalidOptionError, type SinkDependencyError } from "@sampleline/core"
import { Duration, Effect, Exit, Fiber, Option, Redacted, Scope } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlClient } from "effect/sql/SqlClient"
import * as os from "node:os"
import type { ConnectionOptions } from "node:tls"
import type { Pool, PoolClient } from "pg"
import { loadDriver } from "./drivers.ts"
import { SqlFailure } from "./SqlFailure.ts"

/** Where the server is, and as whom to connect. */
export interface PostgresAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Redacted.Redacted | undefined
  readonly database: string
  readonly ssl: boolean | ConnectionOptions
}

export interface PostgresSettings extends PostgresAddress {
  readonly useCopy: boolean
  readonly minConnections: number
  readonly maxConnections: number
  /** Zero for none. */
  readonly statementTimeout: Duration.Duration
  readonly commandTimeout: Duration.Duration
  readonly connectTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
}

export interface PostgresDriver {
  /** Runs statements. */
  readonly statements: <A, E>(
    run: (sql: SqlClient) => Effect.Effect<A, E>
  ) => Effect.Effect<A, SqlFailure>
  /** Sends the bytes of a COPY ... FROM STDIN, a transaction of its own: they are committed when it succeeds. */
  readonly copy: (statement: string, bytes: Buffer) => Effect.Effect<void, SqlFailure>
}

const APPLICATION = "sampleline"

/** Opens the drivers; connections are made when they are needed. The scope closes them, within `closeTimeout`. */
export const openPostgres = Effect.fnUntraced(function*(
  sink: string,
  settings: PostgresSettings
): Effect.fn.Return<PostgresDriver, SinkDependencyError | SqlFailure, Scope.Scope> {
  const { closeTimeout, commandTimeout, useCopy } = settings
  const packages = useCopy ? ["@effect/sql-pg", "pg", "pg-copy-streams"] : ["@effect/sql-pg"]
  const { PgClient } = yield* loadDriver(sink, packages, () => import("@effect/sql-pg"))
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
    sink,
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
        // A server that does not even take leave any more: the sockets go without it.
        Effect.catch(() =>
          Effect.sync(() => {
            for (const client of clients) socketOf(client)?.destroy()
          })
        )
      )
  )
  // An idle connection that is lost is replaced by the pool; the batch that needs one tells what is wrong.
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

/** Fails after `timeout`, and leaves what takes longer to itself: it may not even take an interruption. */
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

/**
 * The address in a connection URL: `postgres://user:password@host:5432/database?sslmode=require`. What is wrong with it is told
 * without repeating it.
 */
export const parseUrl = (url: Redacted.Redacted): Effect.Effect<PostgresAddress, InvalidOptionError> =>
  Effect.suspend(() => {
    const refuse = (expected: string) =>
      Effect.fail(new InvalidOptionError({ option: "url", value: "not usable", expected }))
    const form = "postgres://user:password@host:5432/database, with special characters percent-encoded"
    const text = Redacted.value(url)
    if (!/^postgres(?:ql)?:\/\//i.test(text) || !URL.canParse(text)) return refuse(form)
    const parsed = new URL(text)
    if (parsed.hash !== "") return refuse("no fragment; percent-encode # as %23")
    const [user, password, database] = [parsed.username, parsed.password, parsed.pathname.slice(1)].map(decode)
    if (user === undefined || password === undefined || database === undefined) return refuse(form)
    for (const name of parsed.searchParams.keys()) {
      if (name !== "sslmode") return refuse(`no parameter but sslmode; ${JSON.stringify(name)} is not known`)
    }
    const ssl = SSL_MODES[parsed.searchParams.get("sslmode") ?? "disable"]
    if (ssl === undefined) return refuse(`sslmode to be one of ${Object.keys(SSL_MODES).join(", ")}`)
    return Effect.succeed({
      host: parsed.hostname === "" ? "localhost" : parsed.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: parsed.port === "" ? 5432 : Number(parsed.port),
      user: user || os.userInfo().username,
      password: password === "" ? undefined : Redacted.make(password),
      database: database || user || os.userInfo().username,
      ssl
    })
  })

const SSL_MODES: { readonly [mode: string]: boolean | ConnectionOptions } = {
  "disable": false,
  "require": { rejectUnauthorized: false },
  "verify-ca": { rejectUnauthorized: true, checkServerIdentity: () => undefined },
  "verify-full": { rejectUnauthorized: true }
}

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
