import { assert, describe, it } from "@effect/vitest"
import { type Column, FrameFormat, sampleToRow, SchemaLock } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { Config, ConfigProvider, Effect, Schema } from "effect"
import * as fs from "node:fs"
import { CsvSink } from "../src/CsvSink.ts"
import { eventsBeside } from "./events.ts"
import { testFullDisk } from "./fullDisk.ts"
import { deviceOf, flow, sampleOf, samplesFrom } from "./samples.ts"
import { filesBeside, tempFile } from "./tempFile.ts"
import { readCsv } from "./textReaders.ts"
import { nonEmpty, writeTo } from "./writing.ts"

describe("conformance", () => {
  const fresh = Effect.map(tempFile("run.csv"), (path) => ({
    layer: CsvSink.layer({ path }),
    readEvents: Effect.sync(() => eventsBeside(path)),
    read: (columns: ReadonlyArray<Column>) => Effect.sync(() => readCsv(path, columns)),
    locked: true,
    emptyIsNull: true
  }))
  for (const { check, promise } of conformance(fresh)) it.effect(promise, () => check)
})

const Rows = Schema.Array(Schema.Struct({
  // @effect-diagnostics-next-line schemaNumber:off
  flow: Schema.NullOr(Schema.Number),
  note: Schema.NullOr(Schema.String)
}))

const columnsOf = (path: string) => fs.readFileSync(path, "utf8").split("\n")[0]!.split(",")

describe("CsvSink", () => {
  const format = FrameFormat.fromRecord({ Flow: 0, Note: "" })

  it.effect.prop(
    "another reader gets back any doubles and texts",
    [Rows],
    ([rows]) =>
      Effect.scoped(Effect.gen(function*() {
        const path = yield* tempFile("run.csv")
        const samples = rows.map((row, n) => sampleOf(format, [row.flow, row.note], n))
        yield* writeTo(CsvSink.layer({ path }), ...(samples.length > 0 ? [samples] : []))
        assert.deepStrictEqual(
          readCsv(path, SchemaLock.fromFormats([format]).columns),
          samples.map((sample) => {
            const row = sampleToRow(sample)
            return { ...row, Note: row["Note"] === "" ? null : row["Note"]!, status: null }
          })
        )
      }))
  )

  it.effect("refuses to append to a file with another header, and leaves it unchanged", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.csv")
      yield* writeTo(CsvSink.layer({ path }), samplesFrom(0, 2))
      const before = filesBeside(path)
      const oven = FrameFormat.fromRecord({ Temperature: 0, Gas: "" })
      const error = yield* Effect.flip(writeTo(CsvSink.layer({ path, mode: "append" }), [sampleOf(oven, [1, "x"])]))
      assert.strictEqual(error._tag, "SinkSchemaError")
      assert.include(
        error.message,
        "its header does not match: Temperature is missing, Mass_Flow is unexpected. Record to another file"
      )
      assert.deepStrictEqual(filesBeside(path), before)
    }))

  it.effect("appends in the order of the existing header", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.csv")
      yield* writeTo(CsvSink.layer({ path }), samplesFrom(0, 1))
      const swapped = FrameFormat.fromRecord({ Gas: "", Mass_Flow: 0 })
      yield* writeTo(CsvSink.layer({ path, mode: "append" }), [sampleOf(swapped, ["Air", 9])])
      const rows = readCsv(path, SchemaLock.fromFormats([flow]).columns)
      assert.deepStrictEqual(rows.map((row) => [row["Mass_Flow"], row["Gas"]]), [[0, "N2"], [9, "Air"]])
    }))

  it.effect("check with devices refuses an existing file with another header, and changes nothing", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.csv")
      yield* writeTo(CsvSink.layer({ path }), samplesFrom(0, 2))
      const before = filesBeside(path)
      const oven = deviceOf(FrameFormat.fromRecord({ T: 0 }))
      const check = (...devices: ReadonlyArray<ReturnType<typeof deviceOf>>) =>
        CsvSink.check({ path, mode: "append" }, devices)
      yield* check(deviceOf(flow))
      const error = yield* Effect.flip(check(oven))
      assert.strictEqual(error._tag, "SinkSchemaError")
      assert.include(error.message, "T is missing, Mass_Flow, Gas are unexpected")
      yield* CsvSink.check({ path, mode: "overwrite" }, [oven])
      yield* check()
      yield* check(oven, deviceOf(null, "unknown"))
      assert.deepStrictEqual(filesBeside(path), before)
    }))

  it.effect("check compares the header with the row ids", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.csv")
      yield* writeTo(CsvSink.layer({ path, rowIds: true }), samplesFrom(0, 2))
      yield* CsvSink.check({ path, mode: "append", rowIds: true }, [deviceOf(flow)])
      const error = yield* Effect.flip(CsvSink.check({ path, mode: "append" }, [deviceOf(flow)]))
      assert.include(error.message, "run_id, sequence, tick are unexpected")
    }))

  it.effect("writes the bytes of RFC 4180", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.csv")
      const format = FrameFormat.fromRecord({ Flow: 0, "a,b": "" })
      yield* writeTo(CsvSink.layer({ path, rowIds: true }), [
        sampleOf(format, [-0.5, "say \"hi\"\n"]),
        sampleOf(format, [null, "=1+1"], 1)
      ])
      assert.strictEqual(
        fs.readFileSync(path, "utf8"),
        "device,unit_id,requested_at,received_at,midpoint_at,latency_s,Flow,\"a,b\",status,run_id,sequence,tick\n"
          + "fuel,A,2026-03-01T12:00:00.000000Z,2026-03-01T12:00:00.000500Z,2026-03-01T12:00:00.000250Z,0.0005,-0.5,\"say \"\"hi\"\"\n\",,019a0000-0000-7000-8000-000000000000,0,\n"
          + "fuel,A,2026-03-01T12:00:00.001000Z,2026-03-01T12:00:00.001500Z,2026-03-01T12:00:00.001250Z,0.0005,,=1+1,,019a0000-0000-7000-8000-000000000000,1,\n"
      )
    }))

  it.effect("gives its columns once they are locked", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.csv")
      yield* Effect.gen(function*() {
        const sink = yield* CsvSink
        assert.deepStrictEqual(sink.columns, [])
        yield* sink.write(nonEmpty(samplesFrom(0, 1)))
        assert.deepStrictEqual(sink.columns.slice(6).map((column) => [column.name, column.type]), [
          ["Mass_Flow", "float"],
          ["Gas", "text"],
          ["status", "text"]
        ])
      }).pipe(Effect.provide(CsvSink.layer({ path })))
    }))

  it.effect.each([{ rowIds: true }, { identity: true }])(
    "writes the row ids with %o",
    (options) =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.csv")
        yield* writeTo(CsvSink.layer({ path, ...options }), samplesFrom(0, 1))
        assert.deepStrictEqual(columnsOf(path).slice(-4), ["status", "run_id", "sequence", "tick"])
      })
  )

  it.effect("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.csv")
      const layer = CsvSink.layerConfig({ path: Config.String("OUT"), rowIds: Config.Boolean("ROW_IDS") })
      yield* writeTo(layer, samplesFrom(0, 1)).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ OUT: path, ROW_IDS: "true" })))
      )
      assert.include(columnsOf(path), "run_id")
    }))

  testFullDisk("CsvSink", "run.csv", (file) =>
    Effect.sync(() => {
      const text = fs.readFileSync(file, "utf8")
      assert.isTrue(text.endsWith("\n"))
      return text.split("\n").length - 2
    }))
})
