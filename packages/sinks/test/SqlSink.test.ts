import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { type Cell, type Column, type Sample, SampleSink } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { type Array, Effect, FileSystem, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { DatabaseSync } from "node:sqlite"
import { SqlSink, type SqlSinkOptions } from "../src/SqlSink.ts"
import { PostgresServer, readPostgres } from "./postgres.ts"
import { samplesFrom } from "./samples.ts"
import { sqliteClient } from "./sqliteClient.ts"

const tempFile = Effect.map(
  Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped()),
  (folder) => `${folder}/run.db`
)

const query = (path: string, sql: string) => {
  const database = new DatabaseSync(path)
  const rows = database.prepare(sql).all() as ReadonlyArray<{ readonly [column: string]: Cell }>
  database.close()
  return rows.map((row) => ({ ...row }))
}

const overSqlite = (options: SqlSinkOptions) =>
  Effect.map(tempFile, (path) => ({
    layer: Layer.provide(SqlSink.layer({ createTable: true, ...options }), sqliteClient(path)),
    read: (_columns: ReadonlyArray<Column>) =>
      Effect.sync(() =>
        query(path, "SELECT name FROM sqlite_schema").length === 0
          ? []
          : query(path, "SELECT * FROM samples ORDER BY rowid")
      ),
    locked: true,
    emptyIsNull: false,
    rowOptions: { identity: options.identity }
  }))

const overPostgres = Effect.fnUntraced(function*(options: SqlSinkOptions) {
  const server = yield* PostgresServer
  const database = yield* server.database
  const client = PgClient.layer({ ...server.address, username: "owner", password: server.password, database })
  return {
    layer: Layer.provide(SqlSink.layer({ createTable: true, ...options }), client),
    read: (columns: ReadonlyArray<Column>) => readPostgres(server, database, columns),
    locked: true,
    emptyIsNull: false,
    rowOptions: { identity: options.identity }
  }
})

describe("conformance", () => {
  it.layer(NodeServices.layer, { excludeTestServices: true })("SqlSink over SQLite", (it) => {
    for (const { check, promise } of conformance(overSqlite({ identity: true }))) it.effect(promise, () => check)
  })
  it.layer(PostgresServer.layer, { excludeTestServices: true })("SqlSink over Postgres", (it) => {
    for (const { check, promise } of conformance(overPostgres({}))) it.effect(promise, () => check)
  })
})

const writeTo = (options: SqlSinkOptions, path: string, ...batches: ReadonlyArray<ReadonlyArray<Sample>>) =>
  Effect.gen(function*() {
    const sink = yield* SampleSink
    for (const batch of batches) yield* sink.write(batch as Array.NonEmptyReadonlyArray<Sample>)
  }).pipe(Effect.provide(Layer.provide(SqlSink.layer(options), sqliteClient(path))))

it.layer(NodeServices.layer, { excludeTestServices: true })("SqlSink", (it) => {
  it.effect("writes into an existing table the columns that both have", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      query(
        path,
        "CREATE TABLE flows (id INTEGER PRIMARY KEY, requested_at INTEGER, Mass_Flow TEXT, entered TEXT DEFAULT 'now')"
      )
      yield* writeTo({ table: "flows" }, path, samplesFrom(1, 2))
      assert.deepStrictEqual(query(path, "SELECT * FROM flows"), [
        { id: 1, requested_at: 1_772_366_400_001_000, Mass_Flow: "0.25", entered: "now" },
        { id: 2, requested_at: 1_772_366_400_002_000, Mass_Flow: "0.5", entered: "now" }
      ])
    }))

  it.effect("takes all of a batch or nothing", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      query(path, "CREATE TABLE samples (Mass_Flow REAL CHECK (Mass_Flow < 50))")
      const error = yield* Effect.flip(writeTo({}, path, samplesFrom(0, 100), samplesFrom(100, 200)))
      assert.strictEqual(error._tag, "SinkWriteError")
      assert.strictEqual("reason" in error ? error.reason : "", "Constraint")
      assert.deepStrictEqual(query(path, "SELECT count(*) AS n FROM samples"), [{ n: 100 }])
    }))

  it.effect("refuses a missing table, and a name that is no identifier before the client is asked", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const missing = yield* Effect.flip(writeTo({}, path, samplesFrom(0, 1)))
      assert.strictEqual(missing._tag, "SinkSchemaError")
      assert.include(missing.message, "there is no table samples")
      const never = Layer.succeed(
        SqlClient,
        new Proxy({} as SqlClient, {
          get: () => {
            throw new Error("was asked")
          }
        })
      )
      const refused = yield* Effect.flip(
        Effect.provide(SampleSink, Layer.provide(SqlSink.layer({ table: "x; DROP TABLE samples" }), never))
      )
      assert.strictEqual(refused._tag, "InvalidOptionError")
    }))
})
