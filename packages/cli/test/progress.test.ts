import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it, vi } from "@effect/vitest"
import * as nodePty from "@lydell/node-pty"
import { Progress, SampleClock } from "@sampleline/core"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { behindParts, reportProgress } from "../src/progress.ts"
import { progressParts } from "../src/summary.ts"
import { timeText } from "../src/terminal.ts"
import { BIN, tempFolder } from "./process.ts"
import { eventually, rowsOf } from "./recordings.ts"

it.effect("is a new line with its time every ten seconds if stderr is not a terminal", () =>
  Effect.gen(function*() {
    const written: Array<unknown> = []
    const write = vi.spyOn(process.stderr, "write").mockImplementation((chunk) => written.push(chunk) > 0)
    const isTerminal = process.stderr.isTTY
    process.stderr.isTTY = false
    const clock = yield* SampleClock.current
    const secondsAt = (at: number) => at / 1_000_000
    const parts = () => progressParts(new Progress().current, secondsAt(clock.epochMicros()))
    yield* Effect.forkChild(reportProgress({ parts, secondsAt, table: null, keyboard: null, marks: true, page: null }))
    yield* TestClock.adjust("29 seconds")
    write.mockRestore()
    process.stderr.isTTY = isTerminal
    assert.deepStrictEqual(written, [
      `${timeText(new Date(10_000))} 10.0 s   0 samples   0 late ticks   0 failures\n`,
      `${timeText(new Date(20_000))} 20.0 s   0 samples   0 late ticks   0 failures\n`
    ])
  }))

it.effect("goes on without what has a bug", () =>
  Effect.gen(function*() {
    const messages: Array<unknown> = []
    const bug = () => {
      throw new Error("bug")
    }
    const reporting = yield* reportProgress({
      parts: bug,
      secondsAt: () => 0,
      table: bug,
      keyboard: null,
      marks: true,
      page: null
    }).pipe(
      Effect.provide(Logger.layer([Logger.make(({ message }) => messages.push(message))])),
      Effect.forkChild
    )
    yield* TestClock.adjust("60 seconds")
    assert.deepStrictEqual(messages.flat(), ["nothing more is shown, but the recording goes on: bug"])
    assert.isUndefined(reporting.pollUnsafe())
  }))

it("tells how far an output is behind that waits, has stopped, or does not keep up", () => {
  const targets = ["run.csv", "run.db", "postgres"].map((label) => ({ label: () => label }))
  const parts = (...outputs: ReadonlyArray<readonly ["writing" | "waiting" | "stopped", number]>) =>
    behindParts(
      targets,
      () => outputs.map(([state, behind]) => ({ name: "", target: "", state, behind, written: 0 })),
      64
    )()
  assert.deepStrictEqual(parts(["writing", 0], ["writing", 64], ["writing", 128]), [])
  assert.deepStrictEqual(parts(["writing", 3], ["waiting", 20], ["stopped", 12_345]), [
    "run.db 20 behind",
    "postgres 12,345 behind"
  ])
  assert.deepStrictEqual(parts(["writing", 1000], ["writing", 0], ["writing", 0]), ["run.csv 1,000 behind"])
})

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("progress", (it) => {
  it.effect("is a line on a narrow terminal that counts samples; Ctrl-C ends the run with the summary", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const terminal = nodePty.spawn(process.execPath, [BIN, "record", "--simulate", "1", "--out", "a.csv"], {
        cwd,
        cols: 79
      })
      const screen = { text: "", code: -1 }
      terminal.onData((text) => screen.text += text)
      terminal.onExit(({ exitCode }) => screen.code = exitCode)
      yield* eventually(() => /\d+\.\d s {3}[1-9]\d* samples {3}\d+ late ticks {3}\d+ failures/.test(screen.text))
      terminal.write("\u0003")
      yield* eventually(() => screen.code >= 0)
      assert.strictEqual(screen.code, 0)
      const rows = rowsOf(`${cwd}/a.csv`).length
      assert.include(screen.text, `recorded ${rows} samples in `)
      assert.include(screen.text, `a.csv: ${rows} rows`)
    }))
})
