import { assert, describe, it } from "@effect/vitest"
import { Recorder, SampleClock, type Tick } from "@sampleline/core"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import * as fs from "node:fs"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { devicesOf, logged, pluggable, pollUntil, scriptedPort } from "./ports.ts"

describe.concurrent("a port that vanishes", () => {
  it.live("has a vanished port as failures of its devices, and opens it again when it is back", () =>
    Effect.gen(function*() {
      const { link, plug } = yield* pluggable
      const { unplug } = yield* plug(7)
      const [air] = yield* Simulator.make()
      const source = yield* Alicat.make({ devices: { fuel: { port: link }, air: air! } })
      yield* unplug
      const others = yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
      assert.deepStrictEqual(others.map((reading) => reading.device), ["air"])
      // While it is gone a poll costs no time-out.
      const before = performance.now()
      const gone = yield* Effect.forEach([1, 2, 3, 4, 5], () => source.poll(["fuel"]))
      assert.isTrue(gone.every(({ failures }) => failures[0]?.error.reason === "Disconnected"))
      assert.isBelow(performance.now() - before, 400)
      yield* plug(7)
      const readings = yield* pollUntil(source, (reasons) => reasons.length === 0)
      assert.deepStrictEqual(readings.map((reading) => reading.device), ["fuel", "air"])
    }))

  // So slow that a machine which stands still for a second is not taken for the recorder being late.
  const RATE = 2

  it.live("delays no tick of the other devices in 5 s, and is recorded again within 1 s of its return", () =>
    Effect.gen(function*() {
      const clock = yield* SampleClock.current
      const ports = yield* Simulator.make({ devices: 3, pluggable: true })
      const ticks: Array<Tick> = []
      const recording = yield* Recorder.record({ rateHz: RATE, duration: "12 seconds" }).pipe(
        Stream.runForEach((tick) => Effect.sync(() => ticks.push(tick))),
        Effect.provide(Alicat.layer({ devices: devicesOf(ports) })),
        Effect.forkChild
      )
      while (ticks.length < 4) yield* Effect.sleep("20 millis")
      yield* ports[1]!.unplug
      yield* Effect.sleep("5 seconds")
      yield* ports[1]!.plug()
      const backAt = clock.epochMicros()
      const back = () =>
        ticks.flatMap(({ samples }) => samples).find((s) => s.device === "sim2" && s.requestedAt > backAt)
      // Time in which this whole process stood still is not the recorder's.
      let stoodStill = 0
      while (back() === undefined) {
        const before = clock.epochMicros()
        yield* Effect.sleep("10 millis")
        const slept = clock.epochMicros() - before
        if (slept > 100_000) stoodStill += slept
      }
      assert.isBelow(back()!.requestedAt - backAt, 1_000_000 + 1_000_000 / RATE + stoodStill)
      yield* Fiber.join(recording)

      const of = (name: string) => ticks.flatMap(({ samples }) => samples.filter(({ device }) => device === name))
      assert.deepStrictEqual(ticks.filter(({ skipped }) => skipped > 0), [])
      assert.strictEqual(ticks.length, 12 * RATE)
      assert.deepStrictEqual([of("sim1").length, of("sim3").length], [ticks.length, ticks.length])
      const failures = ticks.flatMap((tick) => tick.failures)
      assert.strictEqual(of("sim2").length + failures.length, ticks.length)
      assert.isAtLeast(failures.length, 4 * RATE)
      assert.deepStrictEqual([...new Set(failures.map(({ error }) => error.reason))], ["Disconnected"])
    }))

  it.live("looks again for a device that was silent when its port came back", () =>
    Effect.gen(function*() {
      const { link, plug } = yield* pluggable
      const { unplug } = yield* plug(7)
      const source = yield* Alicat.make({ devices: { fuel: { port: link } }, timeout: "100 millis" })
      yield* unplug
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
      const device = new SimulatedDevice({ serialNumber: 7 })
      let since = 0
      const port = yield* scriptedPort((command) => {
        if (command === "A??D*" || since > 0) since++
        // Answers the first poll, by which the port is found; then stays silent for a while.
        return since > 0 && since <= 4 ? null : device.respond(command, 0).join("\r") || null
      })
      fs.symlinkSync(port.path, link)
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Timeout"))
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))

  it.live("says so on each tick once it is back", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ pluggable: true })
      const source = yield* Alicat.make({ devices: { fuel: fuel! }, timeout: "50 millis" })
      yield* fuel!.unplug
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
      const silent = yield* scriptedPort(() => null)
      yield* Effect.acquireRelease(
        Effect.sync(() => fs.symlinkSync(silent.path, fuel!.port)),
        () => Effect.sync(() => fs.rmSync(fuel!.port))
      )
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Timeout"))
      const { failures } = yield* source.poll(["fuel"])
      assert.include(failures[0]!.error.message, "fuel (unit A) did not answer at 19200 baud")
    }))

  it.live("has a TCP connection that ends as failures of its devices", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const [fuel] = yield* Scope.provide(Simulator.make({ tcp: 0 }), scope)
      const source = yield* Alicat.make({ devices: { fuel: fuel! } })
      assert.strictEqual((yield* source.poll(["fuel"])).readings.length, 1)
      yield* Scope.close(scope, Exit.void)
      const { failures } = yield* source.poll(["fuel"])
      assert.deepStrictEqual(failures.map(({ error }) => error.reason), ["Disconnected"])
    }))
})

describe.concurrent("allowMissing", () => {
  it.live("a port that is not there at the start is recorded as soon as it is", () =>
    Effect.gen(function*() {
      const ports = yield* Simulator.make({ devices: 2, pluggable: true })
      const [fuel, air] = ports as [Simulator.SimulatedPort, Simulator.SimulatedPort]
      yield* fuel.unplug
      const { lines, value: source } = yield* logged(
        Alicat.make({ devices: { fuel, air }, allowMissing: true })
      )
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], `cannot open ${fuel.port}: no such port`)
      assert.include(lines[0], "going on without it until it is there")
      assert.deepStrictEqual(source.devices.map(({ format, name }) => [name, format === null]), [
        ["fuel", true],
        ["air", false]
      ])
      const { failures, readings } = yield* source.poll(["fuel", "air"])
      assert.deepStrictEqual(readings.map(({ device }) => device), ["air"])
      assert.deepStrictEqual(failures.map(({ error }) => error.reason), ["Disconnected"])
      yield* fuel.plug()
      yield* pollUntil(source, (reasons) => reasons.length === 0)
      assert.strictEqual(source.devices[0]!.identity!.serialNumber, "100001")
      // From then on it is that device.
      yield* fuel.unplug
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
      yield* fuel.plug("sim2")
      yield* pollUntil(source, (reasons) => reasons.includes("fuel DeviceChanged"))
    }))

  it.live("a unit that is silent at the start is recorded as soon as it answers, and the other one before", () =>
    Effect.gen(function*() {
      const faults = [{ kind: "silent", device: "sim2", when: { after: 0, for: "8 seconds" } }] as const
      const [a, b] = yield* Simulator.make({ devices: 2, units: 2, tcp: 0, faults })
      const strict = yield* Effect.scoped(
        Effect.flip(Alicat.make({ devices: { a: a!, b: b! }, timeout: "100 millis" }))
      )
      assert.include(strict.message, "b (unit B) did not answer")
      const source = yield* Alicat.make({ devices: { a: a!, b: b! }, timeout: "100 millis", allowMissing: true })
      const readings = yield* pollUntil(source, (reasons) => reasons.includes("b Timeout"))
      assert.deepStrictEqual(readings.map(({ device }) => device), ["a"])
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))
})
