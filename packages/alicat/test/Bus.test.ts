import { assert, describe, it } from "@effect/vitest"

import { Recorder } from "@sampleline/core"
import { Effect, Stream } from "effect"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { devicesOf, logged, pollUntil, recorded, scriptedPort } from "./ports.ts"

/** Answers like a simulated device, except that `poll` gives the reply to the n-th poll. */
const misbehaving = (poll: (n: number, reply: string) => string | null) => {
  const device = new SimulatedDevice()
  let isOpen = false
  let polls = 0
  return (command: string): string | null => {
    const reply = device.respond(command, 0).join("\r")
    if (reply === "") return null
    // Polls before the frame table only look for the baud rate.
    isOpen ||= command === "A??D*"
    return command === "A" && isOpen ? poll(polls++, reply) : reply
  }
}

describe.concurrent("a bus", () => {
  it.live("polls several units on one port one after the other", () =>
    Effect.gen(function*() {
      const units = ["A", "B", "C"].map((unitId, n) => new SimulatedDevice({ unitId, serialNumber: n }))
      const port = yield* scriptedPort((command) =>
        units.map((unit) => unit.respond(command, 0).join("\r")).find((reply) => reply !== "") ?? null
      )
      const { samples } = yield* recorded({
        a: { port: port.path },
        b: { port: port.path, unit: "b" },
        c: { port: port.path, unit: "C", baud: undefined }
      }, 5)
      assert.deepStrictEqual(samples.slice(0, 6).map((sample) => sample.unitId), ["A", "B", "C", "A", "B", "C"])
    }))

  it.live("counts malformed, foreign and rejected replies as failures, and goes on polling", () =>
    Effect.gen(function*() {
      const replies = [null, "A +014.62 +02", "B +1 +2 +3 +4 +5 N2", "A ?", "\r?", "A +014.62 \xff", ""]
      const port = yield* scriptedPort(misbehaving((n, reply) => n >= 3 && n <= 8 ? replies[n - 2]! : reply))
      const { samples, summary } = yield* recorded({ fuel: { port: port.path } }, 60)
      // An empty line is not a reply: it costs a time-out, and failures until the device is resynchronised.
      assert.isAtLeast(summary.failures["fuel"]!, 6)
      assert.isBelow(summary.failures["fuel"]!, 45)
      assert.strictEqual(samples.length, summary.ticks - summary.failures["fuel"]!)
    }))

  it.live("keeps a reading with one bad field, and counts the field", () =>
    Effect.gen(function*() {
      const port = yield* scriptedPort(misbehaving((n, reply) => n === 5 ? reply.replace(/\+0\d/, "+0x") : reply))
      const { samples, summary } = yield* recorded({ fuel: { port: port.path } }, 20)
      assert.strictEqual(samples.length, summary.ticks)
      assert.deepStrictEqual([summary.failures, summary.fieldFailures], [{ fuel: 0 }, { fuel: { Abs_Press: 1 } }])
      const [bad] = samples.filter(({ frame }) => frame.values[0] === null)
      assert.isNumber(bad!.frame.values[1])
    }))

  it.live("counts the time-outs of a silent device, and delays the other devices by the first of them at most", () =>
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

  it.live("warns before the first tick of a rate that it cannot reach, and gives the rate that it can", () =>
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
