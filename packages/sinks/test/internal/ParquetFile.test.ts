import { assert, describe, it } from "@effect/vitest"
import { formatTimestamp, FrameFormat, type Run, SchemaLock } from "@sampleline/core"
import { Effect, Schema } from "effect"
import * as fs from "node:fs"
import { ParquetFile } from "../../src/internal/ParquetFile.ts"
import { ParquetSink } from "../../src/ParquetSink.ts"
import { queryDuckDb } from "../duckdb.ts"
import { failingCall } from "../failingCall.ts"
import { sampleOf, samplesFrom } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { writeTo } from "../writing.ts"

const flow = FrameFormat.make([{ name: "Mass_Flow" }])

describe("a Parquet file", () => {
  it.live("has types, the run, the devices and their units", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const format = FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM", statistic: 5 }, {
        name: "Count",
        kind: "int"
      }])
      const identity = {
        manufacturer: "Alicat Scientific",
        model: "MC",
        serialNumber: "521641",
        firmware: "10v20",
        calibrationDate: "2025-03-02"
      }
      const run: Run = {
        id: "run-1",
        startedAt: 1_772_366_400_000_001,
        devices: [{ name: "fuel", unitId: "A", identity, format }]
      }
      yield* writeTo(ParquetSink.layer({ path }), [sampleOf(format, [1, 2], 0, run)])
      const columns = yield* queryDuckDb(`DESCRIBE SELECT * FROM '${path}'`)
      assert.deepStrictEqual(columns.map((row) => [row["column_name"], row["column_type"]].join(" ")), [
        "device VARCHAR",
        "unit_id VARCHAR",
        "requested_at TIMESTAMP WITH TIME ZONE",
        "received_at TIMESTAMP WITH TIME ZONE",
        "midpoint_at TIMESTAMP WITH TIME ZONE",
        "latency_s DOUBLE",
        "Mass_Flow DOUBLE",
        "Count BIGINT",
        "status VARCHAR"
      ])
      const pairs = yield* queryDuckDb(
        `SELECT decode(key) AS key, decode(value) AS value FROM parquet_kv_metadata('${path}')`
      )
      const metadata = Object.fromEntries(pairs.map((row) => [String(row["key"]), String(row["value"])]))
      assert.strictEqual(metadata["run_id"], "run-1")
      assert.strictEqual(metadata["started_at"], "2026-03-01T12:00:00.000001Z")
      assert.deepStrictEqual(JSON.parse(metadata["devices"]!), [{
        device: "fuel",
        unit_id: "A",
        manufacturer: "Alicat Scientific",
        model: "MC",
        serial_number: "521641",
        firmware: "10v20",
        calibration_date: "2025-03-02",
        columns: { Mass_Flow: { unit: "SCCM", statistic: 5 }, Count: { unit: null, statistic: null } }
      }])
    }))

  it.live("has hundreds of columns", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const format = FrameFormat.make(Array.from({ length: 1000 }, (_, n) => ({ name: `Channel_${n}` })))
      yield* writeTo(ParquetSink.layer({ path }), [sampleOf(format, Array.from({ length: 1000 }, (_, n) => n))])
      const [row] = yield* queryDuckDb(`SELECT Channel_999 AS last FROM '${path}'`)
      assert.strictEqual(Number(row!["last"]), 999)
    }))

  it.live("has the codec, the row groups and the encodings of the options", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      yield* writeTo(
        ParquetSink.layer({ path, rowGroupSize: 100 }),
        samplesFrom(0, 64),
        samplesFrom(64, 64),
        samplesFrom(128, 64)
      )
      const chunks = yield* queryDuckDb(
        `SELECT row_group_id, row_group_num_rows AS n, path_in_schema AS name, compression, encodings FROM parquet_metadata('${path}')`
      )
      const of = (name: string) => chunks.filter((chunk) => chunk["name"] === name)
      assert.deepStrictEqual(of("requested_at").map((chunk) => [Number(chunk["row_group_id"]), Number(chunk["n"])]), [
        [0, 128],
        [1, 64]
      ])
      assert.isTrue(chunks.every((chunk) => chunk["compression"] === "ZSTD"))
      assert.include(String(of("requested_at")[0]!["encodings"]), "DELTA_BINARY_PACKED")
      assert.include(String(of("device")[0]!["encodings"]), "RLE_DICTIONARY")
    }))

  it.live("begins as a Parquet file does, although its first row group did not fit at first", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const { columns } = SchemaLock.fromFormats([flow])
      const [fd, reserve, groups] = ["", ".reserve", ".groups"].map((end) => fs.openSync(`${path}${end}`, "w+"))
      const settings = {
        columns: columns.filter(({ type }) => type === "float").map((column) => ({ ...column, source: "" })),
        compression: "none",
        dictionary: false,
        units: {},
        metadata: {}
      } as const
      const header = { version: 1, journal: null, replaces: false, settings } as const
      const file = new ParquetFile({ fd: fd!, reserve: reserve!, groups: groups!, header, finished: [] })
      const values = () => settings.columns.map(() => ({ numbers: new Float64Array(3), nulls: new Uint8Array(3) }))
      yield* Effect.scoped(Effect.gen(function*() {
        yield* failingCall("writeSync", "ENOSPC")
        assert.throws(() => file.writeGroup(values(), { events: [], through: 0 }), "ENOSPC")
      }))
      file.writeGroup(values(), { events: [], through: 0 })
      file.finish({ events: [], through: 0 })
      const [counted] = yield* queryDuckDb(`SELECT count(Mass_Flow) AS n FROM '${path}'`)
      assert.strictEqual(Number(counted!["n"]), 3)
      for (const open of [fd, reserve, groups]) fs.closeSync(open!)
    }))

  it.effect.prop("lets a reader find the rows of a time in any row group", {
    at: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })))
  }, ({ at }) =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const samples = [0, 1, 999, 1000, 1001, ...at].map((micros) => sampleOf(flow, [micros], micros / 1000))
      yield* writeTo(
        ParquetSink.layer({ path, rowGroupSize: 2 }),
        ...samples.map((sample) => [sample])
      )
      for (const { requestedAt } of samples) {
        const time = `TIMESTAMPTZ '${formatTimestamp(requestedAt)}'`
        const [found] = yield* queryDuckDb(
          `SELECT count(*) FILTER (requested_at = ${time}) AS same, count(*) FILTER (requested_at > ${time}) AS later,
            (SELECT count(*) FROM '${path}' WHERE requested_at = ${time}) AS filtered,
            (SELECT count(*) FROM '${path}' WHERE requested_at > ${time}) AS after FROM '${path}'`
        )
        const same = samples.filter((sample) => sample.requestedAt === requestedAt).length
        const later = samples.filter((sample) => sample.requestedAt > requestedAt).length
        assert.deepStrictEqual([found!["same"], found!["later"], found!["filtered"], found!["after"]].map(Number), [
          same,
          later,
          same,
          later
        ])
      }
    }), { arbitrary: { runs: 10 } })
})
