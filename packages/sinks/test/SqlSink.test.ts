import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { type Column, type Sample, SampleSink } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { Config, ConfigProvider, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { SqlSink, type SqlSinkOptions } from "../src/SqlSink.ts"
import { PostgresServer, readPostgres } from "./postgres.ts"
import { deviceOf, flow, samplesFrom } from "./samples.ts"
import { execute, keepsInSqlite, query, tablesOf } from "./sqlite.ts"
import { sqliteClient } from "./sqliteClient.ts"
import { tempFile } from "./tempFile.ts"
import * as Writing from "./writing.ts"
import { logged } from "./writing.ts"

const tempDatabase = tempFile("run.db")

const overSqlite = (options: SqlSinkOptions) =>
  Effect.map(tempDatabase, (path) => ({
    layer: Layer.provide(SqlSink.layer({ createTable: true, ...options }), sqliteClient(path)),
    read: (_columns: ReadonlyArray<Column>) =>
      Effect.sync(() => tablesOf(path).length === 0 ? [] : query(path, "SELECT * FROM samples ORDER BY rowid")),
    locked: true,
    emptyIsNull: false,
    keeps: keepsInSqlite,
    rowOptions: { rowIds: true }
  }))

const overPostgres = Effect.fnUntraced(function*(options: SqlSinkOptions) {
  const server = yield* PostgresServer
  const database = yield* server.sharedDatabase
  const client = PgClient.layer({ ...server.address, username: "owner", password: server.password, database })
  return {
    layer: Layer.provide(SqlSink.layer({ createTable: true, ...options }), client),
    read: (columns: ReadonlyArray<Column>) => readPostgres(server, database, columns),
    locked: true,
    emptyIsNull: false,
    rowOptions: { rowIds: true }
  }
})

describe("conformance", () => {
  describe("over SQLite", () => {
    for (const { check, promise } of conformance(overSqlite({}))) it.live(promise, () => check)
  })
  it.layer(PostgresServer.layer, { excludeTestServices: true })("over Postgres", (it) => {
    for (const { check, promise } of conformance(overPostgres({}))) it.effect(promise, () => check)
  })
})

const writeTo = (options: SqlSinkOptions, path: string, ...batches: ReadonlyArray<ReadonlyArray<Sample>>) =>
  Writing.writeTo(Layer.provide(SqlSink.layer(options), sqliteClient(path)), ...batches)

it.layer(PostgresServer.layer, { excludeTestServices: true })("SqlSink in Postgres", (it) => {
  it.effect("warns if several columns of a table match a name without case", () =>
    Effect.gen(function*() {
      const { layer } = yield* overPostgres({})
      const server = yield* PostgresServer
      yield* server.query("postgres", "CREATE TABLE samples (mass_flow real, \"MASS_FLOW\" real, gas text)")
      const lines = yield* logged(Writing.writeTo(layer, samplesFrom(1, 1)))
      assert.include(
        lines,
        "Warn SqlSink public.samples: Mass_Flow is not stored: several columns match it (mass_flow, MASS_FLOW); rename one to Mass_Flow"
      )
    }))

  it.effect("refuses a batch if the table was altered during the run, and says how", () =>
    Effect.gen(function*() {
      const { layer } = yield* overPostgres({})
      const server = yield* PostgresServer
      yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        yield* sink.write(Writing.nonEmpty(samplesFrom(1, 1)))
        yield* server.query("postgres", "ALTER TABLE samples ALTER COLUMN \"Mass_Flow\" TYPE bigint")
        const error = yield* Effect.flip(sink.write(Writing.nonEmpty(samplesFrom(2, 1))))
        assert.strictEqual(error._tag, "SinkSchemaError")
        assert.include(error.message, "its column Mass_Flow is of type bigint now, and was of type double precision")
      }).pipe(Effect.provide(layer))
    }))
})

