/**
 * Two runs into one table, with other devices, units and operators: nothing of either is lost.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { FrameFormat, pipeToSink, PollSource, Recorder, type RunEvent, SampleSink } from "@sampleline/core"
import { Effect, Layer, Redacted } from "effect"
import { CsvSink } from "../src/CsvSink.ts"
import { PostgresSink } from "../src/PostgresSink.ts"
import { SqliteSink } from "../src/SqliteSink.ts"
import { SqlSink } from "../src/SqlSink.ts"
import { queryDuckDb } from "./duckdb.ts"
import { PostgresServer, prepared } from "./postgres.ts"
import { samplesFrom } from "./samples.ts"
import { execute, query } from "./sqlite.ts"
import { sqliteClient } from "./sqliteClient.ts"
import { tempFile } from "./tempFile.ts"
import { logged, nonEmpty } from "./writing.ts"

const device = (unit: string, serialNumber: string) => ({
  format: FrameFormat.make([{ name: "Mass_Flow", unit }]),
  identity: { manufacturer: null, model: "MC", serialNumber, firmware: null, calibrationDate: null }
})

const FIRST = { operator: "Ada", devices: { fuel: device("SCCM", "111") } }
const SECOND = { operator: "Grace", devices: { fuel: device("SLPM", "222"), air: device("SCCM", "333") } }

/** Two ticks. */
const record = <A, E>(
  layer: Layer.Layer<A | SampleSink, E>,
  { devices, operator }: typeof FIRST | typeof SECOND
) =>
  Recorder.record({ rateHz: 25, duration: "80 millis", metadata: { operator } }).pipe(
    pipeToSink(),
    Effect.provide([layer, PollSource.layer({ devices, poll: () => Effect.succeed({ Mass_Flow: 1.5 }) })])
  )

/** SQLite and Postgres understand both queries. */
const ROWS = `SELECT device, run_metadata ->> 'operator' AS operator, run_ended_by AS ended_by,
  run_device ->> 'serial_number' AS serial_number, run_units ->> 'Mass_Flow' AS unit, count(*) AS n
FROM samples_with_run GROUP BY 1, 2, 3, 4, 5 ORDER BY operator, device`
const UNITS = `SELECT device, serial_number, column_name, unit FROM samples_columns ORDER BY serial_number`

const WANTED = [
  { device: "fuel", operator: "Ada", ended_by: "completed", serial_number: "111", unit: "SCCM", n: 2 },
  { device: "air", operator: "Grace", ended_by: "completed", serial_number: "333", unit: "SCCM", n: 2 },
  { device: "fuel", operator: "Grace", ended_by: "completed", serial_number: "222", unit: "SLPM", n: 2 }
]
const WANTED_UNITS = [
  { device: "fuel", serial_number: "111", column_name: "Mass_Flow", unit: "SCCM" },
  { device: "fuel", serial_number: "222", column_name: "Mass_Flow", unit: "SLPM" },
  { device: "air", serial_number: "333", column_name: "Mass_Flow", unit: "SCCM" }
]

/** What SqliteSink made before its tables had row ids. */
const EARLIER =
  "CREATE TABLE samples (device TEXT, unit_id TEXT, requested_at %TIME%, received_at %TIME%, midpoint_at %TIME%, "
  + "latency_s REAL, Mass_Flow REAL, status TEXT)"

it.live("SqliteSink keeps both", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    yield* record(SqliteSink.layer({ path }), FIRST)
    yield* record(SqliteSink.layer({ path, mode: "append" }), SECOND)
    assert.deepStrictEqual(query(path, ROWS), WANTED)
    assert.deepStrictEqual(query(path, UNITS), WANTED_UNITS)
    assert.deepStrictEqual(
      query(path, "SELECT count(DISTINCT run_id) AS runs, max(sequence) AS last, max(tick) AS tick FROM samples"),
      [
        { runs: 2, last: 3, tick: 1 }
      ]
    )
    const again = yield* logged(record(SqliteSink.layer({ path, mode: "append" }), FIRST))
    assert.deepStrictEqual(again.filter((line) => line.includes("view")), [])
    yield* record(SqliteSink.layer({ path, mode: "overwrite" }), FIRST)
    assert.deepStrictEqual(query(path, ROWS), WANTED.slice(0, 1))
    assert.deepStrictEqual(query(path, UNITS), WANTED_UNITS.slice(0, 1))
  }))

