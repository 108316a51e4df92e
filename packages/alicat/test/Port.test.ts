import { assert, describe, it } from "@effect/vitest"

import { SampleClock } from "@sampleline/core"
import { Effect, Fiber, Layer, Logger, References } from "effect"
import * as Alicat from "../src/Alicat.ts"
import { openPty } from "../src/simulator/Pty.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { encodeCommand, LineSplitter } from "../src/wire/Framing.ts"
import { devicesOf, logged, scriptedPort } from "./ports.ts"

describe.concurrent("a late reply", () => {
  it.live("is never taken for the reply to the next request", () => {
    const timeoutMs = 50
    /** Polls a device whose every third reading is late. It answers in order, and a reading says how many polls came before it. */
    const pollLate = Effect.fnUntraced(function*(lateMs: number) {
      const clock = yield* SampleClock.current
      const device = new SimulatedDevice()
      const asked: Array<number> = []
      let answered = Promise.resolve()
      const splitter = new LineSplitter()
      const pty = yield* openPty((chunk) => {
        for (const line of splitter.push(chunk)) {
          const command = String.fromCharCode(...line)
          const reply = command === "A"
            ? `A +014.62 +021.89 +000.00 +${asked.push(clock.monotonicNanos()) - 1} +078.95     N2`
            : device.respond(command, 0).join("\r")
          const isLate = command === "A" && asked.length % 3 === 0
          answered = answered
            .then(() => new Promise<void>((resolve) => setTimeout(resolve, isLate ? lateMs : 0)))
            .then(() => pty.write(encodeCommand(reply)))
        }
      })
      const source = yield* Alicat.make({
        devices: { fuel: { port: pty.path, baud: 19200 } },
        timeout: timeoutMs
      }).pipe(Effect.retry({ times: 5 }))
      let readings = 0
      let late = 0
      // Every reply may be late on a machine that stands still at times: poll until there were enough of both.
      while (readings < 20 || late < 20) {
        const result = yield* source.poll(["fuel"])
        late += result.failures.filter(({ error }) => error.cause !== undefined).length
        yield* Effect.sleep("5 millis")
        for (const { frame, receivedMonotonicNanos, requestedMonotonicNanos } of result.readings) {
          const askedAt = asked[Number(frame.values[3])]!
          assert.isTrue(requestedMonotonicNanos <= askedAt && askedAt <= receivedMonotonicNanos)
          readings++
        }
      }
    })
    return Effect.forEach([60, 100, 150], pollLate, { concurrency: "unbounded", discard: true })
  }, 120_000)

  it.live("is never recorded on another tick, as the numbers of the readings show", () =>
    Effect.gen(function*() {
      const timeout = "50 millis"
      /** Polls with every third reading late. The number of a reading must be the number of polls sent before it. */
      const pollLate = Effect.fnUntraced(function*(by: number) {
        const [fuel] = yield* Simulator.make({
          numbered: true,
          faults: [{ kind: "delay", by, when: { every: 3 } }]
        })
        let sent = 0
        const counting = Logger.make(({ message }) => {
          if ([message].flat().join(" ").endsWith(" < A")) sent++
        })
        const polls = Effect.gen(function*() {
          const source = yield* Alicat.make({ devices: { fuel: { port: fuel!.port, baud: 19200 } }, timeout }).pipe(
            Effect.retry({ times: 5 })
          )
          let [readings, late] = [0, 0]
          while (readings < 30 || late < 10) {
            const { failures, readings: [reading] } = yield* source.poll(["fuel"])
            late += failures.filter(({ error }) => error.cause !== undefined).length
            if (reading !== undefined) {
              assert.strictEqual(reading.frame.values.at(-2), sent - 1)
              readings++
            }
            yield* Effect.sleep("5 millis")
          }
        })
        yield* Effect.provide(
          polls,
          Layer.merge(Logger.layer([counting]), Layer.succeed(References.MinimumLogLevel, "Debug"))
        )
      })
      yield* Effect.forEach([60, 100, 150], pollLate, { concurrency: "unbounded", discard: true })
    }))

  it.live("is not taken for the next one by a port that was opened again, even if the device rejects every table", () =>
    Effect.gen(function*() {
      const clock = yield* SampleClock.current
      const now = () => clock.monotonicNanos() / 1e6
      const startedAt = now()
      const asked: Array<number> = []
      const lateMs = () => now() < startedAt + 2000 ? 0 : now() < startedAt + 8000 ? 800 : 120
      let due = 0
      const port = yield* scriptedPort(
        (command) => command === "A" ? `A +${asked.push(clock.monotonicNanos()) - 1} N2` : "?",
        (_, write, reply) => {
          due = Math.max(due, now() + lateMs())
          setTimeout(() => write(reply), Math.max(0, due - now()))
        }
      )
      const device = { port: port.path, baud: 19200, columns: ["Number", "Gas:text"] }
      const { lines } = yield* logged(Effect.gen(function*() {
        const source = yield* Alicat.make({ devices: { fuel: device }, timeout: "200 millis" })
        let readings = 0
        while (now() < startedAt + 9000 || readings < 20) {
          const result = yield* source.poll(["fuel"])
          for (const { frame, receivedMonotonicNanos, requestedMonotonicNanos } of result.readings) {
            if (now() > startedAt + 8000) readings++
            const askedAt = asked[Number(frame.values[0])]!
            assert.isTrue(requestedMonotonicNanos <= askedAt && askedAt <= receivedMonotonicNanos)
          }
          yield* Effect.sleep("5 millis")
        }
      }))
      assert.include(lines.join(), "gives nothing but failures; it is opened again")
    }))

  it.live("that comes after a line of noise is not taken for the reply to the next request", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice({ numbered: true })
      let polls = 0
      const port = yield* scriptedPort((command) => {
        if (command === "A") polls++
        return device.respond(command, 0).join("\r") || null
      }, (command, write, reply) => {
        if (command !== "A" || polls % 4 !== 0) return write(reply)
        write("~#noise")
        setTimeout(() => write(reply), 60)
      })
      const source = yield* Alicat.make({ devices: { fuel: { port: port.path } } })
      let [readings, malformed] = [0, 0]
      while (readings < 30 || malformed < 5) {
        const result = yield* source.poll(["fuel"])
        malformed += result.failures.filter(({ error }) => error.reason === "Malformed").length
        for (const { frame } of result.readings) {
          readings++
          assert.strictEqual(Number(frame.values.at(-2)), polls - 1)
        }
        yield* Effect.sleep("5 millis")
      }
    }))
})

