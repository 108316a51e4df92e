import { assert, describe, it } from "@effect/vitest"

import { MemorySink, pipeToSink, Recorder } from "@sampleline/core"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { devicesOf, pluggable, pollUntil, scriptedPort } from "./ports.ts"

describe.concurrent("a device's name", () => {
  it.live("has no readings of another device that has replaced it", () =>
    Effect.gen(function*() {
      const { link, plug } = yield* pluggable
      const { unplug } = yield* plug(7)
      const source = yield* Alicat.make({ devices: { fuel: { port: link } } })
      yield* unplug
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
      const wrongOne = yield* plug(8)
      const wrong = yield* pollUntil(source, (reasons) => reasons.includes("fuel DeviceChanged"))
      assert.deepStrictEqual(wrong, [])
      const { failures } = yield* source.poll(["fuel"])
      assert.include(failures[0]!.error.message, "serial number 8 instead of 7")
      yield* wrongOne.unplug
      yield* plug(7)
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))

  it.live("belongs to the first serial number that the device sends, even if it sends none at first", () =>
    Effect.gen(function*() {
      const { link, plug } = yield* pluggable
      const silent = new SimulatedDevice({ serialNumber: 7 })
      const scope = yield* Scope.make()
      const port = yield* scriptedPort((command) =>
        command === "A??M*" ? null : silent.respond(command, 0).join("\r") || null
      ).pipe(Scope.provide(scope))
      fs.symlinkSync(port.path, link)
      const source = yield* Alicat.make({ devices: { fuel: { port: link } }, timeout: "100 millis" })
      assert.isNull(source.devices[0]!.identity!.serialNumber)
      fs.rmSync(link)
      yield* Scope.close(scope, Exit.void)
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Disconnected"))
      const { unplug } = yield* plug(7)
      yield* pollUntil(source, (reasons) => reasons.length === 0)
      assert.strictEqual(source.devices[0]!.identity!.serialNumber, "7")
      yield* unplug
      yield* plug(8)
      yield* pollUntil(source, (reasons) => reasons.includes("fuel DeviceChanged"))
    }))

  it.live("has no readings of another device on the same cable, although the port was never closed", () =>
    Effect.gen(function*() {
      let device: SimulatedDevice | null = new SimulatedDevice({ serialNumber: 7 })
      const port = yield* scriptedPort((command) => device?.respond(command, 0).join("\r") || null)
      const source = yield* Alicat.make({ devices: { fuel: { port: port.path } }, timeout: "100 millis" })
      device = null
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Timeout"))
      device = new SimulatedDevice({ serialNumber: 8 })
      const readings = yield* pollUntil(source, (reasons) => !reasons.includes("fuel Timeout"))
      assert.deepStrictEqual(readings, [])
      const { failures } = yield* source.poll(["fuel"])
      assert.include(failures[0]!.error.message, "serial number 8 instead of 7")
      device = new SimulatedDevice({ serialNumber: 7 })
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))

  it.live("has no readings of another device if two ports are swapped", () =>
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

  it.live.each(["10v20", "GP07"] as const)(
    "has no readings of another device if two TCP ports are swapped (firmware %s)",
    (firmware) =>
      Effect.gen(function*() {
        const faults = [{ kind: "swap", after: "1500 millis", for: "200 millis" }] as const
        const ports = yield* Simulator.make({ devices: 2, tcp: 0, faults, firmware })
        const { samples } = yield* Effect.gen(function*() {
          yield* Recorder.record({ rateHz: 20, duration: "3 seconds" }).pipe(pipeToSink())
          return yield* MemorySink
        }).pipe(Effect.provide([MemorySink.layer, Alicat.layer({ devices: devicesOf(ports) })]))
        const gases = new Set(samples.map(({ device, frame }) => `${device} ${frame.values.at(-1)}`))
        assert.deepStrictEqual([...gases].toSorted(), ["sim1 N2", "sim2 Air"])
      })
  )
})
