import { assert, describe, it } from "@effect/vitest"
import { Recorder } from "@sampleline/core"
import { Effect, Stream } from "effect"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { devicesOf, logged, pollUntil, scriptedPort } from "./ports.ts"

describe.concurrent("Bus", () => {
  it.live("counts a silent device's time-outs, and holds the others up for no more than the first of them", () =>
    Effect.gen(function*() {
      let isSilent = false
      const device = new SimulatedDevice()
      const silent = yield* scriptedPort((command) => isSilent ? null : device.respond(command, 0).join("\r"))
      const [air] = yield* Simulator.make()
      const source = yield* Alicat.make({ devices: { silent: { port: silent.path }, air: air! } })
      isSilent = true
      const poll = Effect.gen(function*() {
        const { failures, readings } = yield* source.poll(["silent", "air"])
        assert.deepStrictEqual(readings.map((reading) => reading.device), ["air"])
        assert.deepStrictEqual(failures.map(({ error }) => error.reason), ["Timeout"])
        return { message: failures[0]!.error.message, at: failures[0]!.at, airAt: readings[0]!.receivedAt }
      })
      const first = yield* poll
      assert.strictEqual(first.message, "silent: no reply within 500 ms")
      assert.isBelow(first.airAt, first.at)
      const before = performance.now()
      const more = yield* Effect.forEach([1, 2, 3, 4, 5], () => poll)
      assert.deepStrictEqual([...new Set(more.map(({ message }) => message))], [
        "silent: no reply within 500 ms, and none since"
      ])
      assert.isBelow(performance.now() - before, 500)
      isSilent = false
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))

  it.live("is warned of before the first tick, with the rate that it can", () =>
    Effect.gen(function*() {
      const faults = [{ kind: "delay", by: "20 millis" }] as const
      const ports = yield* Simulator.make({ devices: 3, units: 3, tcp: 0, faults })
      const record = (rateHz: number) =>
        logged(
          Recorder.record({ rateHz, duration: `${1 / rateHz} seconds` }).pipe(
            Stream.runDrain,
            Effect.provide(Alicat.layer({ devices: devicesOf(ports) }))
          )
        )
      const { lines } = yield* record(100)
      assert.strictEqual(lines.length, 1)
      assert.match(
        lines[0]!,
        /^100 Hz is more than tcp:\S+ can do: polling sim1, sim2, sim3 there takes [\d.]+ ms, which makes at most [\d.]+ Hz/
      )
      assert.isAtLeast(Number(/takes ([\d.]+) ms/.exec(lines[0]!)![1]), 55)
      assert.deepStrictEqual((yield* record(1)).lines, [])
    }))
})
