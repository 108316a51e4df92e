/**
 * `record --stream`: devices that send by themselves.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { sampleline, startSampleline, startSimulator, tempFolder } from "./process.ts"
import { rowsOf, summaryIn } from "./recordings.ts"

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("record --stream", (it) => {
  it.effect("sets the rate at which devices send, and records what they send", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline(
        "record --simulate 2 --stream --rate 50 --out a.csv --out - --batch-size 1 --log-level debug --json".split(" "),
        { cwd }
      )
      for (const device of ["sim1", "sim2"]) yield* running.printed(`{"device":"${device}"`)
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 0, running.stderr())
      assert.strictEqual(running.stderr().match(/< ANCS 20$/gm)?.length, 2)
      const rows = rowsOf(`${cwd}/a.csv`)
      assert.strictEqual(rows.length, summaryIn(running.stderr()).samplesEmitted)
      assert.strictEqual(rows.length, running.stdout().trim().split("\n").length)
      assert.deepStrictEqual(new Set(rows.map(({ device }) => device)), new Set(["sim1", "sim2"]))
      assert.isTrue(rows.every((row) => row["requested_at"] === row["received_at"] && row["latency_s"] === "0.0"))
    }))

  it.effect("leaves a device streaming after kill -9; the next recording starts cleanly", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const streamKillRecord = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
        const { devices: [fuel] } = yield* startSimulator(cwd, "--devices", "1", ...args)
        const toStdout = ["--device", fuel!.flag, "--batch-size", "1", "--out", "-", "--json"]
        for (const next of [["--stream"], []]) {
          const streaming = yield* startSampleline(["record", "--stream", ...toStdout], { cwd })
          yield* streaming.printed("Mass")
          streaming.process.kill("SIGKILL")
          yield* streaming.exit
          const after = yield* startSampleline(["record", ...next, ...toStdout], { cwd })
          yield* after.printed("Mass")
          after.process.kill("SIGINT")
          assert.strictEqual(yield* after.exit, 0, after.stderr())
          assert.notInclude(after.stderr(), "malformed", args.join(" "))
        }
      })
      yield* Effect.all([streamKillRecord(), streamKillRecord("--firmware", "GP07"), streamKillRecord("--tcp", "0")], {
        concurrency: "unbounded"
      })
    }))

  it.effect("refuses two devices on one port", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { devices } = yield* startSimulator(cwd, "--devices", "2", "--units", "2")
      const flags = devices.flatMap(({ flag }) => ["--device", flag])
      const { code, stderr } = yield* sampleline(["record", "--stream", ...flags, "--out", "a.csv"], { cwd })
      assert.strictEqual(code, 2)
      assert.include(stderr, `devices is sim1, sim2: expected one device to stream on ${devices[0]!.port}`)
    }))
})
