import { assert, describe, it } from "@effect/vitest"

import { Effect } from "effect"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { logged, openError, pollUntil, recorded, scriptedPort } from "./ports.ts"

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
        manufacturer: "Alicat Scientific Inc.",
        model: "MC-500SCCM-D",
        serialNumber: "100001",
        firmware: "GP07R100",
        calibrationDate: null
      })
      assert.deepStrictEqual(format!.fields.map(({ name, unit }) => [name, unit]), [
        ["Pressure", "PSIA"],
        ["Flow_Temp", "°C"],
        ["Volu", "CCM"],
        ["Mass", "SCCM"],
        ["Mass_Setpt", "SCCM"],
        ["Reading_No", null],
        ["Gas", null]
      ])
      const { readings } = yield* source.poll(["fuel"])
      assert.strictEqual(readings[0]!.frame.values.length, 7)
    }))

  it.live("keeps its serial number if noise cost that row of the first table", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice({ serialNumber: 7 })
      let tables = 0
      const port = yield* scriptedPort((command) => {
        const reply = device.respond(command, 0).join("\r")
        return command === "A??M*" && tables++ === 0 ? reply.replace("Serial", "S\xffrial") : reply
      })
      const source = yield* Alicat.make({ devices: { fuel: { port: port.path } } })
      assert.strictEqual(source.devices[0]!.identity?.serialNumber, "7")
    }))

  it.live("with a column of an unknown type is recorded, with one warning", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const port = yield* scriptedPort((command) =>
        device.respond(command, 0).join("\r").replace(/string( +6)/, "label $1").replace("`C", "\xb0C")
      )
      const { lines, value } = yield* logged(recorded({ fuel: { port: port.path } }, 2))
      assert.strictEqual(value.samples.length, 2)
      assert.deepStrictEqual(lines.filter((line) => line.includes("column")), [
        "fuel has columns of an unknown type: Gas (label, taken as text); check their values"
      ])
      assert.strictEqual(value.samples[0]!.frame.format.fields[1]!.unit, "°C")
    }))

  it.live("with a column of an unknown type is warned of once, although it is looked at again", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      let isChanged = false
      const port = yield* scriptedPort((command) => {
        const reply = device.respond(command, 0).join("\r").replace(/string( +6)/, "label $1")
        if (!isChanged) return reply
        return command === "A" ? "A +1" : reply.replace("SCCM", "SLPM")
      })
      const tables = () => port.commands.filter((command) => command === "A??D*").length
      const { lines } = yield* logged(Effect.gen(function*() {
        const source = yield* Alicat.make({ devices: { fuel: { port: port.path } } })
        isChanged = true
        yield* pollUntil(source, (reasons) => reasons.includes("fuel DeviceChanged"))
        const asked = tables()
        yield* pollUntil(source, () => tables() > asked + 1)
      }))
      assert.strictEqual(lines.filter((line) => line.includes("unknown type")).length, 1)
    }))

  it.live.each(
    [
      ["the last rows", /^A D0[4-9].*|^A D1.*/],
      ["the last rows but its last column", /^A D0[7-9].*|^A D1.*/],
      ["a row in the middle", /^A D05.*/]
    ] as const
  )("has all its columns, although the first table lost %s", ([, lost]) =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      let tables = 0
      const port = yield* scriptedPort((command) => {
        const rows = device.respond(command, 0)
        const isCut = command === "A??D*" && tables++ === 0
        return (isCut ? rows.filter((row) => !lost.test(row)) : rows).join("\r") || null
      })
      const source = yield* Alicat.make({ devices: { fuel: { port: port.path } } })
      assert.strictEqual(source.devices[0]!.format!.fields.length, 6)
      assert.strictEqual((yield* source.poll(["fuel"])).readings.length, 1)
    }))

  it.live("whose table always lacks a number, or a reading always has one value more, is recorded", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const port = yield* scriptedPort((command) =>
        device.respond(command, 0).join("\r").replaceAll("A D07", "A D17").replace(/N2$/, "N2 XYZ") || null
      )
      const source = yield* Alicat.make({ devices: { fuel: { port: port.path } } })
      const { readings } = yield* source.poll(["fuel"])
      assert.deepStrictEqual(readings[0]!.frame.status, ["XYZ"])
      assert.strictEqual(port.commands.filter((command) => command === "A??D*").length, 2)
    }))

  it.live("that sends each table cut in another way is refused", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      let rows = 2
      const port = yield* scriptedPort((command) =>
        device.respond(command, 0).slice(0, command === "A??D*" ? ++rows : undefined).join("\r") || null
      )
      const error = yield* openError({ fuel: { port: port.path } }, "100 millis")
      assert.include(error.message, "fuel (unit A) sends another frame table each time; check the cable")
    }))

  it.live("behind an adapter that echoes is recorded", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const port = yield* scriptedPort((command) => [command, ...device.respond(command, 0)].join("\r"))
      const { samples } = yield* recorded({ fuel: { port: port.path } }, 2)
      assert.strictEqual(samples.length, 2)
    }))
})

