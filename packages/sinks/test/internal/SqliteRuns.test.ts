import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { SqliteSink, type SqliteSinkOptions } from "../../src/SqliteSink.ts"
import { recordGap } from "../gapSource.ts"
import { execute, query, tablesOf } from "../sqlite.ts"
import { tempFile } from "../tempFile.ts"
import { logged } from "../writing.ts"

const record = (path: string, options: Partial<SqliteSinkOptions> = {}, operator = "Ada") =>
  recordGap(SqliteSink.layer({ path, ...options }), { operator })

describe("the runs and events of SqliteSink", () => {
  it.effect("tell who recorded what with which device, how it ended, and why rows are missing", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      yield* record(path)
      const runs = query(
        path,
        `SELECT json_extract(metadata, '$.operator') AS operator, ended_by, samples, rate_hz,
           json_extract(devices, '$[0].serial_number') AS serial, json_extract(devices, '$[0].calibration_date') AS calibrated
         FROM samples_runs`
      )
      assert.deepStrictEqual(runs, [
        { operator: "Ada", ended_by: "completed", samples: 25, rate_hz: 10, serial: "123456", calibrated: "2025-03-02" }
      ])
      const gaps = query(
        path,
        "SELECT device, reason, detail, since_at, until_at, count FROM samples_events WHERE event IN ('DeviceBack', 'DeviceLost')"
      )
      assert.deepStrictEqual(gaps, [{
        device: "probe",
        reason: "Timeout",
        detail: "no reply",
        since_at: "1970-01-01T00:00:00.500000Z",
        until_at: "1970-01-01T00:00:01.000000Z",
        count: 5
      }])
    }))

  it.effect("are kept by append, and replaced by overwrite", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      yield* record(path)
      yield* record(path, { mode: "append" }, "Grace")
      const operators = () => query(path, "SELECT json_extract(metadata, '$.operator') AS name FROM samples_runs")
      assert.deepStrictEqual(operators().map(({ name }) => name), ["Ada", "Grace"])
      yield* record(path, { mode: "overwrite" }, "Joan")
      assert.deepStrictEqual(operators().map(({ name }) => name), ["Joan"])
    }))

  it.effect("end a run that was killed and what failed in it, with the time of its last row", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      yield* record(path)
      execute(
        path,
        `UPDATE samples_runs SET ended_by = NULL, finished_at = NULL; DELETE FROM samples_events WHERE event IN ('DeviceBack', 'RunEnded')`
      )
      yield* TestClock.adjust("1 hour")
      yield* record(path, { mode: "append" })
      assert.deepStrictEqual(query(path, "SELECT ended_by, finished_at FROM samples_runs ORDER BY started_at"), [
        { ended_by: "unknown", finished_at: "1970-01-01T00:00:02.900000Z" },
        { ended_by: "completed", finished_at: "1970-01-01T01:00:05.900000Z" }
      ])
      assert.deepStrictEqual(
        query(path, "SELECT device, reason, until_at, count FROM samples_events WHERE event = 'DeviceLost'"),
        [{ device: "probe", reason: "Timeout", until_at: "1970-01-01T00:00:02.900000Z", count: null }]
      )
    }))

  it.effect("are left out of a database where no tables are made, which is said once", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("theirs.db")
      execute(path, "CREATE TABLE samples (device TEXT, Mass_Flow REAL)")
      const lines = yield* logged(record(path, { mode: "append", createTable: false }))
      assert.strictEqual(lines.filter((line) => line.includes("events are not kept")).length, 1)
      assert.notInclude(tablesOf(path), "samples_runs")
      execute(path, "CREATE TABLE samples_runs (note TEXT)")
      yield* record(path, { mode: "append" })
      assert.deepStrictEqual(query(path, "SELECT * FROM samples_runs"), [])
    }))
})
