/**
 * Records two simulated devices for ten seconds into CSV and JSONL, and shows what came out.
 */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

const outputs = ["demo/run.csv", "demo/run.jsonl"]
const args = [
  "record",
  "--simulate",
  "2",
  "--duration",
  "10s",
  "--overwrite",
  ...outputs.flatMap((file) => ["--out", file])
]

console.log(`$ npx sampleline ${args.join(" ")}`)
const { status } = spawnSync(process.execPath, ["packages/cli/src/bin.ts", ...args], { stdio: "inherit" })
if (status !== 0) process.exit(status ?? 1)

for (const file of outputs) {
  console.log(`\n$ head -n 4 ${file}`)
  console.log(readFileSync(file, "utf8").split("\n").slice(0, 4).join("\n"))
}