it.live.each(["TEXT", "INTEGER", "DATETIME"])(
  "SqliteSink finds the run of a row in an earlier table by device and time, stored as %s",
  (type) =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, EARLIER.replaceAll("%TIME%", type))
      yield* record(SqliteSink.layer({ path, mode: "append" }), FIRST)
      yield* record(SqliteSink.layer({ path, mode: "append" }), SECOND)
      assert.deepStrictEqual(query(path, ROWS), WANTED)
      // Another run with `fuel` at the same time: the run of those rows is not known any more.
      execute(path, "INSERT INTO samples_runs SELECT * FROM samples_runs WHERE metadata ->> 'operator' = 'Ada'")
      assert.deepStrictEqual(query(path, ROWS), [
        { device: "fuel", operator: null, ended_by: null, serial_number: null, unit: null, n: 2 },
        ...WANTED.slice(1)
      ])
    })
)

const STARTED: RunEvent = {
  _tag: "RunStarted",
  runId: "019a0000-0000-7000-8000-000000000000",
  at: 0,
  rateHz: null,
  host: null,
  version: "0.0.0",
  metadata: {},
  devices: []
}

/** Writes a run in two parts, as after a resume: the second begins with the start of the run again. */
const inTwoParts = Effect.fnUntraced(function*<A, E>(part: (n: number) => Layer.Layer<A | SampleSink, E>) {
  for (const n of [0, 1]) {
    yield* Effect.gen(function*() {
      const sink = yield* SampleSink
      yield* sink.event(STARTED)
      yield* sink.write(nonEmpty(samplesFrom(n, 1)))
    }).pipe(Effect.provide(part(n)))
  }
})

const EACH_ROW = `SELECT count(*) AS rows, count(run_started_at) AS known, count(DISTINCT sequence) AS sequences,
  (SELECT count(*) FROM samples_columns) AS columns FROM samples_with_run`

it.live("SqliteSink keeps a run once if its start comes again", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    yield* inTwoParts((n) => SqliteSink.layer({ path, mode: n === 0 ? "create" : "append" }))
    assert.deepStrictEqual(query(path, EACH_ROW), [{ rows: 2, known: 2, sequences: 2, columns: 2 }])
  }))

it.live("SqliteSink does not take a number under the name of run_id for the run", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    execute(path, "CREATE TABLE samples (run_id INTEGER DEFAULT 7, device TEXT, requested_at TEXT, Mass_Flow REAL)")
    yield* record(SqliteSink.layer({ path, mode: "append" }), FIRST)
    assert.deepStrictEqual(query(path, ROWS), WANTED.slice(0, 1))
    assert.deepStrictEqual(query(path, "SELECT DISTINCT run_id FROM samples"), [{ run_id: 7 }])
  }))

it.live("SqliteSink leaves a view of another program alone, and makes none where nothing tells the run of a row", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    execute(path, "CREATE VIEW samples_with_run AS SELECT 1 AS theirs")
    const lines = yield* logged(record(SqliteSink.layer({ path, mode: "append" }), FIRST))
    assert.deepStrictEqual(lines.filter((line) => line.includes("view")), [
      `Info SqliteSink ${path}: there is no view samples_with_run: another program's table or view has its name`
    ])
    assert.deepStrictEqual(query(path, "SELECT * FROM samples_with_run"), [{ theirs: 1 }])

    execute(path, "CREATE TABLE flows (Mass_Flow REAL)")
    const told = yield* logged(record(SqliteSink.layer({ path, mode: "append", table: "flows" }), FIRST))
    assert.strictEqual(told.filter((line) => line.includes("there is no view flows_with_run")).length, 1)
    const views = query(path, "SELECT name FROM sqlite_schema WHERE type = 'view'")
    assert.deepStrictEqual(views, [{ name: "samples_with_run" }])

    execute(path, "CREATE TABLE given (device TEXT, run_id TEXT, Mass_Flow REAL)")
    yield* record(SqliteSink.layer({ path, mode: "append", table: "given", createTable: false }), FIRST)
    assert.deepStrictEqual(query(path, "SELECT name FROM sqlite_schema WHERE type = 'view'"), views)
    assert.deepStrictEqual(query(path, "SELECT count(run_id) AS n FROM given"), [{ n: 2 }])
  }))

it.live("CsvSink keeps both", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.csv")
    yield* record(CsvSink.layer({ path, rowIds: true }), FIRST)
    yield* record(CsvSink.layer({ path, rowIds: true, mode: "append" }), SECOND)
    const rows = yield* queryDuckDb(
      `SELECT s.device AS device, data ->> '$.metadata.operator' AS operator, d ->> 'serial_number' AS serial_number,
         d ->> '$.fields[0].unit' AS unit, count(*)::int AS n
       FROM '${path}' AS s JOIN read_json('${path}-events.jsonl', columns = {run_id: 'text', event: 'text', data: 'json'}) AS e
         ON e.run_id = s.run_id AND e.event = 'RunStarted', UNNEST((data -> '$.devices')::json[]) AS t(d)
       WHERE d ->> 'device' = s.device GROUP BY ALL ORDER BY operator, device`
    )
    assert.deepStrictEqual<unknown>(rows.map((row) => ({ ...row, ended_by: "completed" })), WANTED)
  }))

