import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { sampleOf } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { textSinks } from "../textSinks.ts"
import { logged, writeTo } from "../writing.ts"

const format = FrameFormat.make([
  { name: "Flow" },
  { name: "say \"hi\", x" },
  { name: "Count", kind: "int" },
  { name: "Note", kind: "text" }
])
const samples = [100, -2, 99.5].map((value, n) => sampleOf(format, [value, value, n, "\"Flow\":1,"], n))

describe.each(textSinks)("numbers without a decimal point in a file of $name", ({ file, layer }) => {
  it.live("may be appended to, with one warning that names the columns of floats", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), samples)
      const text = fs.readFileSync(path, "utf8")
      const older = text.replaceAll(/(\d)\.0(?=[,}])/g, "$1")
      assert.notStrictEqual(older, text)
      fs.writeFileSync(path, older)
      const lines = yield* logged(writeTo(layer({ path, mode: "append" }), samples.slice(0, 1), samples.slice(1)))
      assert.deepStrictEqual(lines.filter((line) => line.startsWith("Warn")).map((line) => line.replace(path, file)), [
        `Warn ${
          path.endsWith("csv") ? "CsvSink" : "JsonlSink"
        } ${file}: it has numbers without a decimal point in columns of `
        + "floats (Flow, say \"hi\", x). A reader that infers types may take these columns for integers. "
        + "Tell the reader their types, or record to another file"
      ])
      assert.isTrue(fs.readFileSync(path, "utf8").startsWith(older))
    }))

  it.live("are not warned of if there are none, or only in columns of integers and in texts", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), samples)
      const lines = yield* logged(writeTo(layer({ path, mode: "append" }), samples))
      assert.deepStrictEqual(lines.filter((line) => line.startsWith("Warn")), [])
    }))
})
