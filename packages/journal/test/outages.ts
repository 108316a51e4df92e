/**
 * What happens to outputs in `outageTest.ts`, and for how long.
 */
import { Context, Duration, Effect, Layer, Redacted, Schedule, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type Cut, cutCommit } from "../../sinks/test/cutCommit.ts"
import { eventsInPostgres } from "../../sinks/test/events.ts"
import { altered, PostgresServer, prepared } from "../../sinks/test/postgres.ts"
import { type FileName, INSERTER, outputs, type TableName } from "./outageOutputs.ts"
import { disturbedIn } from "./outageRecorder.ts"
import type { Content } from "./outputs.ts"

/** A recording under way, and where its files are for other processes. */
export interface Recording {
  readonly folder: string
  readonly seen: (file: string) => string
}

interface NamedContent {
  readonly name: string
  readonly content: Content
}

/** Outputs that can be disturbed. */
export interface Target {
  readonly outputs: ReadonlyArray<FileName | TableName>
  /** For the recorder. */
  readonly environment: { readonly [name: string]: string }
  /** What they hold when the recorder has ended, by other readers. */
  readonly contents: (folder: string) => Effect.Effect<ReadonlyArray<NamedContent>>
  /** Begins at once, and ends when the scope closes. */
  readonly fault: (recording: Recording) => Effect.Effect<unknown, never, Scope.Scope>
}

export interface Outage {
  /** As it stands in the table. */
  readonly what: string
  readonly seconds: number
  readonly target: Effect.Effect<Target, never, Scope.Scope>
  /** Of the recording without the outage. Default: another one of the same kind. */
  readonly undisturbed?: Outage["target"]
  /** What ends the recording in the middle of the outage. Default: it goes on until the outputs have caught up. */
  readonly signal?: "SIGTERM" | "SIGINT"
  /** What is on a small disk: the outputs alone, or the journal and the CSV too. Default: nothing. */
  readonly smallDisk?: "outputs" | "all"
  /** Whether outputs fail. If not, they are slow. Default: true. */
  readonly fails?: boolean
}

const slowly = (seconds: number) => Schedule.spaced(Duration.seconds(seconds))

interface Database {
  readonly server: PostgresServer["Service"]
  readonly address: Effect.Success<ReturnType<typeof prepared>>["options"]
  readonly rows: Effect.Success<ReturnType<typeof prepared>>["rows"]
  readonly cutNext: (cut: Cut) => void
}

/** Tables in a server of their own: one that the sink makes, and one of a user who may only insert. */
const postgres = (fault: (database: Database) => Effect.Effect<unknown, never, Scope.Scope>) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Layer.fresh(PostgresServer.layer))
    const { options: address, rows } = yield* prepared(
      `CREATE ROLE ${INSERTER.user} LOGIN PASSWORD '${INSERTER.password}'`,
      `CREATE TABLE ${INSERTER.table} (device text, "Count" bigint, sequence bigint)`,
      `GRANT INSERT ON ${INSERTER.table} TO ${INSERTER.user}`
    ).pipe(Effect.provide(context))
    const proxy = yield* cutCommit(address)
    return {
      outputs: ["postgres", "inserter"],
      environment: {
        PGHOST: address.host,
        PGPORT: String(proxy.port),
        PGUSER: address.user,
        PGPASSWORD: Redacted.value(address.password),
        PGDATABASE: address.database
      },
      contents: () =>
        Effect.gen(function*() {
          // A table has no order: rows that were rolled back leave room for later ones.
          const samplesIn = (table: string) =>
            rows(`SELECT sequence::int, "Count"::int FROM ${table} ORDER BY sequence`) as Effect.Effect<any>
          const events = (yield* eventsInPostgres(rows)).map(({ event }: any) => event)
          return [
            { name: "postgres", content: { samples: yield* samplesIn("samples"), events, digest: "" } },
            { name: "inserter", content: { samples: yield* samplesIn(INSERTER.table), events: null, digest: "" } }
          ]
        }),
      fault: () => fault({ server: Context.get(context, PostgresServer), address, rows, cutNext: proxy.cutNext })
    } satisfies Target
  })

/** Terminates a backend that is in a transaction, as soon as there is one. */
const TERMINATE = `DO $$ BEGIN
  FOR n IN 1..400 LOOP
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sampleline' AND state <> 'idle';
    EXIT WHEN FOUND;
    PERFORM pg_stat_clear_snapshot(), pg_sleep(0.002);
  END LOOP;
END $$`

