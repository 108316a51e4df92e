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

it.each([
  ["devices, CSV", ["1", "10", "100", "1,000"]],
  ["fields, Parquet", ["7", "50", "500"]],
  ["rows there, CSV", ["0", "1,000", "10,000"]],
  ["tenths of a run, journal and CSV", ["2", "3", "4", "5", "6", "7", "8", "9", "10"]]
])("the benchmark of growth with %s has a cost at each size", (name, sizes) => {
  const costs = JSON.parse(run("growth", ["--only", name, "--scale", "0.001", "--json"]))
  assert.deepStrictEqual(costs.map(({ at }: { readonly at: string }) => at), sizes)
  for (const { micros } of costs) assert.isAbove(micros, 0)
})
