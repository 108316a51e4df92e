import { assert, describe, it } from "@effect/vitest"

import { Effect } from "effect"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { recorded, scriptedPort } from "./ports.ts"

describe.concurrent("an open device", () => {
  it.live("without an identity is recorded", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const port = yield* scriptedPort((command) =>
        command === "AVE" ? null : command === "A??M*" ? "\r?" : device.respond(command, 0).join("\r")
      )
      const { samples } = yield* recorded({ fuel: { port: port.path } }, 2, "100 millis")
      assert.isNull(samples[0]?.run.devices[0]?.identity)
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
})
