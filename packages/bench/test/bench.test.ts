import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { decodeRows } from "../src/results.ts"

const script = (name: string) => fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url))
const run = (name: string, args: ReadonlyArray<string>) =>
  execFileSync(process.execPath, [script(name), ...args], { encoding: "utf8" })

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

it.effect("the README shows the figures that were measured last, and the chart is theirs", () =>
  Effect.sync(() => {
    const root = fileURLToPath(new URL("../../../", import.meta.url))
    const bench = `${root}packages/bench/`
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "chart-"))
    fs.copyFileSync(`${root}README.md`, `${folder}/README.md`)
    run("chart", [`${bench}results.json`, `${folder}/throughput.svg`, `${folder}/README.md`])
    const same = (name: string, file: string) =>
      assert.strictEqual(fs.readFileSync(`${folder}/${name}`, "utf8"), fs.readFileSync(file, "utf8"))
    same("README.md", `${root}README.md`)
    same("throughput.svg", `${bench}throughput.svg`)
    assert.include(fs.readFileSync(`${folder}/README.md`, "utf8"), "| CSV, batch 64 | ")
    assert.include(fs.readFileSync(`${folder}/throughput.svg`, "utf8"), "CSV, batch 64")
    fs.rmSync(folder, { recursive: true })
  }))

it("the memory benchmark prints the memory after each tenth of the samples", () => {
  assert.match(
    run("memory", ["--samples", "20000"]),
    /^RSS after each tenth of the samples, MiB:(?: \d+){10}\ngrowth from the first to the last: -?[\d.]+ MiB\n$/
  )
})