/** Files that the sinks make. */
const files = (names: ReadonlyArray<FileName>, fault: Target["fault"]): Outage["target"] =>
  Effect.succeed({
    outputs: names,
    environment: {},
    contents: (folder) =>
      Effect.forEach(names, (name) =>
        Effect.map(outputs[name].read(disturbedIn(folder)), (content) => ({ name, content }))),
    fault
  })

/** Another program's transaction in the SQLite file. */
const lockSqlite: Target["fault"] = ({ folder }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const database = new DatabaseSync(path.join(disturbedIn(folder), "run.db"))
      database.exec("BEGIN IMMEDIATE")
      return database
    }),
    (database) =>
      Effect.sync(() => {
        database.exec("ROLLBACK")
        database.close()
      })
  )

export const canMountDisk = spawnSync("unshare", ["-rm", "true"]).status === 0

/** Takes all the room on the small disk. */
const fillDisk: Target["fault"] = ({ folder, seen }) => {
  const ballast = path.join(seen(disturbedIn(folder)), "ballast")
  return Effect.acquireRelease(
    Effect.sync(() => {
      const fd = fs.openSync(ballast, "w")
      for (const size of [1 << 20, 1 << 12]) {
        try {
          while (true) fs.writeSync(fd, Buffer.alloc(size))
        } catch {
          // No such piece fits any more.
        }
      }
      fs.closeSync(fd)
    }),
    () => Effect.sync(() => fs.rmSync(ballast))
  )
}

const ALL_FILES = ["csv", "jsonl", "db", "parquet"] as const

const stopped = (how: "fast" | "kill") =>
  postgres(({ server }) => Effect.acquireRelease(server.stop(how), () => server.start))
const frozen = postgres(({ server }) => server.freeze)

export const outages: { readonly [name: string]: Outage } = {
  "postgres-stopped": { what: "Postgres is stopped", seconds: 30, target: stopped("fast") },
  "postgres-killed": { what: "Postgres is killed", seconds: 15, target: stopped("kill") },
  "postgres-frozen": { what: "Postgres is frozen", seconds: 15, target: frozen },
  "postgres-locked": {
    what: "another program locks the tables",
    seconds: 15,
    target: postgres(({ address }) => altered(address, `LOCK TABLE samples, ${INSERTER.table}`))
  },
  "postgres-terminated": {
    what: "Postgres terminates a backend each second",
    seconds: 15,
    target: postgres(({ rows }) => Effect.forkScoped(Effect.repeat(rows(TERMINATE), slowly(1))))
  },
  "postgres-cut": {
    what: "a connection is cut in a COMMIT each second",
    seconds: 15,
    target: postgres(({ cutNext }) => {
      const cuts = ["before", "during", "after"] as const
      let n = 0
      return Effect.forkScoped(Effect.repeat(Effect.sync(() => cutNext(cuts[n++ % cuts.length]!)), slowly(1)))
    })
  },
  "sqlite-locked-8": {
    what: "another program's transaction in the SQLite file",
    seconds: 8,
    target: files(["db"], lockSqlite)
  },
  "sqlite-locked-30": {
    what: "another program's transaction in the SQLite file",
    seconds: 30,
    target: files(["db"], lockSqlite)
  },
  "slow-sink": {
    what: "a program's own sink takes 1 s for a batch",
    seconds: 30,
    target: files(["slow"], () => Effect.void),
    undisturbed: files([], () => Effect.void),
    fails: false
  },
  "disk-full-1": {
    what: "the disk of the outputs is full",
    seconds: 1.3,
    target: files(ALL_FILES, fillDisk),
    smallDisk: "outputs"
  },
  "disk-full-10": {
    what: "the disk of the outputs is full",
    seconds: 10,
    target: files(ALL_FILES, fillDisk),
    smallDisk: "outputs"
  },
  "journal-disk-full-1": {
    what: "the disk of outputs and journal is full",
    seconds: 1.3,
    target: files(ALL_FILES, fillDisk),
    smallDisk: "all"
  },
  "journal-disk-full-10": {
    what: "the disk of outputs and journal is full",
    seconds: 10,
    target: files(ALL_FILES, fillDisk),
    smallDisk: "all"
  },
  "ended": { what: "SIGTERM while Postgres is frozen", seconds: 10, target: frozen, signal: "SIGTERM" },
  "interrupted": { what: "an interruption while Postgres is frozen", seconds: 10, target: frozen, signal: "SIGINT" }
}
