import { assert, describe, it } from "@effect/vitest"
import type { SinkBatchError } from "@sampleline/core"
import { SampleSink } from "@sampleline/core"
import { Cause, Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { samplesFrom } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { textSinks } from "../textSinks.ts"
import { nonEmpty, writeTo } from "../writing.ts"

describe.each(textSinks)("$name on a pipe", ({ file, layer }) => {
  const pipe = Effect.map(tempFile(file), (path) => {
    execFileSync("mkfifo", [path])
    return path
  })

  it.effect("writes to a named pipe if its reader came first", () =>
    Effect.gen(function*() {
      const path = yield* pipe
      const refused = yield* Effect.flip(writeTo(layer({ path })))
      assert.deepInclude(refused, { _tag: "SinkOpenError", reason: "ConnectionRefused" })
      const reader = fs.createReadStream(path, "utf8")
      let text = ""
      reader.on("data", (chunk) => text += chunk)
      yield* Effect.callback<void>((resume) => void reader.once("open", () => resume(Effect.void))).pipe(
        Effect.zipWith(
          Effect.retry(writeTo(layer({ path }), samplesFrom(0, 3), samplesFrom(3, 3)), {
            while: (error) => error._tag === "SinkOpenError"
          }),
          () => undefined,
          { concurrent: true }
        )
      )
      yield* Effect.callback<void>((resume) => {
        if (reader.readableEnded) return resume(Effect.void)
        reader.once("end", () => resume(Effect.void))
      })
      assert.strictEqual(text.split("\n").filter((line) => line.includes("fuel")).length, 6)
      assert.isTrue(fs.statSync(path).isFIFO())
      assert.deepStrictEqual(fs.readdirSync(path.replace(`/${file}`, "")), [file])
    }))

  it.effect("fails if the reader has gone", () =>
    Effect.gen(function*() {
      const path = yield* pipe
      const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
      const exit = yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        fs.closeSync(reader)
        while (true) {
          yield* sink.write(nonEmpty(samplesFrom(0, 1)))
          yield* Effect.yieldNow
        }
      }).pipe(Effect.provide(layer({ path })), Effect.exit)
      const error = exit._tag === "Failure" ? Cause.squash(exit.cause) : undefined
      assert.deepInclude(error, { _tag: "SinkWriteError", reason: "ConnectionLost" })
    }))

  it.effect("fails with DiskFull on a full device", () =>
    Effect.gen(function*() {
      const batches = Array.from({ length: 50 }, (_, n) => samplesFrom(n, 1))
      const error = yield* Effect.flip(writeTo(layer({ path: "/dev/full" }), ...batches)).pipe(
        Effect.catchDefect((defect) => Effect.succeed(defect as SinkBatchError))
      )
      assert.deepInclude(error, { _tag: "SinkWriteError", reason: "DiskFull" })
    }))
})
