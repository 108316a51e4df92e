import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Cell, type Column, formatTimestamp, FrameFormat, type Run, Sample, SampleSink } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { type Array, Effect, Fiber, FileSystem, type Layer, Metric } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { SqliteSink, type SqliteSinkOptions } from "../src/SqliteSink.ts"
import { flow, sampleOf, samplesFrom } from "./samples.ts"

const tempFile = Effect.map(
  Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped()),
  (folder) => `${folder}/run.db`
)

const writeTo = <E>(layer: Layer.Layer<SampleSink, E>, ...batches: ReadonlyArray<ReadonlyArray<Sample>>) =>
  Effect.gen(function*() {
    const sink = yield* SampleSink
    for (const batch of batches) yield* sink.write(batch as Array.NonEmptyReadonlyArray<Sample>)
  }).pipe(Effect.provide(layer))

/** Reads with a connection of its own. */
const query = (path: string, sql: string) => {
  const database = new DatabaseSync(path, { readOnly: true })
  const rows = database.prepare(sql).all() as ReadonlyArray<{ readonly [column: string]: Cell }>
  database.close()
  return rows.map((row) => ({ ...row }))
}

const tables = (path: string) =>
  query(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").map((row) => row["name"])

const readRows = (path: string, columns: ReadonlyArray<Column>) =>
  Effect.sync(() => {
    if (!fs.existsSync(path) || !tables(path).includes("samples")) return []
    const times = new Set(columns.filter((column) => column.type === "timestamp").map((column) => column.name))
    return query(path, "SELECT * FROM samples ORDER BY rowid").map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, cell]): [string, Cell] => [
          name,
          times.has(name) && typeof cell === "number" ? formatTimestamp(cell) : cell
        ])
      )
    )
  })

const fresh = (options: Partial<SqliteSinkOptions>) =>
  Effect.map(tempFile, (path) => ({
    layer: SqliteSink.layer({ path, ...options }),
    read: (columns: ReadonlyArray<Column>) => readRows(path, columns),
    locked: true,
    emptyIsNull: false,
    rowOptions: { identity: options.identity }
  }))

describe("conformance", () => {
  for (const options of [{}, { timestamps: "integer", identity: true }, { journalMode: "DELETE" }] as const) {
    it.layer(NodeServices.layer)(`SqliteSink ${JSON.stringify(options)}`, (it) => {
      for (const { check, promise } of conformance(fresh(options))) it.effect(promise, () => check)
    })
  }
})

/** Holds a lock on the database in a process of its own until it is told to let go. */
const lockElsewhere = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly release: () => void }>((resume) => {
      const program = `
        const { DatabaseSync } = require("node:sqlite")
        const database = new DatabaseSync(${JSON.stringify(path)})
        database.exec("BEGIN IMMEDIATE")
        process.stdout.write("locked")
        process.stdin.once("data", () => { database.exec("COMMIT"); process.exit() })
      `
      const child = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "inherit"] })
      child.stdin.on("error", () => {})
      child.stdout.once("data", () => resume(Effect.succeed({ release: () => child.stdin.write("go") })))
    }),
    (lock) => Effect.sync(lock.release)
  )

