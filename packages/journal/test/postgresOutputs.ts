/**
 * Two tables of a Postgres server: one that the sink makes, and one of a user who may only insert. A recording has a schema of its own.
 *
 * A table has no order of its own, and rows that were rolled back leave room for later ones. The rows are read by transaction
 * (`xmin`), whose numbers grow, and by their place (`ctid`) within it.
 */
import { PostgresSink } from "@sampleline/sinks"
import { Effect, Layer, Redacted } from "effect"
import * as path from "node:path"
import * as KillPoints from "./killPoints.ts"
import type { Output } from "./outputs.ts"

/** Holds the URL of the server, with its owner and the password. */
const URL_NAME = "CRASH_TEST_POSTGRES"

/** Starts the server, and tells the recorders where it is. */
const shared = Layer.unwrap(Effect.gen(function*() {
  // Loaded when it is needed: a recorder does not start it.
  const { PostgresServer } = yield* Effect.promise(() => import("../../sinks/test/postgres.ts"))
  const announced = Effect.gen(function*() {
    const { address: { host, port }, password } = yield* PostgresServer
    const secret = encodeURIComponent(Redacted.value(password))
    process.env[URL_NAME] = `postgres://owner:${secret}@${host}:${port}/postgres`
    yield* query("CREATE ROLE inserter LOGIN PASSWORD 'x'")
  })
  return Layer.provide(Layer.effectDiscard(announced), PostgresServer.layer)
}))

const serverUrl = () => new URL(process.env[URL_NAME]!)

const inserterUrl = () => Object.assign(serverUrl(), { username: "inserter", password: "x" })

const schemaOf = (folder: string): string => path.basename(folder).replaceAll("-", "_")

/** The rows of the last statement. */
const query = (statements: string) =>
  Effect.promise(() =>
    import("pg").then(({ Client }) => {
      const client = new Client(serverUrl().href)
      return client.connect()
        .then(() => client.query({ text: statements }))
        .then((result): ReadonlyArray<any> => [result].flat().at(-1)!.rows)
        .finally(() => client.end())
    })
  )

const readAll = (folder: string, table: string) =>
  query(`SELECT t.* FROM "${schemaOf(folder)}".${table} t ORDER BY t.xmin::text::bigint, t.ctid`)

const samplesOf = (rows: ReadonlyArray<any>) =>
  rows.map(({ Count, sequence }) => ({ sequence: Number(sequence), Count: Number(Count) }))

const makeSchema = (folder: string) => query(`CREATE SCHEMA IF NOT EXISTS "${schemaOf(folder)}"`)

export const postgres: Output = {
  layer: (folder) =>
    PostgresSink.layer({ url: Redacted.make(serverUrl().href), schema: schemaOf(folder), createTable: true }),
  read: Effect.fnUntraced(function*(folder) {
    const tables = ["samples", "samples_events", "samples_runs", "samples_columns", "sampleline_positions"]
    const all = yield* Effect.forEach(tables, (table) => readAll(folder, table))
    const [samples = [], events = []] = all
    return {
      samples: samplesOf(samples),
      events: events.map(({ event }) => String(event)),
      digest: JSON.stringify(all)
    }
  }),
  points: KillPoints.postgres,
  shared,
  prepare: (folder) => Effect.asVoid(makeSchema(folder))
}

export const inserter: Output = {
  layer: (folder) =>
    PostgresSink.layer({
      url: Redacted.make(inserterUrl().href),
      schema: schemaOf(folder),
      table: "plain",
      rowIds: true
    }),
  read: Effect.fnUntraced(function*(folder) {
    return {
      samples: samplesOf(yield* readAll(folder, "plain")),
      events: null,
      // Only the journal knows how much is in the table. An older copy of the journal writes the rest again.
      digest: ""
    }
  }),
  points: KillPoints.postgres,
  shared,
  prepare: Effect.fnUntraced(function*(folder) {
    yield* makeSchema(folder)
    const table = `"${schemaOf(folder)}".plain`
    yield* query(`
      GRANT USAGE ON SCHEMA "${schemaOf(folder)}" TO inserter;
      CREATE TABLE ${table} (device text, "Count" bigint, sequence bigint);
      GRANT INSERT ON ${table} TO inserter`)
  })
}
