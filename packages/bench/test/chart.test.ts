import { assert, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { run } from "./run.ts"

it("the README shows the figures that were measured last, and the chart is theirs", () => {
  const bench = fileURLToPath(new URL("../", import.meta.url))
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "chart-"))
  fs.copyFileSync(`${bench}README.md`, `${folder}/README.md`)
  run("chart", [`${bench}results.json`, `${folder}/throughput.svg`, `${folder}/README.md`])
  for (const name of ["README.md", "throughput.svg"]) {
    assert.strictEqual(fs.readFileSync(`${folder}/${name}`, "utf8"), fs.readFileSync(`${bench}${name}`, "utf8"))
  }
  assert.include(fs.readFileSync(`${folder}/README.md`, "utf8"), "| CSV, batch 64 | ")
  assert.include(fs.readFileSync(`${folder}/throughput.svg`, "utf8"), "CSV, batch 64")
  fs.rmSync(folder, { recursive: true })
})
