/**
 * A recording must not depend on who reads what it prints.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { readWithDuckDb } from "../../sinks/test/duckdb.ts"
import { BIN, run, sampleline, startSampleline, tempFolder } from "./process.ts"
import { startOnTerminal } from "./pty.ts"
import { fileGrowsBeyond, rowsOf, summaryIn } from "./recordings.ts"

const record = (
  ...args: ReadonlyArray<string>
) => ["record", "--simulate", "1", "--rate", "50", "--flush-interval", "100ms", "--json", ...args]

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("a recording", (it) => {
  it.effect("goes on when the reader of its log goes away", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(record("--duration", "1s", "--out", "a.csv", "--out", "a.parquet"), {
        cwd
      })
      yield* running.printed("CsvSink opened")
      running.process.stderr!.destroy()
      assert.strictEqual(yield* running.exit, 0)
      const { samplesEmitted } = summaryIn(running.stdout())
      assert.isAbove(samplesEmitted, 0)
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, samplesEmitted)
      const columns = [{ name: "sequence", type: "int", nullable: false }] as const
      const rows = yield* readWithDuckDb(`(SELECT 1 AS sequence FROM '${cwd}/a.parquet')`, columns)
      assert.strictEqual(rows.length, samplesEmitted)
    }))

  it.effect("goes on when the disk of its log is full", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const full = fs.openSync("/dev/full", "w")
      const { code, stdout } = yield* sampleline(record("--duration", "300ms", "--out", "a.csv"), {
        cwd,
        stdio: ["ignore", "pipe", full]
      })
      fs.closeSync(full)
      assert.strictEqual(code, 0)
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, summaryIn(stdout).samplesEmitted)
    }))

  it.effect("fails if its summary cannot be written, and says so, with all samples in the file", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const full = fs.openSync("/dev/full", "w")
      const { code, stderr } = yield* sampleline(record("--duration", "300ms", "--out", "a.csv"), {
        cwd,
        stdio: ["ignore", full, "pipe"]
      })
      fs.closeSync(full)
      assert.strictEqual(code, 1)
      assert.include(stderr, "sampleline: the results could not be written to standard output: ENOSPC")
      const [, recorded] = /recorded (\d+) samples/.exec(stderr) ?? []
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, Number(recorded))
    }))

  it.effect.each(["SIGINT", "SIGTERM"] as const)(
    "keeps its exit code on %s after both readers are gone",
    (signal) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const running = yield* startSampleline(record("--duration", "60s", "--out", "a.csv"), { cwd })
        yield* fileGrowsBeyond(`${cwd}/a.csv`, 0)
        running.process.stdout!.destroy()
        running.process.stderr!.destroy()
        running.process.kill(signal)
        assert.strictEqual(yield* running.exit, signal === "SIGINT" ? 130 : 143)
        const rows = rowsOf(`${cwd}/a.csv`)
        assert.isAbove(rows.length, 0)
        assert.isTrue(rows.every((row) => row["status"] !== undefined))
      })
  )

  it.effect("ends with 129 and complete files when its terminal is closed", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startOnTerminal(record("--duration", "60s", "--out", "a.csv", "--out", "a.parquet"), cwd)
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 0)
      running.close()
      assert.strictEqual(yield* running.exit, 129)
      assert.isAbove(rowsOf(`${cwd}/a.csv`).length, 0)
      assert.isTrue(fs.existsSync(`${cwd}/a.parquet`))
      assert.isFalse(fs.existsSync(`${cwd}/a.parquet.partial`))
    }))
})

it.layer(NodeServices.layer, { excludeTestServices: true })("an old Node", (it) => {
  it.effect("is refused in one line", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(`${cwd}/old.cjs`, "Object.defineProperty(process.versions, \"node\", { value: \"20.20.2\" })\n")
      const args = ["--require", `${cwd}/old.cjs`, BIN, "record", "--simulate", "1", "--out", "a.csv"]
      const { code, stderr, stdout } = yield* run(process.execPath, args, { cwd })
      assert.deepStrictEqual(
        [code, stdout, stderr],
        [1, "", "sampleline needs Node 22.19 or newer; this is Node 20.20.2\n"]
      )
    }))
})
