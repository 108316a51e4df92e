/**
 * The output `-`: JSON lines on stdout, for a reader that may be slow, stop or go away.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { sampleline, startSampleline, tempFolder } from "./process.ts"
import { eventually, fileGrowsBeyond, linesOf, rowsOf, summaryIn } from "./recordings.ts"

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("record --out -", (it) => {
  it.effect("writes JSON lines to stdout, and everything else to stderr", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { code, stderr, stdout } = yield* sampleline(
        "record --simulate 1 --rate 50 --duration 200ms --out - --json".split(" "),
        { cwd }
      )
      assert.strictEqual(code, 0)
      assert.strictEqual(linesOf(stdout).length, summaryIn(stderr).samplesEmitted)
      assert.deepStrictEqual(fs.readdirSync(cwd), [])
    }))

  it.effect("reports in the summary that stdout is full", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const full = fs.openSync("/dev/full", "w")
      const { code, stderr } = yield* sampleline(
        "record --simulate 1 --duration 300ms --out - --out a.csv --json".split(" "),
        { cwd, stdio: ["ignore", full, "pipe"] }
      )
      fs.closeSync(full)
      assert.strictEqual(code, 1)
      const [stdout, csv] = summaryIn(stderr).sinks
      assert.strictEqual(stdout!.rows, 0)
      assert.include(stdout!.error, "the disk is full")
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, csv!.rows)
    }))

  it.effect("goes on with the other outputs after the reader closes the pipe", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 1 --duration 2s --flush-interval 100ms --out - --out a.csv --json".split(" "),
        { cwd }
      )
      yield* running.printed("\"device\":\"sim1\"")
      running.process.stdout!.destroy()
      assert.strictEqual(yield* running.exit, 1)
      assert.include(running.stderr(), "its reader closed the pipe; the other outputs go on without it")
      assert.include(running.stderr().split("\n").at(-2), "sampleline: JsonlSink did not accept")
      const summary = summaryIn(running.stderr())
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, summary.samplesEmitted)
      assert.isAbove(summary.samplesEmitted, summary.sinks[0]!.rows)
      assert.isFalse(fs.existsSync(`${cwd}/a.csv.journal`))
    }))

  it.effect("ends on Ctrl-C although nobody reads stdout", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 10 --rate 100 --flush-interval 100ms --out - --out a.csv --json".split(" "),
        { cwd }
      )
      running.process.stdout!.pause()
      // By then a pipe of 64 KiB would be full several times over.
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 300_000)
      const asked = performance.now()
      running.process.kill("SIGINT")
      yield* eventually(() => running.process.exitCode !== null)
      // 5 s each for stopTimeout and for closing the pipe, and 2 s for a busy machine.
      assert.isBelow(performance.now() - asked, 12_000)
      assert.strictEqual(running.process.exitCode, 1)
      assert.include(running.stderr(), "its reader did not read them within 5s")
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, summaryIn(running.stderr()).samplesEmitted)
    }))

  it.effect("names the failed output on SIGTERM and still exits with 143", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 1 --flush-interval 100ms --out - --out a.csv".split(" "),
        { cwd }
      )
      yield* running.printed("\"device\":\"sim1\"")
      running.process.stdout!.destroy()
      yield* running.printed("the other outputs go on without it")
      running.process.kill("SIGTERM")
      assert.strictEqual(yield* running.exit, 143)
      assert.include(running.stderr().split("\n").at(-2), "sampleline: JsonlSink did not accept")
    }))

  it.effect("ends at once on a second Ctrl-C", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 10 --rate 100 --flush-interval 100ms --out - --out a.csv".split(" "),
        { cwd }
      )
      running.process.stdout!.pause()
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 300_000)
      running.process.kill("SIGINT")
      yield* running.printed("CsvSink closed a.csv")
      running.process.kill("SIGINT")
      yield* eventually(() => running.process.exitCode !== null)
      assert.strictEqual(running.process.exitCode, 130)
    }))
})
