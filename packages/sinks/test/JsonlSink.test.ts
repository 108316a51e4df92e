import { assert, describe, it } from "@effect/vitest"
import { FrameFormat, sampleToRow } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { Config, ConfigProvider, Effect, Schema } from "effect"
import * as fs from "node:fs"
import { JsonlSink } from "../src/JsonlSink.ts"
import { eventsBeside } from "./events.ts"
import { testFullDisk } from "./fullDisk.ts"
import { deviceOf, flow, sampleOf, samplesFrom } from "./samples.ts"
import { filesBeside, tempFile } from "./tempFile.ts"
import { readJsonl } from "./textReaders.ts"
import { writeTo } from "./writing.ts"

describe("conformance", () => {
  const fresh = Effect.map(tempFile("run.jsonl"), (path) => ({
    layer: JsonlSink.layer({ path }),
    readEvents: Effect.sync(() => eventsBeside(path)),
    read: () => Effect.sync(() => readJsonl(path)),
    locked: false,
    emptyIsNull: false,
    keeps: () => false
  }))
  for (const { check, promise } of conformance(fresh)) it.effect(promise, () => check)
})

const Rows = Schema.Array(Schema.Struct({
  // @effect-diagnostics-next-line schemaNumber:off
  flow: Schema.NullOr(Schema.Number),
  note: Schema.NullOr(Schema.String)
}))

describe("JsonlSink", () => {
  const format = FrameFormat.fromRecord({ Flow: 0, Note: "" })

  it.effect.prop(
    "another reader gets back any doubles and texts, but null for NaN and infinities",
    [Rows],
    ([rows]) =>
      Effect.scoped(Effect.gen(function*() {
        const path = yield* tempFile("run.jsonl")
        const samples = rows.map((row, n) => sampleOf(format, [row.flow, row.note], n))
        yield* writeTo(JsonlSink.layer({ path }), ...(samples.length > 0 ? [samples] : []))
        assert.deepStrictEqual(
          readJsonl(path),
          samples.map((sample) => {
            const row = sampleToRow(sample)
            return { ...row, Flow: Number.isFinite(row["Flow"]) ? row["Flow"]! : null }
          })
        )
      }))
  )

  it.effect("check accepts any devices, because each line stands alone", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.jsonl")
      yield* writeTo(JsonlSink.layer({ path }), samplesFrom(0, 2))
      const before = filesBeside(path)
      const odd = FrameFormat.fromRecord({ "a\0\"b": 0, "": "x", Device: 1 })
      yield* JsonlSink.check({ path, mode: "append" }, [deviceOf(odd), deviceOf(null, "unknown")])
      assert.deepStrictEqual(filesBeside(path), before)
      yield* writeTo(JsonlSink.layer({ path, mode: "append" }), [sampleOf(odd, [1, "x", 2])])
      assert.deepInclude(readJsonl(path)[2], { "a\0\"b": 1, field: "x", frame_Device: 2 })
    }))

  it.effect.each([{ rowIds: true }, { identity: true }])(
    "writes the row ids with %o",
    (options) =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.jsonl")
        yield* writeTo(JsonlSink.layer({ path, ...options }), samplesFrom(0, 1))
        assert.deepStrictEqual(Object.keys(readJsonl(path)[0]!).slice(-4), ["status", "run_id", "sequence", "tick"])
      })
  )

  it.effect("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.jsonl")
      const layer = JsonlSink.layerConfig({ path: Config.String("OUT"), rowIds: Config.Boolean("ROW_IDS") })
      yield* writeTo(layer, samplesFrom(0, 1)).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ OUT: path, ROW_IDS: "true" })))
      )
      assert.deepInclude(readJsonl(path)[0], { device: "fuel", sequence: 0 })
      assert.strictEqual(Object.keys(readJsonl(path)[0]!).length, 10 + flow.fields.length)
    }))

  testFullDisk("JsonlSink", "run.jsonl", (file) =>
    Effect.sync(() => {
      const text = fs.readFileSync(file, "utf8")
      assert.isTrue(text.endsWith("\n"))
      return text.split("\n").length - 1
    }))
})