describe("SqlSink", () => {
  it.live("writes the columns that an existing table shares with the run", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      execute(
        path,
        "CREATE TABLE flows (id INTEGER PRIMARY KEY, requested_at INTEGER, Mass_Flow TEXT, entered TEXT DEFAULT 'now')"
      )
      yield* writeTo({ table: "flows" }, path, samplesFrom(1, 2))
      assert.deepStrictEqual(query(path, "SELECT * FROM flows"), [
        { id: 1, requested_at: 1_772_366_400_001_000, Mass_Flow: "0.25", entered: "now" },
        { id: 2, requested_at: 1_772_366_400_002_000, Mass_Flow: "0.5", entered: "now" }
      ])
    }))

  it.live("finds the columns of an existing table without case, and stores values as its types want them", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      execute(
        path,
        "CREATE TABLE flows (DEVICE STRING, REQUESTED_AT DATETIME, received_at DATE, mass_flow REAL, GAS BLOB)"
      )
      const lines = yield* logged(writeTo({ table: "flows" }, path, samplesFrom(1, 1), samplesFrom(2, 1)))
      assert.deepStrictEqual(query(path, "SELECT * FROM flows")[0], {
        DEVICE: "fuel",
        REQUESTED_AT: "2026-03-01 12:00:00.001000",
        received_at: "2026-03-01",
        mass_flow: 0.25,
        GAS: "N2"
      })
      assert.deepStrictEqual(lines.filter((line) => line.includes("DATE")), [
        "Warn SqlSink flows: its column received_at is of type DATE, so the time of day is lost"
      ])
    }))

  it.live("takes all of a batch or nothing", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      execute(path, "CREATE TABLE samples (Mass_Flow REAL CHECK (Mass_Flow < 50))")
      const error = yield* Effect.flip(writeTo({}, path, samplesFrom(0, 100), samplesFrom(100, 200)))
      assert.strictEqual(error._tag, "SinkWriteError")
      assert.strictEqual("reason" in error ? error.reason : "", "Constraint")
      assert.deepStrictEqual(query(path, "SELECT count(*) AS n FROM samples"), [{ n: 100 }])
    }))

  it.live("refuses a missing table, and refuses a bad name before it uses the client", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      const missing = yield* Effect.flip(writeTo({}, path, samplesFrom(0, 1)))
      assert.strictEqual(missing._tag, "SinkSchemaError")
      assert.include(missing.message, "there is no table samples")
      const never = Layer.succeed(
        SqlClient,
        new Proxy({} as SqlClient, {
          get: () => {
            throw new Error("was used")
          }
        })
      )
      const refused = yield* Effect.flip(
        Effect.provide(SampleSink, Layer.provide(SqlSink.layer({ table: "x; DROP TABLE samples" }), never))
      )
      assert.strictEqual(refused._tag, "InvalidOptionError")
    }))

  it.live.each([{}, { rowIds: true }, { rowIds: false }, { identity: true }])(
    "makes a table with the row ids with %o",
    (ids) =>
      Effect.gen(function*() {
        const path = yield* tempDatabase
        yield* writeTo({ ...ids, createTable: true }, path, samplesFrom(0, 1))
        assert.deepInclude(query(path, "SELECT * FROM samples")[0], {
          run_id: "019a0000-0000-7000-8000-000000000000",
          sequence: 0
        })
      })
  )

  it.live("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      const layer = SqlSink.layerConfig({ table: Config.String("TABLE"), createTable: Config.Boolean("CREATE") })
      yield* Writing.writeTo(Layer.provide(layer, sqliteClient(path)), samplesFrom(0, 1)).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ TABLE: "flows", CREATE: "true" })))
      )
      assert.deepStrictEqual(tablesOf(path), ["flows"])
    }))

  it.live("check with devices refuses a table that does not fit the run, and changes nothing", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      execute(
        path,
        `CREATE TABLE samples (a TEXT); CREATE TABLE flows (Mass_Flow REAL); CREATE TABLE times (device TEXT);
        CREATE TABLE needy (Mass_Flow REAL, site TEXT NOT NULL); CREATE TABLE blobs (Mass_Flow BLOB) STRICT`
      )
      const check = (options: SqlSinkOptions, ...devices: ReadonlyArray<ReturnType<typeof deviceOf>>) =>
        Effect.provide(SqlSink.check(options, devices), sqliteClient(path))
      const error = yield* Effect.flip(check({}, deviceOf(flow)))
      assert.strictEqual(error._tag, "SinkSchemaError")
      assert.include(error.message, "none of this run's columns")
      assert.strictEqual((yield* Effect.flip(writeTo({}, path, samplesFrom(0, 1)))).message, error.message)
      for (
        const [table, message] of [
          ["times", "the table has no column for a measured value"],
          ["needy", "its column site needs a value"],
          ["blobs", "its column Mass_Flow is of type BLOB, which cannot hold these values"]
        ] as const
      ) {
        const refused = yield* Effect.flip(check({ table, createTable: true }, deviceOf(flow)))
        assert.include(refused.message, message)
        assert.strictEqual((yield* Effect.flip(writeTo({ table }, path, samplesFrom(0, 1)))).message, refused.message)
      }
      assert.include((yield* Effect.flip(check({ table: "new" }))).message, "there is no table new")
      yield* check({ table: "flows" }, deviceOf(flow))
      yield* check({ table: "new", createTable: true }, deviceOf(flow))
      yield* check({}, deviceOf(flow), deviceOf(null, "unknown"))
      assert.deepStrictEqual(tablesOf(path), ["blobs", "flows", "needy", "samples", "times"])
    }))
})
