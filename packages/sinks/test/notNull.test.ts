/**
 * Existing tables with NOT NULL columns, and samples without a value for one of them. Every sink for tables.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { FrameFormat, type FrameValue, type Sample, SampleSink } from "@sampleline/core"
import { Effect, Layer } from "effect"
import { PostgresSink } from "../src/PostgresSink.ts"
import { SqliteSink } from "../src/SqliteSink.ts"
import { SqlSink } from "../src/SqlSink.ts"
import { PostgresServer, prepared } from "./postgres.ts"
import { sampleOf } from "./samples.ts"
import { execute, query } from "./sqlite.ts"
import { sqliteClient } from "./sqliteClient.ts"
import { tempFile } from "./tempFile.ts"
import { logged, nonEmpty, writeTo } from "./writing.ts"

const TABLE = `CREATE TABLE samples (device varchar(20) NOT NULL, requested_at text NOT NULL,
  mass_flow double precision NOT NULL DEFAULT 0, setpoint real NOT NULL, "Gas" text)`
const flow = FrameFormat.make([{ name: "Mass_Flow" }, { name: "Setpoint" }, { name: "Gas", kind: "text" }])
const other = FrameFormat.make([{ name: "Mass_Flow" }])

const batches: ReadonlyArray<ReadonlyArray<Sample>> = [
  [sampleOf(flow, [null, 1, "first"])],
  [sampleOf(flow, [1, 1, null]), sampleOf(flow, [2, null, "second"]), sampleOf(flow, [3, 1, "third"])],
  [sampleOf(other, [4]), sampleOf(flow, [null, null, "fourth"])],
  [sampleOf(flow, [5, 1, "fifth"])]
]
const STORED = [{ mass_flow: 1, Gas: null }, { mass_flow: 3, Gas: "third" }, { mass_flow: 5, Gas: "fifth" }]
const SELECT = "SELECT mass_flow, \"Gas\" FROM samples ORDER BY mass_flow"

/** The rows, the report and the warnings are those of the samples that have a value for each NOT NULL column. */
const expectLeftOut = Effect.fnUntraced(function*<A, E>(
  layer: Layer.Layer<A | SampleSink, E>,
  read: Effect.Effect<ReadonlyArray<object>>
) {
  let report = {}
  const lines = yield* logged(Effect.map(writeTo(layer, ...batches), (written) => report = written))
  assert.deepStrictEqual(yield* read, STORED)
  assert.deepInclude(report, { rows: 3, error: null, columnsDropped: { Mass_Flow: 2, Setpoint: 2 } })
  const warnings = lines.filter((line) => line.startsWith("Warn"))
  assert.strictEqual(warnings.length, 2)
  assert.include(warnings[0], "\"Mass_Flow\": the column is NOT NULL, so rows without a value for it are left out")
  assert.include(warnings[1], "\"Setpoint\": the column is NOT NULL")
})

describe("a sample without a value for a NOT NULL column costs its row, and not the batch", () => {
  it.live("in SqliteSink", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, TABLE)
      yield* expectLeftOut(SqliteSink.layer({ path, mode: "append" }), Effect.sync(() => query(path, SELECT)))
    }))

  it.live("in SqlSink over SQLite", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, TABLE)
      const layer = Layer.provide(SqlSink.layer(), sqliteClient(path))
      yield* expectLeftOut(layer, Effect.sync(() => query(path, SELECT)))
    }))

  it.live("also if the value is one that SQLite stores as NULL, or that the column cannot hold", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, "CREATE TABLE samples (Mass_Flow REAL NOT NULL, Setpoint REAL NOT NULL)")
      const values: ReadonlyArray<ReadonlyArray<FrameValue>> = [[Number.NaN, 1], [1, "OVER"], [2, 2]]
      const report = yield* writeTo(
        SqliteSink.layer({ path, mode: "append" }),
        values.map((row) => sampleOf(flow, row))
      )
      assert.deepStrictEqual(query(path, "SELECT * FROM samples"), [{ Mass_Flow: 2, Setpoint: 2 }])
      assert.deepInclude(report, { rows: 1 })
      assert.deepInclude(report.columnsDropped, { Mass_Flow: 1, Setpoint: 1 })
    }))

  it.live("and is not counted while its batch is refused", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, "CREATE TABLE samples (Mass_Flow REAL NOT NULL CHECK (Mass_Flow < 10))")
      yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        const write = (last: number) => sink.write(nonEmpty([sampleOf(other, [null]), sampleOf(other, [last])]))
        yield* Effect.flip(write(10))
        assert.deepInclude(sink.report()[0], { rows: 0, columnsDropped: {} })
        yield* write(1)
        assert.deepInclude(sink.report()[0], { rows: 1, columnsDropped: { Mass_Flow: 1 } })
      }).pipe(Effect.provide(SqliteSink.layer({ path, mode: "append" })))
    }))

  it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("in Postgres", (it) => {
    it.effect.each([{ useCopy: true }, { useCopy: false }])(
      "by PostgresSink with %o",
      ({ useCopy }) =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared(TABLE)
          yield* expectLeftOut(PostgresSink.layer({ ...options, useCopy }), rows(SELECT))
        })
    )

    it.effect("by SqlSink", () =>
      Effect.gen(function*() {
        const { options: { user, ...options }, rows } = yield* prepared(TABLE)
        const client = PgClient.layer({ ...options, username: user })
        yield* expectLeftOut(Layer.provide(SqlSink.layer(), client), rows(SELECT))
      }))

    it.effect("also if it is the device's name, and too long", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          "CREATE TABLE samples (device varchar(2) NOT NULL, \"Mass_Flow\" real)"
        )
        const report = yield* writeTo(PostgresSink.layer(options), [sampleOf(other, [1])])
        assert.deepStrictEqual(yield* rows("SELECT * FROM samples"), [])
        assert.deepInclude(report, { rows: 0, columnsDropped: { device: 1 } })
      }))

    it.effect("also if a domain is NOT NULL", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          "CREATE DOMAIN needed AS real NOT NULL",
          "CREATE TABLE samples (\"Mass_Flow\" needed)"
        )
        const report = yield* writeTo(PostgresSink.layer(options), [sampleOf(other, [null]), sampleOf(other, [1])])
        assert.deepStrictEqual(yield* rows("SELECT \"Mass_Flow\"::real AS f FROM samples"), [{ f: 1 }])
        assert.deepInclude(report, { rows: 1, columnsDropped: { Mass_Flow: 1 } })
      }))
  })
})
