import { assert, describe, it } from "@effect/vitest"
import { type Cell, type Column, type EventRow, formatTimestamp, FrameFormat, SampleSink } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { Config, ConfigProvider, Effect, Fiber, Metric } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { SqliteSink, type SqliteSinkOptions } from "../src/SqliteSink.ts"
import { eventsInSqlite } from "./events.ts"
import { testFullDisk } from "./fullDisk.ts"
import { deviceOf, flow, sampleOf, samplesFrom } from "./samples.ts"
import { countRows, execute, keepsInSqlite, lockElsewhere, query, tablesOf } from "./sqlite.ts"
import { filesBeside, tempFile } from "./tempFile.ts"
import { nonEmpty, runWithoutSamples, writeAll, writeTo } from "./writing.ts"

const readRows = (path: string, columns: ReadonlyArray<Column>) => {
  if (!fs.existsSync(path) || !tablesOf(path).includes("samples")) return []
  const times = new Set(columns.filter((column) => column.type === "timestamp").map((column) => column.name))
  return query(path, "SELECT * FROM samples ORDER BY rowid").map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, cell]): [string, Cell] => [
        name,
        times.has(name) && typeof cell === "number" ? formatTimestamp(cell) : cell
      ])
    )
  )
}

describe.each(
  [{}, { timestamps: "integer", identity: true }, { journalMode: "DELETE", rowIds: true }] as const
)("conformance with %o", (options: Partial<SqliteSinkOptions>) => {
  const fresh = Effect.map(tempFile("run.db"), (path) => ({
    layer: SqliteSink.layer({ path, ...options }),
    readEvents: Effect.sync(() => eventsInSqlite(path) as ReadonlyArray<EventRow>),
    read: (columns: ReadonlyArray<Column>) => Effect.sync(() => readRows(path, columns)),
    locked: true,
    emptyIsNull: false,
    keeps: keepsInSqlite,
    // A table that the sink makes has the row ids, asked for or not.
    rowOptions: { rowIds: true }
  }))
  for (const { check, promise } of conformance(fresh)) it.live(promise, () => check)
})

