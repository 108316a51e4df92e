/**
 * How long the command takes to start: `--version`, and `record --simulate 1` until the first poll. Medians of ten runs, after
 * one warm-up run.
 *
 *     npm run bench:startup
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { median } from "./median.ts"
import { COMMAND, COMMAND_FLAGS } from "./simulator.ts"

const RUNS = 10

const run = (args: ReadonlyArray<string>) => {
  const { status, stderr } = spawnSync(process.execPath, [...COMMAND_FLAGS, COMMAND, ...args])
  if (status !== 0) throw new Error(`sampleline ${args.join(" ")}: ${stderr.toString()}`)
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-"))

const version = () => {
  const before = performance.now()
  run(["--version"])
  return performance.now() - before
}

/** From the start of the command to the request of the first sample. */
const firstPoll = () => {
  const file = path.join(folder, "run.jsonl")
  const before = performance.timeOrigin + performance.now()
  run(["record", "--simulate", "1", "--duration", "100ms", "--overwrite", "--out", file])
  const [first] = fs.readFileSync(file, "utf8").split("\n")
  return Date.parse(JSON.parse(first!).requested_at) - before
}

const report = (what: string, measure: () => number) => {
  measure()
  const times = Array.from({ length: RUNS }, measure)
  const [middle, shortest, longest] = [median(times), Math.min(...times), Math.max(...times)].map((time) =>
    time.toFixed(0)
  )
  console.log(`${what}: median ${middle} ms (${shortest} to ${longest})`)
}

report("sampleline --version", version)
report("sampleline record --simulate 1, first poll", firstPoll)
fs.rmSync(folder, { recursive: true })
