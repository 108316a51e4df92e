import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { sampleOf } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { textSinks } from "../textSinks.ts"
import { logged, writeTo } from "../writing.ts"

const COLUMNS = [
  { titles: "device", datatype: "string", required: false },
  { titles: "unit_id", datatype: "string", required: false },
  { titles: "requested_at", datatype: "dateTimeStamp", required: true },
  { titles: "received_at", datatype: "dateTimeStamp", required: true },
  { titles: "midpoint_at", datatype: "dateTimeStamp", required: true },
  { titles: "latency_s", datatype: "double", required: true },
  { titles: "Mass_Flow", datatype: "double", required: false, "schema:unitText": "SCCM" },
  { titles: "Gas", datatype: "string", required: false },
  { titles: "status", datatype: "string", required: false }
]

describe.each(textSinks)("the metadata file of $name", ({ file, layer }) => {
  const format = FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM" }, { name: "Gas", kind: "text" }])
  const ofRun = (id: string) => {
    const devices = [{ name: "fuel", unitId: "A", identity: null, format }]
    return [sampleOf(format, [1, "N2"], 0, { id, startedAt: 1_772_366_400_000_000, devices })]
  }

  it.effect("describes columns, units, runs and devices", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }))
      assert.isFalse(fs.existsSync(`${path}-metadata.json`))
      yield* writeTo(layer({ path, mode: "append" }), ofRun("run-1"))
      yield* writeTo(layer({ path, mode: "append" }), ofRun("run-2"), ofRun("run-2"))
      const metadata = JSON.parse(fs.readFileSync(`${path}-metadata.json`, "utf8"))
      assert.deepInclude(metadata, { "@context": "http://www.w3.org/ns/csvw", "url": file })
      assert.deepStrictEqual(metadata.tableSchema.columns, COLUMNS)
      assert.deepStrictEqual(
        metadata.notes.map((
          run: { readonly run_id: string; readonly started_at: string }
        ) => [run.run_id, run.started_at]),
        [["run-1", "2026-03-01T12:00:00.000000Z"], ["run-2", "2026-03-01T12:00:00.000000Z"]]
      )
      assert.deepStrictEqual(metadata.notes[0].devices[0].columns.Mass_Flow, { unit: "SCCM", statistic: null })
    }))

  it.effect("does not replace a file that another program made, and warns", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      fs.writeFileSync(`${path}-metadata.json`, "{\"mine\": true}")
      const lines = yield* logged(writeTo(layer({ path }), ofRun("run-3")))
      assert.strictEqual(fs.readFileSync(`${path}-metadata.json`, "utf8"), "{\"mine\": true}")
      assert.isTrue(
        lines.some((line) => line.startsWith("Warn") && line.includes("another program made the file that is there"))
      )
    }))
})