describe("SqliteSink", () => {
  const tempDatabase = tempFile("run.db")

  it.live("makes no table without samples, and no file if no run begins", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      for (const mode of ["create", "append", "overwrite"] as const) {
        for (const program of [Effect.void, Effect.fail("broken")]) {
          yield* Effect.exit(Effect.provide(Effect.andThen(SampleSink, program), SqliteSink.layer({ path, mode })))
          assert.isFalse(fs.existsSync(path))
        }
      }
      yield* runWithoutSamples(SqliteSink.layer({ path }))
      assert.strictEqual(fs.statSync(path).size, 0)
      assert.deepStrictEqual(tablesOf(path), [])
    }))

  it.live("keeps a new file if no run begins but another program has made a table in it", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      yield* Effect.provide(
        Effect.map(SampleSink, () => execute(path, "CREATE TABLE theirs (n)")),
        SqliteSink.layer({ path })
      )
      assert.deepStrictEqual(tablesOf(path), ["theirs"])
    }))

  it.live("counts the run's id, the sequence and the tick as dropped if an existing table has no column for them", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      execute(path, "CREATE TABLE samples (Mass_Flow REAL, Gas TEXT)")
      const report = yield* writeTo(SqliteSink.layer({ path, mode: "append", rowIds: true }), samplesFrom(1, 3))
      assert.deepStrictEqual(report.columnsDropped, { run_id: 3, sequence: 3, tick: 3 })
    }))

  it.live.each([{}, { rowIds: true }, { rowIds: false }, { identity: true }])(
    "makes a table with the row ids with %o",
    (options) =>
      Effect.gen(function*() {
        const path = yield* tempDatabase
        yield* writeTo(SqliteSink.layer({ path, ...options }), samplesFrom(0, 1))
        assert.deepInclude(query(path, "SELECT * FROM samples")[0], {
          run_id: "019a0000-0000-7000-8000-000000000000",
          sequence: 0
        })
      })
  )

  it.live("appends to its own table, and overwrites only its own table", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 20))
      yield* writeTo(SqliteSink.layer({ path, mode: "append", table: "other" }), samplesFrom(0, 2))
      yield* writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(20, 20))
      assert.strictEqual(countRows(path), 40)
      yield* writeTo(SqliteSink.layer({ path, mode: "overwrite" }))
      yield* runWithoutSamples(SqliteSink.layer({ path, mode: "overwrite" }))
      assert.strictEqual(countRows(path), 40)
      yield* writeTo(SqliteSink.layer({ path, mode: "overwrite" }), samplesFrom(0, 3))
      assert.strictEqual(countRows(path), 3)
      assert.strictEqual(countRows(path, "other"), 2)
      assert.deepStrictEqual(tablesOf(path), ["other", "other_columns", "samples", "samples_columns"])
    }))

  it.live("waits for a writer in another process, and nothing else waits", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 1))
      const lock = yield* lockElsewhere(path)
      const writing = yield* Effect.forkChild(writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(1, 64)))
      let turns = 0
      yield* Effect.repeat(Effect.andThen(Effect.sleep(5), Effect.sync(() => turns++)), { times: 19 })
      assert.strictEqual(turns, 20)
      assert.isUndefined(writing.pollUnsafe())
      lock.release()
      yield* Fiber.join(writing)
      assert.strictEqual(countRows(path), 65)
    }))

  it.live("writes whole batches if several wait for a lock at once", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 1))
      const lock = yield* lockElsewhere(path)
      const writing = yield* Effect.forkChild(
        Effect.gen(function*() {
          const sink = yield* SqliteSink.make({ path, mode: "append" })
          yield* Effect.forEach([1, 21, 41], (n) => sink.write(nonEmpty(samplesFrom(n, 20))), {
            concurrency: "unbounded"
          })
        }).pipe(Effect.scoped)
      )
      yield* Effect.sleep(50)
      assert.isUndefined(writing.pollUnsafe())
      lock.release()
      yield* Fiber.join(writing)
      const sql = "SELECT count(*) AS n, count(DISTINCT requested_at) AS times FROM samples"
      assert.deepInclude(query(path, sql)[0], { n: 61, times: 61 })
    }))

  it.live("gives up on a locked database after busyTimeout, and has written nothing of the batch", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 1))
      yield* lockElsewhere(path)
      const error = yield* Effect.flip(
        writeTo(SqliteSink.layer({ path, mode: "append", busyTimeout: "100 millis" }), samplesFrom(1, 64))
      )
      assert.deepInclude(error, { _tag: "SinkWriteError", reason: "Timeout", samples: 64 })
      assert.include(error.message, "another process has had it locked for 100ms; end that process")
      assert.strictEqual(countRows(path), 1)
    }))

  it.live("leaves all rows in the database file at the end, although another program has it open", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      let other: DatabaseSync | undefined
      yield* Effect.provide(
        Effect.gen(function*() {
          yield* writeAll(samplesFrom(0, 3))
          other = new DatabaseSync(path)
          other.prepare("SELECT * FROM samples").all()
          yield* writeAll(samplesFrom(3, 4))
        }),
        SqliteSink.layer({ path })
      )
      fs.copyFileSync(path, `${path}.copy`)
      other!.close()
      assert.strictEqual(countRows(`${path}.copy`), 7)
    }))

  it.live("gives up on a database in DELETE mode that is read for long, and says how readers can go beside the recording", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      const layer = SqliteSink.layer({ path, mode: "append", journalMode: "DELETE", busyTimeout: "100 millis" })
      yield* writeTo(layer, samplesFrom(0, 1))
      const reader = new DatabaseSync(path, { readOnly: true })
      reader.exec("BEGIN")
      reader.prepare("SELECT count(*) FROM samples").get()
      const error = yield* Effect.flip(writeTo(layer, samplesFrom(1, 1)))
      reader.close()
      const advice = "PRAGMA journal_mode = WAL"
      assert.include(
        error.message,
        `If it only reads, set ${advice} on the database: then readers do not hold up the recording`
      )
      execute(path, advice)
      const again = new DatabaseSync(path, { readOnly: true })
      again.exec("BEGIN")
      again.prepare("SELECT count(*) FROM samples").get()
      yield* writeTo(SqliteSink.layer({ path, mode: "append", busyTimeout: 0 }), samplesFrom(1, 1))
      again.close()
      assert.strictEqual(countRows(path), 2)
    }))

  it.live("writes while a reader keeps its transaction open", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 10))
      const reader = new DatabaseSync(path, { readOnly: true })
      reader.exec("BEGIN")
      assert.strictEqual(reader.prepare("SELECT count(*) AS n FROM samples").get()?.["n"], 10)
      yield* writeTo(SqliteSink.layer({ path, mode: "append", busyTimeout: 0 }), samplesFrom(10, 10))
      assert.strictEqual(reader.prepare("SELECT count(*) AS n FROM samples").get()?.["n"], 10)
      reader.close()
      assert.strictEqual(countRows(path), 20)
    }))

  it.live("rolls back the whole batch if one of its rows is refused", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      execute(path, "CREATE TABLE samples (device TEXT, Mass_Flow REAL CHECK (Mass_Flow < 10))")
      const error = yield* Effect.flip(
        writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(0, 20), samplesFrom(30, 20))
      )
      assert.deepInclude(error, { _tag: "SinkWriteError", reason: "Constraint", samples: 20 })
      assert.strictEqual(countRows(path), 20)
    }))

  it.live("reports what was accepted", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      const columns = yield* Effect.gen(function*() {
        const report = yield* writeAll(samplesFrom(0, 5))
        assert.deepInclude(report, { sink: "SqliteSink", target: path, rows: 5 })
        return (yield* SqliteSink).columns
      }).pipe(Effect.provide(SqliteSink.layer({ path })))
      assert.strictEqual(columns.length, 10 + flow.fields.length)
      const snapshot = yield* Metric.snapshot
      assert.isTrue(snapshot.some((metric) => metric.attributes?.["sink"] === "SqliteSink"))
    }))

  it.live("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const path = yield* tempDatabase
      const layer = SqliteSink.layerConfig({ path: Config.String("OUT"), table: Config.String("TABLE") })
      yield* writeTo(layer, samplesFrom(0, 1)).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ OUT: path, TABLE: "flows" })))
      )
      assert.deepStrictEqual(tablesOf(path), ["flows", "flows_columns"])
    }))

  testFullDisk("SqliteSink", "run.db", (file) =>
    Effect.sync(() => {
      assert.strictEqual(query(file, "PRAGMA integrity_check")[0]?.["integrity_check"], "ok")
      return Number(countRows(file))
    }))
})