describe.concurrent("a port that only echoes", () => {
  it.live("is no device", () =>
    Effect.gen(function*() {
      const port = yield* scriptedPort((command) => command)
      const error = yield* openError({ fuel: { port: port.path, baud: 19200 } }, "50 millis")
      assert.include(error.message, "fuel (unit A) did not answer at 19200 baud; the port only echoes the command")
    }))
})

describe.concurrent("a device that does not declare its columns", () => {
  const columns = ["Temp:°C", "Flow:SCCM", "Total", "Setpt:SCCM", "Valve:%", "Gas:text"]

  it.live("is recorded with the columns that are given", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ firmware: "BASIS", baud: 38400 })
      const { samples } = yield* recorded({ fuel: { port: fuel!.port, columns } }, 2, "100 millis")
      const { frame, run } = samples[0]!
      assert.deepStrictEqual(
        run.devices[0]!.format!.fields.map(({ kind, name, unit }) => [name, kind, unit]),
        [
          ["Temp", "float", "°C"],
          ["Flow", "float", "SCCM"],
          ["Total", "float", null],
          ["Setpt", "float", "SCCM"],
          ["Valve", "float", "%"],
          ["Gas", "text", null]
        ]
      )
      assert.deepStrictEqual(frame.values.map((value) => typeof value), [...Array(5).fill("number"), "string"])
    }))

  it.live("has its status codes after the columns", () =>
    Effect.gen(function*() {
      const reply = "A +24.57 +100.0 +0021513.0 +100.0 +55.13 N2 HLD VTM"
      const port = yield* scriptedPort((command) => command === "A" ? reply : "?")
      const { samples } = yield* recorded({ fuel: { port: port.path, columns } }, 1)
      assert.deepStrictEqual(samples[0]!.frame.values, [24.57, 100, 21_513, 100, 55.13, "N2"])
      assert.deepStrictEqual(samples[0]!.frame.status, ["HLD", "VTM"])
    }))

  it.live.each(["?", "\r?", null])(
    "cannot be opened without columns; the error says what it sends (`A??D*` is answered with %j)",
    (reply) =>
      Effect.gen(function*() {
        const port = yield* scriptedPort((command) => command === "A" ? "A +24.57 +100.0 N2" : reply)
        const error = yield* openError({ fuel: { port: port.path, baud: 38400 } }, "50 millis")
        assert.include(error.message, "fuel (unit A) did not send its frame format: ")
        assert.include(
          error.message,
          "It sends \"A +24.57 +100.0 N2\". Give its columns in that order, such as columns=Temp:°C,Flow:SCCM,Total,Gas:text"
        )
      })
  )

  it.live.each(["?", "\r?", null])(
    "is polled again after a time-out; a late reply is not taken for the next one (unknown commands: %j)",
    (unknown) =>
      Effect.gen(function*() {
        let count = 0
        let repliesAt = 0
        const port = yield* scriptedPort(
          (command) => command === "A" ? `A +${++count}` : unknown,
          (command, write, reply) => {
            // The seventh reading is late. Replies are sent in order.
            const delay = command === "A" && count === 7 ? 300 : 1
            repliesAt = Math.max(performance.now(), repliesAt) + delay
            setTimeout(() => write(reply), repliesAt - performance.now())
          }
        )
        const source = yield* Alicat.make({
          devices: { fuel: { port: port.path, columns: ["Count"] } },
          timeout: "100 millis"
        })
        let last = 0
        let isLate = false
        while (last < 12) {
          const before = count
          const { failures, readings } = yield* source.poll(["fuel"])
          isLate ||= failures.some(({ error }) => error.reason === "Timeout")
          if (readings.length === 0) yield* Effect.sleep("10 millis")
          else {
            last = Number(readings[0]!.frame.values[0])
            assert.strictEqual(last, before + 1)
          }
        }
        assert.isTrue(isLate)
      })
  )
})
