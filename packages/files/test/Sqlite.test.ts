import { assert, describe, it } from "@effect/vitest"
import { SampleSink } from "@sampleline/core"
import { SqliteSink } from "@sampleline/sinks"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { execute } from "../../sinks/test/sqlite.ts"
import { tempFile } from "../../sinks/test/tempFile.ts"
import { nonEmpty, writeTo } from "../../sinks/test/writing.ts"
import { killChild, startChild } from "../../sqlite/test/child.ts"
import { open } from "../src/index.ts"
import { EXPECTED, expectedRow, readEvents, rowsOf, samplesOf } from "./recordings.ts"

const samples = samplesOf(Array.from({ length: 100 }, (_, n) => ({ flow: n, note: `it's ${n}` })))
const expected = samples.map((sample) => {
  const { Count: _, Temperature: __, ...row } = expectedRow(sample, () => true, false)
  return row
})

/** All that can be seen of the files of a folder. */
const filesIn = (folder: string) =>
  fs.readdirSync(folder).toSorted().map((name) => {
    const file = path.join(folder, name)
    const { ino, mode, mtimeNs, size } = fs.statSync(file, { bigint: true })
    return { name, ino, mode, mtimeNs, size, hash: createHash("sha256").update(fs.readFileSync(file)).digest("hex") }
  })

/** Reads everything; gives the rows. */
const readAll = (file: string) =>
  Effect.scoped(Effect.gen(function*() {
    const recorded = yield* open(file)
    yield* recorded.columns
    yield* recorded.extent
    yield* Stream.runDrain(recorded.events)
    return yield* rowsOf(recorded, { columns: EXPECTED, batchRows: 30 })
  }))

const readUnchanged = Effect.fnUntraced(function*(file: string) {
  const folder = path.dirname(file)
  const before = filesIn(folder)
  const rows = yield* readAll(file)
  assert.deepStrictEqual(filesIn(folder), before)
  return rows
})