it.layer(NodeServices.layer, { excludeTestServices: true })("SqliteSink", (it) => {
  it.effect("makes the table with types, and leaves no table and no file without samples", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(SqliteSink.layer({ path }))
      assert.isFalse(fs.existsSync(path))
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 1))
      assert.deepStrictEqual(
        query(path, "SELECT name, type FROM pragma_table_info('samples')").map((row) =>
          `${row["name"]} ${row["type"]}`
        ),
        [
          "device TEXT",
          "unit_id TEXT",
          "requested_at TEXT",
          "received_at TEXT",
          "midpoint_at TEXT",
          "latency_s REAL",
          "Mass_Flow REAL",
          "Gas TEXT",
          "status TEXT"
        ]
      )
      assert.strictEqual(query(path, "PRAGMA journal_mode")[0]?.["journal_mode"], "wal")
    }))

  it.effect("keeps units and identities in a table beside it", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const format = FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM", statistic: 5 }, { name: "Device" }])
      const identity = {
        manufacturer: "Alicat Scientific",
        model: "MC-500SCCM-D",
        serialNumber: "521641",
        firmware: "10v20.0-R24",
        calibrationDate: "2025-03-02"
      }
      const run: Run = { id: "run-1", startedAt: 0, devices: [{ name: "fuel", unitId: "A", identity, format }] }
      const sample = sampleOf(format, [1, 2])
      yield* writeTo(SqliteSink.layer({ path, table: "flows" }), [
        new Sample({
          run,
          device: "fuel",
          unitId: "A",
          sequence: 0,
          requestedAt: sample.requestedAt,
          receivedAt: sample.receivedAt,
          requestedMonotonicNanos: 0,
          receivedMonotonicNanos: 0,
          frame: sample.frame
        })
      ])
      assert.deepStrictEqual(
        query(path, "SELECT device, serial_number, column_name, unit, statistic FROM flows_columns"),
        [
          { device: "fuel", serial_number: "521641", column_name: "Mass_Flow", unit: "SCCM", statistic: 5 },
          { device: "fuel", serial_number: "521641", column_name: "frame_Device", unit: null, statistic: null }
        ]
      )
    }))

  it.effect("counts the run's id and the sequence as dropped where an existing table has no column for them", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 1))
      const report = yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        yield* sink.write(samplesFrom(1, 3) as unknown as [Sample])
        return sink.report()[0]!
      }).pipe(Effect.provide(SqliteSink.layer({ path, mode: "append", identity: true })))
      assert.deepStrictEqual(report.columnsDropped, { run_id: 3, sequence: 3 })
    }))

  it.effect("writes into an existing table the columns that both have, by its types", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const database = new DatabaseSync(path)
      database.exec(
        "CREATE TABLE samples (id INTEGER PRIMARY KEY, requested_at INTEGER, Mass_Flow TEXT, entered TEXT DEFAULT 'now')"
      )
      database.close()
      yield* writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(1, 2))
      assert.deepStrictEqual(query(path, "SELECT id, requested_at, Mass_Flow, entered FROM samples"), [
        { id: 1, requested_at: 1_772_366_400_001_000, Mass_Flow: "0.25", entered: "now" },
        { id: 2, requested_at: 1_772_366_400_002_000, Mass_Flow: "0.5", entered: "now" }
      ])
    }))

  it.effect("appends to its own table, and overwrites only its own table", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 20))
      yield* writeTo(SqliteSink.layer({ path, mode: "append", table: "other" }), samplesFrom(0, 2))
      yield* writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(20, 20))
      assert.strictEqual(query(path, "SELECT count(*) AS n FROM samples")[0]?.["n"], 40)
      yield* writeTo(SqliteSink.layer({ path, mode: "overwrite" }))
      assert.strictEqual(query(path, "SELECT count(*) AS n FROM samples")[0]?.["n"], 40)
      yield* writeTo(SqliteSink.layer({ path, mode: "overwrite" }), samplesFrom(0, 3))
      assert.strictEqual(query(path, "SELECT count(*) AS n FROM samples")[0]?.["n"], 3)
      assert.strictEqual(query(path, "SELECT count(*) AS n FROM other")[0]?.["n"], 2)
      assert.deepStrictEqual(tables(path), ["other", "other_columns", "samples", "samples_columns"])
    }))

  it.effect("refuses an existing file, a foreign one, a corrupt one and a missing table, and leaves them as they are", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(SqliteSink.layer({ path, journalMode: "DELETE" }), samplesFrom(0, 100))
      const good = fs.readFileSync(path)
      const refused = Effect.fnUntraced(function*(content: Uint8Array, options: Partial<SqliteSinkOptions>) {
        fs.writeFileSync(path, content)
        const error = yield* Effect.flip(writeTo(SqliteSink.layer({ path, ...options }), samplesFrom(0, 1)))
        assert.isTrue(fs.readFileSync(path).equals(content))
        return error
      })
      assert.deepInclude(yield* refused(good, {}), { _tag: "SinkOpenError", reason: "AlreadyExists" })
      const append = { mode: "append" } as const
      assert.deepInclude(yield* refused(Buffer.from("time,value\n1,2\n"), append), {
        _tag: "SinkOpenError",
        reason: "Foreign"
      })
      const corrupt = Buffer.concat([good.subarray(0, 100), Buffer.alloc(good.length - 100, 0x58)])
      assert.deepInclude(yield* refused(corrupt, append), { _tag: "SinkOpenError", reason: "Foreign" })
      const missing = yield* refused(good, { ...append, table: "nothing", createTable: false })
      assert.strictEqual(missing._tag, "SinkSchemaError")
      assert.include(missing.message, "it has no table nothing")
    }))

  it.effect.each(["samples; DROP TABLE x", "", "1st", "sämples", "a".repeat(64), "a\"b"])(
    "refuses the table name %o before anything is opened",
    (table) =>
      Effect.gen(function*() {
        const path = yield* tempFile
        const error = yield* Effect.flip(writeTo(SqliteSink.layer({ path, table }), samplesFrom(0, 1)))
        assert.strictEqual(error._tag, "InvalidOptionError")
        assert.isFalse(fs.existsSync(path))
      })
  )

  it.effect.each(
    [
      [{ journalMode: "WAL; DROP TABLE x" as "WAL" }, "journalMode"],
      [{ synchronous: "2" as "FULL" }, "synchronous"],
      [{ busyTimeout: -1 }, "busyTimeout is -1"],
      [{ table: "sqlite_rows" }, "does not begin with sqlite_"]
    ] as const
  )("refuses %o", ([options, message]) =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const error = yield* Effect.flip(writeTo(SqliteSink.layer({ path, ...options }), samplesFrom(0, 1)))
      assert.strictEqual(error._tag, "InvalidOptionError")
      assert.include(error.message, message)
      assert.isFalse(fs.existsSync(path))
    }))

  it.effect("waits for a writer in another process, and everything else goes on meanwhile", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 1))
      const lock = yield* lockElsewhere(path)
      const writing = yield* Effect.forkChild(writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(1, 64)))
      let turns = 0
      yield* Effect.repeat(Effect.andThen(Effect.sleep(5), Effect.sync(() => turns++)), { times: 19 })
      assert.strictEqual(turns, 20)
      assert.isUndefined(writing.pollUnsafe())
      lock.release()
      yield* Fiber.join(writing)
      assert.strictEqual(query(path, "SELECT count(*) AS n FROM samples")[0]?.["n"], 65)
    }))

  it.effect("writes batches whole that wait for a lock at once", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 1))
      const lock = yield* lockElsewhere(path)
      const writing = yield* Effect.forkChild(
        Effect.gen(function*() {
          const sink = yield* SqliteSink.make({ path, mode: "append" })
          yield* Effect.forEach([1, 21, 41], (n) => sink.write(samplesFrom(n, 20) as unknown as [Sample]), {
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

  it.effect("gives up on a locked database after busyTimeout, all of the batch or nothing", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 1))
      yield* lockElsewhere(path)
      const error = yield* Effect.flip(
        writeTo(SqliteSink.layer({ path, mode: "append", busyTimeout: "100 millis" }), samplesFrom(1, 64))
      )
      assert.deepInclude(error, { _tag: "SinkWriteError", reason: "Timeout", samples: 64 })
      assert.strictEqual(query(path, "SELECT count(*) AS n FROM samples")[0]?.["n"], 1)
    }))

  it.effect("is not disturbed by a reader that keeps its transaction open", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(SqliteSink.layer({ path }), samplesFrom(0, 10))
      const reader = new DatabaseSync(path, { readOnly: true })
      reader.exec("BEGIN")
      assert.strictEqual(reader.prepare("SELECT count(*) AS n FROM samples").get()?.["n"], 10)
      yield* writeTo(SqliteSink.layer({ path, mode: "append", busyTimeout: 0 }), samplesFrom(10, 10))
      assert.strictEqual(reader.prepare("SELECT count(*) AS n FROM samples").get()?.["n"], 10)
      reader.close()
      assert.strictEqual(query(path, "SELECT count(*) AS n FROM samples")[0]?.["n"], 20)
    }))

  it.effect("rolls a batch back whole when one of its rows is refused", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const database = new DatabaseSync(path)
      database.exec("CREATE TABLE samples (device TEXT, Mass_Flow REAL CHECK (Mass_Flow < 10))")
      database.close()
      const error = yield* Effect.flip(
        writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(0, 20), samplesFrom(30, 20))
      )
      assert.deepInclude(error, { _tag: "SinkWriteError", reason: "Constraint", samples: 20 })
      assert.strictEqual(query(path, "SELECT count(*) AS n FROM samples")[0]?.["n"], 20)
    }))

  it.effect("tells what was accepted", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const columns = yield* Effect.gen(function*() {
        const sink = yield* SqliteSink
        yield* sink.write(samplesFrom(0, 5) as unknown as Array.NonEmptyReadonlyArray<Sample>)
        assert.deepInclude(sink.report()[0], { sink: "SqliteSink", target: path, rows: 5 })
        return sink.columns
      }).pipe(Effect.provide(SqliteSink.layer({ path })))
      assert.strictEqual(columns.length, 7 + flow.fields.length)
      const snapshot = yield* Metric.snapshot
      assert.isTrue(snapshot.some((metric) => metric.attributes?.["sink"] === "SqliteSink"))
    }))
})
