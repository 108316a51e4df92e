import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { sampleOf } from "../samples.ts"
import { filesBeside, tempFile } from "../tempFile.ts"
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

  it.effect("is written anew if it is damaged, wherever it was cut", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), ofRun("run-1"))
      const whole = fs.readFileSync(`${path}-metadata.json`, "utf8")
      for (const cut of [0, 1, 4, 30, 60, 80, 100, 200, whole.length - 3]) {
        for (const end of ["", "\0\0\0"]) {
          fs.writeFileSync(`${path}-metadata.json`, whole.slice(0, cut) + end)
          const lines = yield* logged(writeTo(layer({ path, mode: "append" }), ofRun("run-2")))
          assert.isFalse(lines.some((line) => line.startsWith("Warn")), String(cut))
          assert.strictEqual(
            fs.readFileSync(`${path}-metadata.json`, "utf8"),
            whole.replace("\"run-1\"", "\"run-2\"")
          )
        }
      }
    }))

  it.effect.each([
    "{\"mine\": tru",
    "{\n  \"@context\": \"http://www.w3.org/ns/csvw\",\n  \"url\": \"run.csv\",\n  \"dc:creator\": \"me\"",
    "null",
    "[1]",
    "a note"
  ])("does not replace %j of another program", (theirs) =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      fs.writeFileSync(`${path}-metadata.json`, theirs)
      const lines = yield* logged(writeTo(layer({ path }), ofRun("run-1")))
      assert.isTrue(lines.some((line) => line.startsWith("Warn") && line.includes("another program made")))
      assert.strictEqual(fs.readFileSync(`${path}-metadata.json`, "utf8"), theirs)
    }))

  it.effect("is replaced at once: an open reader keeps the old one, and nothing is left beside it", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), ofRun("run-1"))
      const before = fs.readFileSync(`${path}-metadata.json`, "utf8")
      const reader = fs.openSync(`${path}-metadata.json`, "r")
      yield* writeTo(layer({ path, mode: "append" }), ofRun("run-2"))
      assert.strictEqual(fs.readFileSync(reader, "utf8"), before)
      fs.closeSync(reader)
      assert.notStrictEqual(fs.readFileSync(`${path}-metadata.json`, "utf8"), before)
      assert.deepStrictEqual(filesBeside(path).map(([name]) => name), [`.${file}.lock`, file, `${file}-metadata.json`])
    }))

  it.effect("is written through a link, even to a file that is missing", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      fs.symlinkSync("elsewhere.json", `${path}-metadata.json`)
      for (const mode of ["create", "append"] as const) {
        yield* writeTo(layer({ path, mode }), ofRun("run-1"))
        assert.isTrue(fs.lstatSync(`${path}-metadata.json`).isSymbolicLink())
        assert.isTrue(fs.lstatSync(fs.realpathSync(`${path}-metadata.json`)).isFile())
      }
    }))
})
