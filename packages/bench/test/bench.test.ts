import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodeRows } from "../src/results.ts"
import { run } from "./run.ts"

it.effect.each([["CSV", 100], ["SQLite integer times", 50], ["Parquet zstd", 5]] as const)(
  "the benchmark of %s measures the sink and its limit",
  ([sink, leastBytes]) =>
    Effect.gen(function*() {
      const text = run("bench", ["--only", `${sink}, batch 64, 7 fields`, "--rounds", "1", "--scale", "0.05", "--json"])
      const [row, ...others] = yield* decodeRows(text)
      assert.isDefined(row)
      assert.deepStrictEqual(others, [])
      assert.deepInclude(row, { fields: 7, batch: 64 })
      assert.isTrue(sink.startsWith(row.sink))
      // One round: its ratio is that of the two figures.
      assert.closeTo(row.ratio, row.samplesPerSecond / row.limitPerSecond, 1e-9)
      assert.isAtLeast(row.bytesPerSample, leastBytes)
    })
)
