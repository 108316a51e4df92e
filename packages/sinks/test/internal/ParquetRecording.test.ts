import { assert, describe, it } from "@effect/vitest"
import { SampleSink } from "@sampleline/core"
import { Effect, Fiber } from "effect"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { ParquetSink } from "../../src/ParquetSink.ts"
import { countParquet, queryDuckDb } from "../duckdb.ts"
import { canMountDisk, onSmallDisk } from "../fullDisk.ts"
import { samplesFrom } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { nonEmpty, writeTo } from "../writing.ts"

describe("the row groups of a Parquet recording", () => {
  it.live("takes batches that come at once one after the other", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        yield* Effect.forEach(
          [0, 1, 2, 3, 4, 5],
          (n) => sink.write(nonEmpty(samplesFrom(n * 10, 10))),
          { concurrency: "unbounded" }
        )
      }).pipe(Effect.provide(ParquetSink.layer({ path, rowGroupSize: 15 })))
      assert.strictEqual(yield* countParquet(path), 60)
      const [sums] = yield* queryDuckDb(`SELECT count(DISTINCT requested_at) AS n FROM '${path}'`)
      assert.strictEqual(Number(sums!["n"]), 60)
    }))

  it.live("takes a row group of any size", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      yield* writeTo(ParquetSink.layer({ path, rowGroupSize: Number.MAX_SAFE_INTEGER }), samplesFrom(0, 12_000))
      assert.strictEqual(yield* countParquet(path), 12_000)
    }))

  it.live("does not store a batch that was interrupted while it waited for another", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      yield* Effect.gen(function*() {
        const sink = yield* ParquetSink.make({ path, rowGroupSize: 10 })
        const writing = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, n) => nonEmpty(samplesFrom(n * 10, 10))),
          (batch) => Effect.forkChild(sink.write(batch), { startImmediately: true })
        )
        yield* Fiber.interruptAll(writing)
      }).pipe(Effect.scoped)
      const stored = fs.existsSync(path) ? yield* countParquet(path) : 0
      assert.isBelow(stored, 200)
      assert.strictEqual(stored % 10, 0)
    }))

  it.live.runIf(canMountDisk)(
    "has all accepted samples if a full disk has room again before it is closed",
    () =>
      Effect.gen(function*() {
        const file = yield* tempFile("run.parquet")
        const program = fileURLToPath(new URL("../makeRoom.ts", import.meta.url))
        const accepted = Number(onSmallDisk(program, [], file).split("\n").at(-1))
        assert.isAtLeast(accepted, 500)
        assert.strictEqual(yield* countParquet(file), accepted)
      })
  )
})