describe("SQLite", () => {
  it.live("changes nothing: while a recorder has the database open, after it was killed, without the index of the log, and at rest", () =>
    Effect.gen(function*() {
      const made = yield* tempFile("made.db")
      yield* writeTo(SqliteSink.layer({ path: made }), samples)
      const file = yield* tempFile("run.db")
      const recorder = yield* startChild(`
        import { DatabaseSync } from "node:sqlite"
        const database = new DatabaseSync(${JSON.stringify(file)})
        database.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; ATTACH ${
        JSON.stringify(made).replaceAll("\"", "'")
      } AS made")
        for (const table of ["samples", "samples_columns"]) database.exec("CREATE TABLE " + table + " AS SELECT * FROM made." + table)
        database.exec("DETACH made")
        console.log("recorded")
        setTimeout(() => {}, 60_000)
      `)
      assert.deepStrictEqual(yield* readUnchanged(file), expected)
      yield* killChild(recorder)
      assert.deepStrictEqual(fs.readdirSync(path.dirname(file)), ["run.db", "run.db-shm", "run.db-wal"])
      assert.deepStrictEqual(yield* readUnchanged(file), expected)
      fs.rmSync(`${file}-shm`)
      assert.deepStrictEqual(yield* readUnchanged(file), expected)
      assert.deepStrictEqual(yield* readUnchanged(made), expected)
      fs.chmodSync(made, 0o444)
      fs.chmodSync(path.dirname(made), 0o555)
      assert.deepStrictEqual(yield* readUnchanged(made), expected)
      fs.chmodSync(path.dirname(made), 0o755)
    }))

  it.live("sees what is recorded meanwhile, and does not keep the recorder from emptying its log", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("run.db")
      yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        yield* sink.write(nonEmpty(samples.slice(0, 60)))
        const recorded = yield* open(file)
        const { end } = yield* recorded.extent
        const [reading, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const reader = yield* Effect.forkChild(
          recorded.samples({ batchRows: 50 }).pipe(
            Stream.tap(() => Effect.andThen(Deferred.succeed(reading, undefined), Deferred.await(goOn))),
            Stream.runFold(() => 0, (rows, batch) => rows + batch.rows)
          )
        )
        yield* Deferred.await(reading)
        yield* sink.write(nonEmpty(samples.slice(60)))
        execute(file, "PRAGMA wal_checkpoint(TRUNCATE)")
        assert.strictEqual(fs.statSync(`${file}-wal`).size, 0)
        yield* Deferred.succeed(goOn, undefined)
        assert.strictEqual(yield* Fiber.join(reader), 60)
        assert.deepStrictEqual(yield* rowsOf(recorded, { from: end, columns: EXPECTED }), expected.slice(60))
      }).pipe(Effect.provide(SqliteSink.layer({ path: file })))
    }))

  it.live("waits while another process has a database of the old kind locked, and reads on from a row that is gone", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("run.db")
      yield* writeTo(SqliteSink.layer({ path: file, journalMode: "DELETE" }), samples)
      const other = yield* startChild(`
        import { DatabaseSync } from "node:sqlite"
        const database = new DatabaseSync(${JSON.stringify(file)})
        database.exec("BEGIN EXCLUSIVE; DELETE FROM samples WHERE sequence BETWEEN 10 AND 97")
        console.log("locked")
        setTimeout(() => { database.exec("COMMIT"); database.close() }, 100)
      `)
      assert.strictEqual((yield* rowsOf(yield* open(file), { from: 20 })).length, 2)
      yield* killChild(other)
    }))

  it.live("has no columns and no rows before the first batch, and finds what other programs' tables hold", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("run.db")
      fs.writeFileSync(file, "")
      const recorded = yield* open(file)
      assert.deepStrictEqual([yield* recorded.columns, yield* rowsOf(recorded), yield* recorded.extent], [[], [], {
        first: 0,
        end: 0
      }])
      execute(
        file,
        "CREATE TABLE old (device, requested_at DATETIME, received_at INTEGER, Flow NUMERIC, Raw BLOB); "
          + "INSERT INTO old VALUES ('a', '2026-03-01 12:00:00.000001', 1772366400000002, 1, x'00'), (NULL, NULL, NULL, 'off', 2)"
      )
      assert.deepStrictEqual(yield* readEvents(file, { table: "old" }), [])
      assert.deepStrictEqual(
        yield* rowsOf(yield* open(file, { table: "old" }), {
          columns: ["device", "requested_at", "received_at", "Flow"]
        }),
        [
          { device: "a", requested_at: 1_772_366_400_000_001, received_at: 1_772_366_400_000_002, Flow: "1" },
          { device: null, requested_at: null, received_at: null, Flow: "off" }
        ]
      )
    }))

  it.live("says what is there if it is not a recording", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("run.db")
      const refusal = (table?: string) =>
        Effect.map(
          Effect.flip(open(file, { table })),
          ({ message, reason }) => [reason, message.slice(file.length + 2)]
        )
      assert.deepStrictEqual(yield* refusal(), ["NotFound", "there is no such file; check its name"])
      execute(
        file,
        "CREATE TABLE a (requested_at TEXT); CREATE TABLE b (x); CREATE VIEW v AS SELECT * FROM a; "
          + "CREATE TABLE w (requested_at TEXT PRIMARY KEY) WITHOUT ROWID"
      )
      assert.deepStrictEqual(yield* refusal(), ["NotARecording", "it has no table samples; recordings are in a, w"])
      assert.deepStrictEqual(yield* refusal("b"), [
        "NotARecording",
        "it is not a recording: of its columns (x) none is a time of a sample, such as requested_at"
      ])
      for (const table of ["v", "w"]) {
        assert.deepStrictEqual(yield* refusal(table), [
          "NotARecording",
          `${table} is a view, or a table without row ids; read the table that was recorded`
        ])
      }
      assert.strictEqual((yield* refusal("a; DROP TABLE a"))[0], "NotFound")
      fs.writeFileSync(file, "device,requested_at\n".repeat(100))
      assert.deepStrictEqual(yield* refusal(), ["NotARecording", "it is not an SQLite database"])
    }))

  it.live("says how a database is repaired that a crash left half written", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("run.db")
      yield* writeTo(SqliteSink.layer({ path: file, journalMode: "DELETE" }), samples)
      const writer = yield* startChild(`
        import { DatabaseSync } from "node:sqlite"
        const database = new DatabaseSync(${JSON.stringify(file)})
        database.exec("PRAGMA cache_size = 1; BEGIN; UPDATE samples SET device = 'x' || device; INSERT INTO samples SELECT * FROM samples")
        console.log("half written")
        setTimeout(() => {}, 60_000)
      `)
      yield* killChild(writer)
      const before = filesIn(path.dirname(file))
      const error = yield* Effect.flip(readAll(file))
      assert.deepStrictEqual([error.reason, error.message], [
        "Damaged",
        `${file}: a crash left it half written, and opening it for writing repairs it: record to it again, or open it by sqlite3`
      ])
      assert.deepStrictEqual(filesIn(path.dirname(file)), before)
      execute(file, "SELECT count(*) FROM samples")
      assert.deepStrictEqual(yield* readAll(file), expected)
    }))
})