describe.concurrent("a port with noise before each line", () => {
  it.live.each(["\0", "\n", "\xff\xfe", "\0\xff\n", "\xff\xfb\x01"])(
    "%j is opened and polled",
    (noise) =>
      Effect.gen(function*() {
        const device = new SimulatedDevice()
        const port = yield* scriptedPort((command) =>
          device.respond(command, 0).map((line) => `${noise}${line}`).join("\r") || null
        )
        const source = yield* Alicat.make({ devices: { fuel: { port: port.path } } })
        assert.strictEqual(source.devices[0]!.identity!.serialNumber, "100000")
        const { readings } = yield* source.poll(["fuel"])
        assert.strictEqual(readings[0]?.frame.values.length, 6)
        assert.isUndefined(readings[0]?.frame.fieldFailures)
      })
  )
})

describe("a process that stands still", () => {
  const standStill = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

  it.live("for longer than the time-out still gets its reading", () =>
    Effect.gen(function*() {
      const ports = yield* Simulator.make({ devices: 1 })
      const source = yield* Alicat.make({ devices: devicesOf(ports), timeout: "300 millis" })
      const polling = yield* Effect.forkChild(source.poll(["sim1"]), { startImmediately: true })
      yield* Effect.sync(() => standStill(400))
      const { failures, readings } = yield* Fiber.join(polling)
      assert.deepStrictEqual(failures, [])
      assert.strictEqual(readings.length, 1)
    }))

  it.live("between the rows of a table still gets all columns", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const port = yield* scriptedPort(
        (command) => device.respond(command, 0).join("\r") || null,
        (_, write, reply) => {
          const [first, ...rest] = reply.split("\r")
          write(first!)
          if (rest.length === 0) return
          setTimeout(() => {
            standStill(200)
            write(rest.join("\r"))
          }, 20)
        }
      )
      const source = yield* Alicat.make({ devices: { fuel: { port: port.path } } })
      assert.strictEqual(source.devices[0]!.format!.fields.length, 6)
    }))
})