describe("SqliteSink.check with devices", () => {
  const odd = (name: string) => deviceOf(FrameFormat.make([{ name }]))

  /** What check says; null if it accepts. It must change nothing. */
  const check = Effect.fnUntraced(function*(
    options: SqliteSinkOptions,
    ...devices: ReadonlyArray<ReturnType<typeof deviceOf>>
  ) {
    const before = filesBeside(options.path)
    const problem = yield* Effect.match(SqliteSink.check(options, devices), {
      onFailure: (error) => `${error._tag}: ${error.message}`,
      onSuccess: () => null
    })
    assert.deepStrictEqual(filesBeside(options.path), before)
    return problem
  })

  /** What the first batch of these devices really comes to. */
  const write = (options: SqliteSinkOptions, format: FrameFormat) =>
    Effect.map(
      Effect.flip(writeTo(SqliteSink.layer(options), [sampleOf(format, [])])),
      (error) => `${error._tag}: ${error.message}`
    )

  it.live.each(["WAL", "DELETE"] as const)(
    "refuses a %s table that has none of the run's columns",
    (journalMode) =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.db")
        execute(
          path,
          `PRAGMA journal_mode = ${journalMode}; CREATE TABLE samples (a TEXT); CREATE TABLE flows (Mass_Flow REAL)`
        )
        const append = { path, mode: "append", journalMode } as const
        const problem = yield* check(append, deviceOf(flow))
        assert.include(problem!, "SinkSchemaError: ")
        assert.include(problem!, "its table samples has none of this run's columns")
        assert.isNull(yield* check({ ...append, table: "flows" }, deviceOf(flow)))
        assert.isNull(yield* check({ ...append, table: "new" }, deviceOf(flow)))
        assert.isNull(yield* check({ ...append, mode: "overwrite" }, deviceOf(flow)))
        assert.isNull(yield* check(append, deviceOf(flow), deviceOf(null, "unknown")))
        assert.isNull(yield* check(append))
        assert.strictEqual(yield* write(append, flow), problem)
      })
  )

  it.live("refuses a table with a column that needs a value and gets none", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(
        path,
        "CREATE TABLE samples (id INTEGER PRIMARY KEY, device TEXT NOT NULL, site TEXT NOT NULL, n TEXT NOT NULL DEFAULT 'x')"
      )
      const append = { path, mode: "append" } as const
      const problem = yield* check(append, deviceOf(flow))
      assert.include(problem!, "its column site needs a value, and this run has none for it")
      assert.strictEqual(yield* write(append, flow), problem)
    }))

  it.live("refuses a table that takes no measured value, or that cannot take the values", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(
        path,
        "CREATE TABLE times (device TEXT, received_at TEXT, status TEXT); CREATE TABLE blobs (Mass_Flow REAL, requested_at BLOB) STRICT;"
          + "CREATE TABLE whole (mass_flow INT) STRICT; CREATE TABLE gases (gas REAL); CREATE TABLE numbered (device INT, mass_flow REAL)"
      )
      for (
        const [table, message] of [
          ["times", "its table times has no column for a measured value (Mass_Flow, Gas)"],
          ["blobs", "its column requested_at is of type BLOB, which cannot hold these values"],
          ["whole", "its column mass_flow is of type INT, which cannot hold these values"],
          ["gases", "its column gas is of type REAL, which cannot hold these values"],
          ["numbered", "its column device is of type INT, which cannot hold these values"]
        ] as const
      ) {
        const append = { path, mode: "append", table } as const
        const problem = yield* check(append, deviceOf(flow))
        assert.include(problem!, message)
        assert.strictEqual(yield* write(append, flow), problem)
      }
    }))

  it.live("refuses columns that SQLite cannot store", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      const problem = yield* check({ path }, odd("a\0b"))
      assert.include(problem!, "SQLite refuses this run: unrecognized token")
      const many = FrameFormat.make(Array.from({ length: 2000 }, (_, n) => ({ name: `f${n}` })))
      assert.include((yield* check({ path }, deviceOf(many)))!, "too many columns")
      assert.isNull(yield* check({ path }, odd("say \"hi\"; DROP TABLE x")))
      assert.isFalse(fs.existsSync(path))
    }))

  it.live("refuses another program's table with the name of the description", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, "CREATE TABLE samples (Mass_Flow REAL); CREATE TABLE samples_columns (a TEXT)")
      const append = { path, mode: "append" } as const
      const problem = yield* check(append, deviceOf(flow))
      assert.include(problem!, "its table samples_columns, which should describe samples, has other columns")
      assert.strictEqual(yield* write(append, flow), problem)
      assert.strictEqual(yield* check(append), problem)
      assert.isNull(yield* check({ ...append, mode: "overwrite" }, deviceOf(flow)))
      assert.isNull(yield* check({ ...append, table: "flows" }, deviceOf(flow)))
      yield* writeTo(SqliteSink.layer({ ...append, table: "flows" }), samplesFrom(0, 1))
      assert.isNull(yield* check({ ...append, table: "flows" }, deviceOf(flow)))
    }))

  it.live("refuses a missing table that may not be made, also in a missing file", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      const missing = { path, createTable: false }
      assert.include((yield* check(missing))!, "SinkSchemaError: ")
      assert.include((yield* check(missing))!, "it has no table samples")
      execute(path, "CREATE TABLE other (Mass_Flow REAL)")
      assert.include((yield* check({ ...missing, mode: "append" }))!, "it has no table samples")
      assert.isNull(yield* check({ ...missing, mode: "append", table: "other" }, deviceOf(flow)))
    }))
})