it.live("SqlSink in SQLite keeps which run a row is from", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    const layer = Layer.provide(SqlSink.layer({ createTable: true }), sqliteClient(path))
    yield* record(layer, FIRST)
    yield* record(layer, SECOND)
    assert.deepStrictEqual(
      query(path, "SELECT device, count(*) AS n, count(DISTINCT run_id) AS runs FROM samples GROUP BY device"),
      [{ device: "air", n: 2, runs: 1 }, { device: "fuel", n: 4, runs: 2 }]
    )
  }))

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("in Postgres", (it) => {
  const layers = (options: Effect.Success<ReturnType<typeof prepared>>["options"]) => ({
    copy: PostgresSink.layer({ ...options, createTable: true }),
    inserts: PostgresSink.layer({ ...options, createTable: true, useCopy: false }),
    SqlSink: Layer.provide(SqlSink.layer({ createTable: true }), PgClient.layer({ ...options, username: options.user }))
  })
  const counted = (rows: ReadonlyArray<{ readonly [column: string]: any }>) =>
    rows.map((row): { readonly [column: string]: unknown } => ({ ...row, n: Number(row["n"]) }))

  it.effect.each(["copy", "inserts", "SqlSink"] as const)("%s keeps both", (path) =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared()
      const layer: Layer.Layer<SampleSink, unknown> = layers(options)[path]
      yield* record(layer, FIRST)
      const lines = yield* logged(record(layer, SECOND))
      assert.deepStrictEqual(counted(yield* rows(ROWS)), WANTED)
      assert.deepStrictEqual(yield* rows(UNITS), WANTED_UNITS)
      assert.deepStrictEqual(lines.filter((line) => /there is no view|units are not kept/.test(line)), [])
    }))

  it.effect.each(["timestamptz", "timestamp", "bigint"])(
    "finds the run of a row in an earlier table by device and time, stored as %s",
    (type) =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          EARLIER.replaceAll("%TIME%", type).replace("Mass_Flow", "\"Mass_Flow\"")
        )
        const layer = layers(options).copy
        yield* record(layer, FIRST)
        yield* record(layer, SECOND)
        assert.deepStrictEqual(counted(yield* rows(ROWS)), WANTED)
        yield* rows("INSERT INTO samples_runs SELECT * FROM samples_runs WHERE metadata ->> 'operator' = 'Ada'")
        assert.deepStrictEqual(counted(yield* rows(`${ROWS} NULLS FIRST`)), [
          ...WANTED.slice(1, 2),
          ...WANTED.slice(2),
          { device: "fuel", operator: null, ended_by: null, serial_number: null, unit: null, n: 2 }
        ])
      })
  )

  it.effect("keeps a run once if its start comes again", () =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared()
      yield* inTwoParts(() => layers(options).copy)
      const [counts] = yield* rows(EACH_ROW)
      assert.deepStrictEqual(Object.values(counts!).map(Number), [2, 2, 2, 2])
    }))

  it.effect("writes to all tables that are there, for a user who may not make any", () =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared("DROP ROLE IF EXISTS writer", "CREATE ROLE writer LOGIN PASSWORD 'w'")
      yield* record(layers(options).copy, FIRST)
      yield* rows("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO writer")
      const writer = layers({ ...options, user: "writer", password: Redacted.make("w") }).copy
      const lines = yield* logged(record(writer, SECOND))
      assert.deepStrictEqual(lines.filter((line) => /not written|not kept|no view/.test(line)), [])
      assert.deepStrictEqual(counted(yield* rows(ROWS)), WANTED)
      yield* rows("DROP OWNED BY writer; DROP ROLE writer")
    }))

  it.effect("leaves a view of another program alone, and makes none where nothing tells the run of a row", () =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared(
        "CREATE TABLE samples_with_run (theirs int)",
        "CREATE TABLE samples_columns (theirs int)",
        "CREATE TABLE flows (\"Mass_Flow\" real)"
      )
      const told = (lines: ReadonlyArray<string>) =>
        lines.filter((line) => /there is no view|units are not kept/.test(line)).map((line) =>
          line.slice(line.lastIndexOf("samples: ") + 9)
        )
      assert.deepStrictEqual(told(yield* logged(record(layers(options).copy, FIRST))), [
        "units are not kept: the table samples_columns has other columns, or the user may not insert into it",
        "there is no view samples_with_run: another program's table or view has its name"
      ])
      yield* record(PostgresSink.layer({ ...options, createTable: true, table: "flows" }), FIRST)
      assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM pg_views WHERE schemaname = 'public'"), [{
        n: 0
      }])
      assert.deepStrictEqual(yield* rows("SELECT unit FROM flows_columns"), [{ unit: "SCCM" }])
    }))
})
