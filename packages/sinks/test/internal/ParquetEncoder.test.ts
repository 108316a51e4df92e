import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as path from "node:path"
import threads from "node:worker_threads"
import { ParquetSink } from "../../src/ParquetSink.ts"
import { tempFile } from "../tempFile.ts"
import { runWithoutSamples } from "../writing.ts"

const { Worker } = threads

class WithoutModule extends Worker {
  constructor(_module: URL, options: threads.WorkerOptions) {
    super(new URL("file:///bundle/parquetWorker.mjs"), options)
  }
}

const refusing = (code: string) =>
  function() {
    throw Object.assign(new Error(`${code}: it failed`), { code })
  }

const replaceWorker = (by: unknown) =>
  Effect.sync(() => {
    Object.assign(threads, { Worker: by })
    syncBuiltinESMExports()
  })

describe("the thread that encodes a Parquet file", () => {
  it.live.each([
    { problem: "its module is missing", worker: WithoutModule, said: "keep @sampleline/sinks out of the bundle" },
    { problem: "its module has no address", worker: refusing("ERR_INVALID_ARG_TYPE"), said: "out of the bundle" },
    { problem: "there are too many open files", worker: refusing("EMFILE"), said: "many open files" }
  ])("opening fails if $problem, and leaves nothing behind", ({ said, worker }) =>
    Effect.gen(function*() {
      const file = yield* tempFile("run.parquet")
      yield* Effect.acquireRelease(replaceWorker(worker), () => replaceWorker(Worker))
      const error = yield* Effect.flip(runWithoutSamples(ParquetSink.layer({ path: file })))
      assert.strictEqual(error._tag, "SinkOpenError")
      assert.include(error.message, said)
      assert.deepStrictEqual(fs.readdirSync(path.dirname(file)), [])
    }))
})
