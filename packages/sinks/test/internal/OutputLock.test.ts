import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { killChild, startChild } from "../../../sqlite/test/child.ts"
import { samplesFrom } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { textSinks } from "../textSinks.ts"
import { logged, writeTo } from "../writing.ts"

const lockOf = (file: string) => path.join(path.dirname(file), `.${path.basename(file)}.lock`)

/** A process that holds the lock of a file. */
const otherRecorder = (file: string) =>
  startChild(`
    import { DatabaseSync } from "node:sqlite"
    new DatabaseSync(${JSON.stringify(lockOf(file))}).exec("BEGIN EXCLUSIVE")
    console.log("locked")
    setInterval(() => {}, 1000)
  `)

describe.each(textSinks)("the lock of $name", ({ check, file, layer }) => {
  it.effect.each(["create", "append", "overwrite"] as const)(
    "keeps a second recorder away at opening, mode %s",
    (mode) =>
      Effect.gen(function*() {
        const output = yield* tempFile(file)
        const other = yield* otherRecorder(output)
        const open = writeTo(layer({ path: output, mode }), samplesFrom(0, 1))
        const error = yield* Effect.flip(open)
        assert.include(String(error), "another recorder writes to it; end that recorder, or record to another file")
        assert.isFalse(fs.existsSync(output))
        yield* killChild(other)
        yield* open
        assert.isTrue(fs.existsSync(output))
      })
  )

  it.effect("is found by a check, which makes none", () =>
    Effect.gen(function*() {
      const output = yield* tempFile(file)
      fs.writeFileSync(output, "")
      yield* check({ path: output, mode: "append" })
      assert.isFalse(fs.existsSync(lockOf(output)))
      yield* otherRecorder(output)
      const error = yield* Effect.flip(check({ path: output, mode: "append" }))
      assert.include(String(error), "another recorder writes to it")
    }))

  it.effect("is that of the file behind a link", () =>
    Effect.gen(function*() {
      const output = yield* tempFile(file)
      yield* writeTo(layer({ path: output }), samplesFrom(0, 1))
      fs.symlinkSync(output, `${output}.link`)
      yield* otherRecorder(output)
      const error = yield* Effect.flip(writeTo(layer({ path: `${output}.link`, mode: "append" }), samplesFrom(1, 1)))
      assert.include(String(error), "another recorder writes to it")
    }))

  it.effect("is done without where it cannot be made, with a log line", () =>
    Effect.gen(function*() {
      const output = yield* tempFile(file)
      fs.mkdirSync(lockOf(output))
      const lines = yield* logged(writeTo(layer({ path: output }), samplesFrom(0, 1)))
      assert.isTrue(lines.some((line) => line.includes("other recorders cannot be kept away: ")), lines.join("\n"))
      assert.isTrue(fs.existsSync(output))
    }))
})
