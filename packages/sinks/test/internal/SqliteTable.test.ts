import { assert, describe, it } from "@effect/vitest"
import { FrameFormat, type Run } from "@sampleline/core"
import { Effect } from "effect"
import { SqliteSink } from "../../src/SqliteSink.ts"
import { sampleOf, samplesFrom } from "../samples.ts"
import { execute, query } from "../sqlite.ts"
import { tempFile } from "../tempFile.ts"
import { logged, writeTo } from "../writing.ts"

describe("the table of SqliteSink", () => {
  it.live("is made with types, and with the row ids at its end", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
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
          "status TEXT",
          "run_id TEXT",
          "sequence INTEGER",
          "tick INTEGER"
        ]
      )
      assert.strictEqual(query(path, "PRAGMA journal_mode")[0]?.["journal_mode"], "wal")
    }))

  it.live("has units and identities in a table beside it", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      const format = FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM", statistic: 5 }, { name: "Device" }])
      const identity = {
        manufacturer: "Alicat Scientific",
        model: "MC-500SCCM-D",
        serialNumber: "521641",
        firmware: "10v20.0-R24",
        calibrationDate: "2025-03-02"
      }
      const run: Run = { id: "run-1", startedAt: 0, devices: [{ name: "fuel", unitId: "A", identity, format }] }
      yield* writeTo(SqliteSink.layer({ path, table: "flows" }), [sampleOf(format, [1, 2], 0, run)])
      assert.deepStrictEqual(
        query(path, "SELECT device, serial_number, column_name, unit, statistic FROM flows_columns"),
        [
          { device: "fuel", serial_number: "521641", column_name: "Mass_Flow", unit: "SCCM", statistic: 5 },
          { device: "fuel", serial_number: "521641", column_name: "frame_Device", unit: null, statistic: null }
        ]
      )
    }))

  it.live("if it exists, keeps infinities in REAL and INTEGER, and as words in TEXT; NaN is NULL in numbers, and counted", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, "CREATE TABLE samples (device TEXT, f REAL, i INTEGER, t TEXT)")
      const format = FrameFormat.make([{ name: "f" }, { name: "i" }, { name: "t" }])
      const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
      const report = yield* writeTo(
        SqliteSink.layer({ path, mode: "append" }),
        values.map((value, n) => sampleOf(format, [value, value, value], n))
      )
      assert.deepStrictEqual(query(path, "SELECT f, i, t FROM samples ORDER BY rowid"), [
        { f: null, i: null, t: "NaN" },
        { f: Number.POSITIVE_INFINITY, i: Number.POSITIVE_INFINITY, t: "Infinity" },
        { f: Number.NEGATIVE_INFINITY, i: Number.NEGATIVE_INFINITY, t: "-Infinity" }
      ])
      assert.deepStrictEqual(report.columnsDropped, { f: 1, i: 1 })
    }))

  it.live("if it exists, gets the columns that it shares with the run, in its own types", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(
        path,
        "CREATE TABLE samples (id INTEGER PRIMARY KEY, requested_at INTEGER, Mass_Flow TEXT, entered TEXT DEFAULT 'now')"
      )
      yield* writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(1, 2))
      assert.deepStrictEqual(query(path, "SELECT id, requested_at, Mass_Flow, entered FROM samples"), [
        { id: 1, requested_at: 1_772_366_400_001_000, Mass_Flow: "0.25", entered: "now" },
        { id: 2, requested_at: 1_772_366_400_002_000, Mass_Flow: "0.5", entered: "now" }
      ])
    }))

  it.live("if it exists, gets decimals in its columns of integers", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, "CREATE TABLE samples (mass_flow INTEGER)")
      const report = yield* writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(3, 2))
      assert.deepStrictEqual(query(path, "SELECT mass_flow, typeof(mass_flow) AS type FROM samples"), [
        { mass_flow: 0.75, type: "real" },
        { mass_flow: 1, type: "integer" }
      ])
      assert.deepStrictEqual(report.columnsDropped, { Gas: 2 })
    }))

  it.live("gets times that SQLite's functions understand, and a warning if a column loses the time of day", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(
        path,
        "CREATE TABLE samples (requested_at DATETIME, received_at DATE, midpoint_at TIMESTAMP, Mass_Flow REAL, Gas TEXT)"
      )
      const lines = yield* logged(
        writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(1, 2), samplesFrom(3, 2))
      )
      assert.deepStrictEqual(
        query(path, "SELECT requested_at, received_at, strftime('%s', midpoint_at) AS s FROM samples")[0],
        { requested_at: "2026-03-01 12:00:00.001000", received_at: "2026-03-01", s: "1772366400" }
      )
      assert.deepStrictEqual(lines.filter((line) => line.startsWith("Warn")), [
        `Warn SqliteSink ${path}: its column received_at is of type DATE, so the time of day is lost`
      ])
    }))

  it.live("stores texts and numbers in columns of any other type", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, "CREATE TABLE samples (device STRING, requested_at BLOB, Mass_Flow BLOB, Gas, status STRING)")
      const report = yield* writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(1, 1))
      assert.deepStrictEqual(query(path, "SELECT * FROM samples"), [
        { device: "fuel", requested_at: "2026-03-01T12:00:00.001000Z", Mass_Flow: 0.25, Gas: "N2", status: "" }
      ])
      assert.deepStrictEqual(Object.keys(report.columnsDropped), [])
    }))

  it.live("finds its columns without case", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, "CREATE TABLE samples (DEVICE TEXT, REQUESTED_AT INTEGER, MASS_FLOW REAL)")
      yield* writeTo(SqliteSink.layer({ path, mode: "append" }), samplesFrom(1, 1))
      assert.deepStrictEqual(query(path, "SELECT * FROM samples"), [
        { DEVICE: "fuel", REQUESTED_AT: 1_772_366_400_001_000, MASS_FLOW: 0.25 }
      ])
      assert.deepStrictEqual(query(path, "SELECT column_name FROM samples_columns"), [{ column_name: "MASS_FLOW" }])
    }))
})
