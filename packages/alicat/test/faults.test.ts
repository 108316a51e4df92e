import { assert, describe, it } from "@effect/vitest"
import { InvalidOptionError, MemorySink, pipeToSink, Recorder, SampleClock, type Tick } from "@sampleline/core"
import { Effect, Fiber, Layer, Logger, References, Stream } from "effect"
import * as fs from "node:fs"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/SimulatedDevice.ts"
import * as Simulator from "../src/Simulator.ts"
import { pollUntil, scriptedPort } from "./ports.ts"

const devicesOf = (ports: ReadonlyArray<Simulator.SimulatedPort>) =>
  Object.fromEntries(ports.map((port) => [port.name, port]))

/** Runs with what is logged at WARN and above. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn" || logLevel === "Error") lines.push([message].flat().join(" "))
  })
  return Effect.map(Effect.provide(effect, Logger.layer([logger])), (value) => ({ value, lines }))
}

describe("a simulated device", () => {
  /** Polls until it has failed for this reason, and given readings before and after. */
  const pollUntilFailed = Effect.fnUntraced(function*(fault: Simulator.Fault, reason: string) {
    const [fuel] = yield* Simulator.make({ faults: [fault] })
    const source = yield* Alicat.make({ devices: { fuel: fuel! }, timeout: "100 millis" }).pipe(
      Effect.retry({ times: 5 })
    )
    for (const wanted of ["", reason, "", reason, ""]) {
      yield* pollUntil(source, (reasons) => wanted === "" ? reasons.length === 0 : reasons.includes(`fuel ${wanted}`))
    }
  })

  it.live.each(
    [
      [{ kind: "garble", when: { every: 5 } }, "Malformed"],
      [{ kind: "cut", when: { every: 5 } }, "Timeout"],
      [{ kind: "silent", when: { every: 5 } }, "Timeout"],
      [{ kind: "delay", by: "150 millis", when: { every: 5 } }, "Timeout"]
    ] as const
  )("with %j gives a typed failure, and readings between them", ([fault, reason]) => pollUntilFailed(fault, reason))

  it.live("with a delay within the time-out is only late", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ faults: [{ kind: "delay", by: "30 millis", device: "sim1" }] })
      const source = yield* Alicat.make({ devices: { fuel: fuel! } })
      const { readings } = yield* source.poll(["fuel"])
      assert.isAtLeast(readings[0]!.receivedAt - readings[0]!.requestedAt, 29_000)
    }))

  it.live("falls silent and comes back at its times", () =>
    Effect.gen(function*() {
      const faults = [{ kind: "silent", when: { after: "1500 millis", for: "500 millis" } }] as const
      const [fuel] = yield* Simulator.make({ faults })
      const source = yield* Alicat.make({ devices: { fuel: fuel! }, timeout: "100 millis" })
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Timeout"))
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))

  it.live("of legacy firmware is recorded with its own columns", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ firmware: "GP07", numbered: true })
      const source = yield* Alicat.make({ devices: { fuel: fuel! } })
      const { format, identity } = source.devices[0]!
      assert.deepStrictEqual(identity, {
        manufacturer: "Alicat Scientific",
        model: "MC-500SCCM-D",
        serialNumber: "100001",
        firmware: "GP07R100",
        calibrationDate: null
      })
      assert.deepStrictEqual(format!.fields.map(({ name, unit }) => [name, unit]), [
        ["Pressure", "PSIA"],
        ["Flow_Temp", "C"],
        ["Volu", "CCM"],
        ["Mass", "SCCM"],
        ["Mass_Setpt", "SCCM"],
        ["Reading_No", null],
        ["Gas", null]
      ])
      const { readings } = yield* source.poll(["fuel"])
      assert.strictEqual(readings[0]!.frame.values.length, 7)
    }))

  it.effect.each(
    [
      [{ faults: [{ kind: "silent", device: "sim2" }] }, "faults.silent.device is \"sim2\": expected sim1 to sim1"],
      [{ faults: [{ kind: "swap", after: "1 second" }] }, "faults.swap"],
      [{ faults: [{ kind: "delay", by: "soon" as "1 second" }] }, "faults.delay is \"soon\""],
      [{ faults: [{ kind: "cut", when: { every: 0 } }] }, "faults.cut.when.every is 0"],
      [{ faults: [{ kind: "vanish", after: -1 }] }, "faults.vanish is -1"]
    ] as ReadonlyArray<readonly [Simulator.SimulatorOptions, string]>
  )("is not made of %j", ([options, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.scoped(Effect.flip(Simulator.make(options)))
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, message)
    }))
})

