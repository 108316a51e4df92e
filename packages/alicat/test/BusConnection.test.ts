import { assert, describe, it } from "@effect/vitest"

import { MemorySink, pipeToSink, Recorder, SampleClock, type Tick } from "@sampleline/core"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { devicesOf, logged, openError, pluggable, pollUntil, scriptedPort, talkingPeer } from "./ports.ts"

describe.concurrent("a port that vanishes", () => {
  it.live("gives failures of its devices, and is opened again when it is back", () =>
    Effect.gen(function*() {
      const { link, plug } = yield* pluggable
      const { unplug } = yield* plug(7)
      const [air] = yield* Simulator.make()
      const source = yield* Alicat.make({ devices: { fuel: { port: link }, air: air! } })
      yield* unplug
      const others = yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
      assert.deepStrictEqual(others.map((reading) => reading.device), ["air"])
      // While the port is gone, a poll costs no time-out.
      const before = performance.now()
      const gone = yield* Effect.forEach([1, 2, 3, 4, 5], () => source.poll(["fuel"]))
      assert.isTrue(gone.every(({ failures }) => failures[0]?.error.reason === "Disconnected"))
      assert.isBelow(performance.now() - before, 400)
      yield* plug(7)
      const readings = yield* pollUntil(source, (reasons) => reasons.length === 0)
      assert.deepStrictEqual(readings.map((reading) => reading.device), ["fuel", "air"])
    }))

  it.live("gives failures of its devices if it is a TCP connection", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const [fuel] = yield* Scope.provide(Simulator.make({ tcp: 0 }), scope)
      const source = yield* Alicat.make({ devices: { fuel: fuel! } })
      assert.strictEqual((yield* source.poll(["fuel"])).readings.length, 1)
      yield* Scope.close(scope, Exit.void)
      const { failures } = yield* source.poll(["fuel"])
      assert.deepStrictEqual(failures.map(({ error }) => error.reason), ["Disconnected"])
    }))

  // Slow, so that a machine that stands still for a second does not make the recorder late.
  const RATE = 2

  it.live("for 5 s makes no tick of other devices late, and is recorded within 1 s of its return", () =>
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
      // The recorder is not to blame for the time in which this process stood still.
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

  it.live("is searched again for a device that was silent when the port came back", () =>
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
        // Answers the first poll, so that the port is found, and then not for a while.
        return since > 0 && since <= 3 ? null : device.respond(command, 0).join("\r") || null
      })
      fs.symlinkSync(port.path, link)
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Timeout"))
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))

  it.live("gives time-outs if its device does not answer when it is back", () =>
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

describe.concurrent("a port that gives nothing but failures", () => {
  it.live("because another program changed its settings is opened again, and is then recorded", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const { lines, value: source } = yield* logged(Alicat.make({ devices: { fuel: fuel! }, timeout: "100 millis" }))
      yield* Effect.sync(() => execFileSync("stty", ["-F", fuel!.port, "echo", "icanon"]))
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Timeout"))
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
      const { failures } = yield* source.poll(["fuel"])
      assert.strictEqual(
        failures[0]!.error.message,
        `fuel: the port ${fuel!.port} gave nothing but failures; it is being opened again`
      )
      yield* pollUntil(source, (reasons) => reasons.length === 0)
      assert.deepStrictEqual(lines, [`${fuel!.port} gives nothing but failures; it is opened again`])
    }))

  it.live("is opened again while the columns of its device are changed", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      let unit = "SCCM"
      const port = yield* scriptedPort((command) =>
        device.respond(command, 0).join("\r").replace(/(A D05 [^\r]*)SCCM/, `$1${unit}`) || null
      )
      const source = yield* Alicat.make({ devices: { fuel: { port: port.path } }, timeout: "100 millis" })
      const settings = (...words: ReadonlyArray<string>) =>
        Effect.sync(() => execFileSync("stty", ["-F", port.path, ...words]))
      unit = "SLPM"
      yield* settings("echo", "icanon")
      yield* pollUntil(source, (reasons) => reasons.includes("fuel DeviceChanged"))
      yield* settings("echo", "icanon")
      unit = "SCCM"
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))

  it.live("is opened again while a device streams there", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      let samples = 0
      let wanted = 5
      const summary = yield* Alicat.recordStreaming().pipe(
        Stream.tap((tick) =>
          Effect.sync(() => {
            samples += tick.samples.length
            if (samples < 5 || wanted > 5) return
            wanted = samples + 5
            execFileSync("stty", ["-F", fuel!.port, "icanon"])
          })
        ),
        Stream.takeUntil(() => samples >= wanted && wanted > 5),
        pipeToSink(),
        Effect.provide([MemorySink.layer, Alicat.layer({ devices: { fuel: fuel! } })])
      )
      assert.isAbove(summary.failures["fuel"]!, 0)
    }))
})

