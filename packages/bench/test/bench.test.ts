import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { decodeRows } from "../src/results.ts"

const script = (name: string) => fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url))
const run = (name: string, args: ReadonlyArray<string>, input = "") =>
  execFileSync(process.execPath, [script(name), ...args], { encoding: "utf8", input })

it.effect.each([["CSV", 100], ["SQLite integer times", 50], ["Parquet zstd", 5]] as const)(
  "the benchmark of %s measures the sink and its limit, and its rows are drawn",
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
      const svg = run("chart", [], text)
      assert.match(svg, /^<svg /)
      assert.include(svg, sink)
    })
)

it("the memory benchmark prints the memory after each tenth of the samples", () => {
  assert.match(
    run("memory", ["--samples", "20000"]),
    /^RSS after each tenth of the samples, MiB:(?: \d+){10}\ngrowth from the first to the last: -?[\d.]+ MiB\n$/
  )
})