describe("a recording of three devices on ports of their own", () => {
  // So slow that a machine which stands still for a second is not taken for the recorder being late.
  const RATE = 2

  it.live("of which one's port vanishes for 5 s has no late tick of the others, and goes on within 1 s of its return", () =>
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

  const standStill = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

  it.live("in a process that stood still for longer than the time-out has its reading all the same", () =>
    Effect.gen(function*() {
      const ports = yield* Simulator.make({ devices: 1 })
      const source = yield* Alicat.make({ devices: devicesOf(ports), timeout: "300 millis" })
      const polling = yield* Effect.forkChild(source.poll(["sim1"]), { startImmediately: true })
      yield* Effect.sync(() => standStill(400))
      const { failures, readings } = yield* Fiber.join(polling)
      assert.deepStrictEqual(failures, [])
      assert.strictEqual(readings.length, 1)
    }))

  it.live("in a process that stands still between the rows of a table has all its columns", () =>
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

  it.live("of which two ports are swapped has nothing under the wrong name", () =>
    Effect.gen(function*() {
      const ports = yield* Simulator.make({ devices: 3, pluggable: true })
      const [a, b] = ports as [Simulator.SimulatedPort, Simulator.SimulatedPort]
      const source = yield* Alicat.make({ devices: devicesOf(ports) })
      const gasOf = (name: string) =>
        source.devices.find((device) => device.name === name)!.identity!.serialNumber === "100001" ? "N2" : "Air"
      yield* a.unplug
      yield* b.unplug
      yield* pollUntil(source, (reasons) =>
        reasons.includes("sim1 Disconnected") && reasons.includes("sim2 Disconnected"))
      yield* a.plug("sim2")
      yield* b.plug("sim1")
      const others = yield* pollUntil(
        source,
        (reasons) =>
          reasons.includes("sim1 DeviceChanged") && reasons.includes("sim2 DeviceChanged")
      )
      assert.deepStrictEqual(others.map(({ device }) => device), ["sim3"])
      const { failures } = yield* source.poll(["sim1", "sim2"])
      assert.include(failures[0]!.error.message, "serial number 100002 instead of 100001")
      yield* a.plug()
      yield* b.plug()
      const readings = yield* pollUntil(source, (reasons) => reasons.length === 0)
      assert.deepStrictEqual(
        readings.slice(0, 2).map(({ device, frame }) => [device, frame.values.at(-1)]),
        [["sim1", gasOf("sim1")], ["sim2", gasOf("sim2")]]
      )
    }))

  it.live("of which two are swapped by a fault has nothing under the wrong name either, on TCP", () =>
    Effect.gen(function*() {
      const faults = [{ kind: "swap", after: "1500 millis", for: "200 millis" }] as const
      const ports = yield* Simulator.make({ devices: 2, tcp: 0, faults })
      const { samples } = yield* Effect.gen(function*() {
        yield* Recorder.record({ rateHz: 20, duration: "4 seconds" }).pipe(pipeToSink())
        return yield* MemorySink
      }).pipe(Effect.provide([MemorySink.layer, Alicat.layer({ devices: devicesOf(ports) })]))
      const gases = new Set(samples.map(({ device, frame }) => `${device} ${frame.values.at(-1)}`))
      assert.deepStrictEqual([...gases].toSorted(), ["sim1 N2", "sim2 Air"])
    }))
})

describe("a late reply", () => {
  it.live("is never recorded on another tick, by the numbers that the device gives its readings", () =>
    Effect.gen(function*() {
      const timeout = "100 millis"
      /** Polls with every third reading late; the number of each reading must be that of the polls sent before it. */
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
      yield* Effect.forEach([120, 200, 300], pollLate, { concurrency: "unbounded", discard: true })
    }))
})

describe("with allowMissing", () => {
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

describe("a rate that a bus cannot reach", () => {
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

describe("a port that opens but on which nothing is heard", () => {
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
})