describe.concurrent("a device that does not answer", () => {
  const heard = (bytes: string | null) =>
    Effect.gen(function*() {
      const { path } = yield* scriptedPort((command) => command === "A" ? bytes : null)
      return (yield* openError({ fuel: { port: path, baud: 19200 } }, "100 millis")).message
    })

  it.live("is told with what was heard, and what may be the cause", () =>
    Effect.gen(function*() {
      assert.include(
        yield* heard(null),
        "fuel (unit A) did not answer at 19200 baud; check its power, the cable, the unit id and the baud rate, "
          + "and that no other program reads the port"
      )
      assert.include(
        yield* heard("14.62 +02\xff.89"),
        "did not answer at 19200 baud; \"14.62 +02\\xff.89\" was heard instead; check that no other program reads the port"
      )
      assert.include(yield* heard(" +014.62 +021.89"), "a device streams on the port and does not stop")
    }))

  it.live.each(
    [
      ["\r", "\\x0d", ", never a whole line"],
      ["\0", "\\x00", ", never a whole line"],
      ["\xff", "\\xff", ", never a whole line"],
      ["x", "x", ", never a whole line"],
      ["HELL\r", "HELL\\x0d", ""]
    ] as const
  )(
    "is told with what comes without end, if it comes without being asked: %j",
    ([sent, quoted, how]) =>
      Effect.gen(function*() {
        const { port } = yield* talkingPeer(sent)
        const error = yield* openError({ fuel: { port } }, "100 millis")
        assert.include(
          error.message,
          `fuel (unit A) did not answer; "${
            quoted.repeat(40 / sent.length)
          }" comes without being asked and without end${how}; `
            + "check the serial server's baud rate, and what else is on the port"
        )
      })
  )

  it.live("is not told with the replies of another unit", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const error = yield* openError({ fuel: fuel!, air: { port: fuel!.port, unit: "B" } }, "100 millis")
      assert.match(error.message, /air \(unit B\) did not answer[^;]*; check its power/)
    }))
})

describe.concurrent("opening a bus", () => {
  it.live("fails if the second device does not answer", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const error = yield* openError({ fuel: fuel!, air: { port: fuel!.port, unit: "B" } }, "100 millis")
      assert.include(error.message, "air (unit B) did not answer at 19200 baud")
    }))

  it.live("with allowMissing records a port that is missing at first as soon as it is there", () =>
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
      // From then on, no other device is recorded under its name.
      yield* fuel.unplug
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
      yield* fuel.plug("sim2")
      yield* pollUntil(source, (reasons) => reasons.includes("fuel DeviceChanged"))
    }))

  it.live("with allowMissing records a unit that is silent at first as soon as it answers, and the other one before", () =>
    Effect.gen(function*() {
      const units = ["A", "B"].map((unitId, n) => new SimulatedDevice({ unitId, serialNumber: n }))
      let isSilent = true
      const { path } = yield* scriptedPort((command) =>
        isSilent && command.startsWith("B")
          ? null
          : units.map((unit) => unit.respond(command, 0).join("\r")).find((reply) => reply !== "") ?? null
      )
      const devices = { a: { port: path, baud: 19200 }, b: { port: path, unit: "B", baud: 19200 } }
      const strict = yield* openError(devices, "100 millis")
      assert.include(strict.message, "b (unit B) did not answer")
      const source = yield* Alicat.make({ devices, timeout: "100 millis", allowMissing: true })
      const readings = yield* pollUntil(source, (reasons) => reasons.includes("b Timeout"))
      assert.deepStrictEqual(readings.map(({ device }) => device), ["a"])
      isSilent = false
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))
})
