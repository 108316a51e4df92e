import { assert, describe, it } from "@effect/vitest"

import { Effect } from "effect"
import * as Alicat from "../src/Alicat.ts"
import { openPty } from "../src/simulator/Pty.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { encodeCommand, LineSplitter } from "../src/wire/Framing.ts"
import { leaveStreaming, openError, recorded, scriptedPort } from "./ports.ts"

describe.concurrent("opening a port", () => {
  it.live.each([19200, 115200, 38400, 9600, 57600])("finds a device at %d baud", (baud) =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ baud })
      const { samples } = yield* recorded({ fuel: { port: fuel!.port } }, 1, "100 millis")
      assert.strictEqual(samples.length, 1)
    }))

  it.live("fails if the device does not answer, and names the unit and the baud rates", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const error = yield* openError({ fuel: { port: fuel!.port, unit: "Q" } }, "100 millis")
      assert.deepInclude(error, { reason: "NoReply" })
      assert.include(
        error.message,
        "fuel (unit Q) did not answer at 19200, 115200, 38400, 9600 or 57600 baud; check its power"
      )
    }))

  /** A device that a program left streaming when it died. It obeys nothing but the command that stops it. */
  const leftStreaming = Effect.gen(function*() {
    const device = new SimulatedDevice()
    let isStreaming = true
    const splitter = new LineSplitter()
    const pty = yield* openPty((chunk) => {
      for (const line of splitter.push(chunk)) {
        const command = String.fromCharCode(...line)
        if (command === "@@ A") isStreaming = false
        else if (!isStreaming) pty.write(encodeCommand(device.respond(command, 0).join("\r")))
      }
    })
    const talk = setInterval(() => {
      if (isStreaming) pty.write(encodeCommand(device.respond("A", 0)[0]!.replace("A", " ")))
    }, 20)
    yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(talk)))
    return pty.path
  })

  it.live("stops a device that was left streaming", () =>
    Effect.gen(function*() {
      const port = yield* leftStreaming
      const source = yield* Alicat.make({ devices: { fuel: { port } } })
      assert.strictEqual((yield* source.poll(["fuel"])).readings.length, 1)
    }))

  it.live("stops the one of several units that streams and does not answer, and leaves the others their unit ids", () =>
    Effect.gen(function*() {
      const [a, b, c] = yield* Simulator.make({ devices: 3, units: 3, tcp: 0 })
      yield* leaveStreaming(b!)
      const source = yield* Alicat.make({ devices: { a: a!, b: b!, c: c! } })
      assert.deepStrictEqual(
        source.devices.map(({ identity, unitId }) => [unitId, identity?.serialNumber]),
        [["A", "100001"], ["B", "100002"], ["C", "100003"]]
      )
    }))

  it.live.each([undefined, ["Count"]])(
    "finds a device that rejects the command to stop, however late it says so (columns given: %j)",
    (columns) =>
      Effect.gen(function*() {
        const device = new SimulatedDevice()
        let due = 0
        let count = 0
        const { path } = yield* scriptedPort(
          (command) => {
            if (command === "@@ A") return "?"
            if (columns === undefined) return device.respond(command, 0).join("\r") || null
            return command === "A" ? `A +${++count}` : "?"
          },
          (_, write, reply) => {
            due = Math.max(due, performance.now() + 120)
            setTimeout(() => write(reply), due - performance.now())
          }
        )
        const source = yield* Alicat.make({
          devices: { fuel: { port: path, baud: 19200, columns } },
          timeout: "200 millis"
        })
        const before = count
        const { readings } = yield* source.poll(["fuel"])
        assert.strictEqual(readings.length, 1)
        if (columns !== undefined) assert.strictEqual(readings[0]!.frame.values[0], before + 1)
      })
  )

  it.live("fails if it cannot know which of several silent units streams", () =>
    Effect.gen(function*() {
      const port = yield* leftStreaming
      const error = yield* Effect.flip(
        Alicat.make({ devices: { a: { port }, b: { port, unit: "B" } }, timeout: "50 millis" })
      )
      assert.include(error.message, "one of 2 units streams, and its unit id is unknown")
    }))
})
