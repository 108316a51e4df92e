import { assert, it } from "@effect/vitest"
import { type AcquisitionSummary, PollSource, Recorder, SampleSink } from "@sampleline/core"
import { CsvSink, PostgresSink } from "@sampleline/sinks"
import { parse } from "csv-parse/sync"
import { Effect, Logger, Redacted, type Scope } from "effect"
import * as fs from "node:fs"
import { type Cut, cutCommit } from "../../sinks/test/cutCommit.ts"
import { altered, PostgresServer, prepared, waitFor } from "../../sinks/test/postgres.ts"
import { Journal } from "../src/index.ts"
import { pathIn } from "./folder.ts"

/** Three devices that count their polls. */
const counters = () => {
  let n = 0
  return PollSource.layer({ devices: ["fuel", "air", "purge"], poll: () => Effect.sync(() => ({ Count: n++ })) })
}

interface Setting {
  readonly server: PostgresServer["Service"]
  readonly options: Effect.Success<ReturnType<typeof prepared>>["options"]
  readonly rows: Effect.Success<ReturnType<typeof prepared>>["rows"]
  readonly proxies: ReadonlyArray<Effect.Success<ReturnType<typeof cutCommit>>>
  /** Completes when all outputs have nearly everything. */
  readonly caughtUp: Effect.Effect<unknown>
}

/** How long the server is away: longer than the sinks wait for its answer. */
const OUTAGE = "1500 millis"
const COMMAND_TIMEOUT = "500 millis"

const FAULTS: { readonly [what: string]: (setting: Setting) => Effect.Effect<void, never, Scope.Scope> } = {
  "is stopped and started again": ({ server }) =>
    server.stop("fast").pipe(Effect.andThen(Effect.sleep(OUTAGE)), Effect.andThen(server.start)),
  "is killed and started again": ({ server }) =>
    server.stop("kill").pipe(Effect.andThen(Effect.sleep(OUTAGE)), Effect.andThen(server.start)),
  "is frozen": ({ server }) => Effect.scoped(Effect.andThen(server.freeze, Effect.sleep(OUTAGE))),
  "has its tables locked": ({ options }) =>
    Effect.flatMap(
      altered(options, "LOCK TABLE samples, plain"),
      ({ commit }) => Effect.andThen(Effect.sleep(OUTAGE), commit)
    ),
  "terminates its backends, also in their COMMIT": ({ caughtUp, rows }) =>
    Effect.andThen(caughtUp, terminate(rows)).pipe(Effect.repeat({ times: 5 })),
  "loses connections around a COMMIT": ({ caughtUp, proxies }) =>
    Effect.forEach(
      ["after", "during", "before", "during", "after"] satisfies ReadonlyArray<Cut>,
      (cut) =>
        caughtUp.pipe(
          Effect.andThen(Effect.sync(() => proxies.forEach((proxy) => proxy.cutNext(cut)))),
          Effect.andThen(waitFor(Effect.sync(() => proxies.every((proxy) => proxy.isCut()))))
        ),
      { discard: true }
    )
}

/** Terminates backends that are in a transaction. */
const terminate = (rows: Setting["rows"]) =>
  waitFor(Effect.map(
    rows(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sampleline' AND state <> 'idle'"
    ),
    ({ length }) => length > 0
  ))

/** Tables whose transactions take a while to commit. */
const TABLES = [
  "DO $$ BEGIN CREATE ROLE inserter LOGIN PASSWORD 'x'; EXCEPTION WHEN duplicate_object THEN END $$",
  "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$",
  ...["samples", "plain"].flatMap((table) => [
    `CREATE TABLE ${table} (device text, "Count" bigint, sequence bigint)`,
    `CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
      WHEN (NEW.sequence % 16 = 0) EXECUTE FUNCTION linger()`
  ]),
  "GRANT INSERT ON plain TO inserter"
]

const sequencesUpTo = (count: number) => Array.from({ length: count }, (_, n) => n)

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "while Postgres",
  (it) => {
    it.effect.each(Object.entries(FAULTS))(
      "%s, no tick waits, the CSV goes on, and afterwards every row is there once",
      ([, fault]) =>
        Effect.gen(function*() {
          const server = yield* PostgresServer
          const { options, rows } = yield* prepared(...TABLES)
          const proxies = [yield* cutCommit(options), yield* cutCommit(options)]
          const csv = yield* pathIn("run.csv")
          const common = { ...options, commandTimeout: COMMAND_TIMEOUT } as const
          const faulty = SampleSink.layerAll([
            CsvSink.layer({ path: csv, rowIds: true }),
            PostgresSink.layer({ ...common, port: proxies[0]!.port, createTable: true, rowIds: true }),
            PostgresSink.layer({
              ...common,
              port: proxies[1]!.port,
              user: "inserter",
              password: Redacted.make("x"),
              table: "plain",
              rowIds: true
            })
          ])
          const status = new Journal.JournalStatus()
          const caughtUp = waitFor(
            Effect.sync(() =>
              status.outputs.length === 3 && status.outputs.every(({ behind, written }) => written > 50 && behind < 50)
            )
          )
          let behindAfterFault: ReadonlyArray<number> = []
          const end = caughtUp.pipe(
            Effect.andThen(fault({ server, options, rows, proxies, caughtUp })),
            Effect.andThen(Effect.sync(() => {
              behindAfterFault = status.outputs.map(({ behind }) => behind)
            })),
            Effect.scoped
          )
          const ended = yield* Effect.cached(end)
          const record = (options: Journal.JournalOptions) =>
            Recorder.record({ rateHz: 100 }).pipe(
              Journal.pipeToSink({ flushInterval: "50 millis", stopTimeout: "30 seconds", ...options }),
              Recorder.endWhen(ended),
              Effect.provide(counters())
            )
          const [summary, undisturbed]: readonly [AcquisitionSummary, AcquisitionSummary] = yield* Effect.all([
            Effect.provide(record({ path: yield* pathIn("run.journal"), status }), faulty),
            Effect.provide(
              record({ path: yield* pathIn("other.journal") }),
              CsvSink.layer({ path: yield* pathIn("other.csv") })
            )
          ], { concurrency: 2 }).pipe(Effect.provide(Logger.layer([])))

          const all = sequencesUpTo(summary.samplesEmitted)
          const inCsv = parse<{ sequence: string }>(fs.readFileSync(csv, "utf8"), { columns: true })
          assert.deepStrictEqual(inCsv.map(({ sequence }) => Number(sequence)), all)
          for (const table of ["samples", "plain"]) {
            // A table has no order: rows that were rolled back leave room for later ones.
            const found = yield* rows(`SELECT sequence::int AS n FROM ${table} ORDER BY sequence`)
            assert.deepStrictEqual(found.map(({ n }) => n), all, table)
          }
          assert.deepStrictEqual(yield* rows("SELECT * FROM sampleline_positions"), [])
          const told = fs.readFileSync(`${csv}-events.jsonl`, "utf8").split("\n").slice(0, -1)
            .map((line) => JSON.parse(line).event)
          const failures = told.filter((event) => event === "OutputFailing")
          assert.isAtLeast(failures.length, 2)
          assert.strictEqual(told.filter((event) => event === "OutputBack").length, failures.length)
          assert.isAtMost(summary.samplesLate, undisturbed.samplesLate + 2)
          assert.isBelow(behindAfterFault[0]!, 150)
        }).pipe(Effect.scoped)
    )
  }
)
