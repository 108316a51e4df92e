import { assert, describe, it } from "@effect/vitest"
import { InvalidOptionError } from "@sampleline/core"
import { Effect, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { leaveStreaming, scriptedPort, talkingPeer } from "./ports.ts"

const found = (events: ReadonlyArray<Alicat.Discovery>) =>
  events.flatMap((event) => event._tag === "Device" ? [event] : [])

describe.concurrent("Alicat.discover", () => {
  it.live("finds the units on several ports with their identities, and skips a port that cannot be opened", () =>
    Effect.gen(function*() {
      const ptys = yield* Simulator.make({ devices: 3, units: 2 })
      const [tcp] = yield* Simulator.make({ tcp: 0, firmware: "GP07" })
      const link = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "port-")), "again")
      fs.symlinkSync(ptys[0]!.port, link)
      const events = yield* Stream.runCollect(Alicat.discover({
        ports: [ptys[0]!.port, ptys[2]!.port, link, "/dev/no-such-tty", tcp!.port],
        units: ["a", "B", "C"],
        timeout: "100 millis"
      }))
      assert.deepStrictEqual(
        found(events).map(({ baud, identity, port, unitId }) =>
          [port, unitId, baud, identity?.serialNumber, identity?.firmware].join(" ")
        ).toSorted(),
        [
          `${link} A 19200 100001 10v20.0-R24`,
          `${link} B 19200 100002 10v20.0-R24`,
          `${ptys[2]!.port} A 19200 100003 10v20.0-R24`,
          `${tcp!.port} A  100001 GP07R100`
        ].toSorted()
      )
      assert.deepStrictEqual(
        events.flatMap((event) => event._tag === "PortFailed" ? [event.port] : []),
        ["/dev/no-such-tty"]
      )
      // Progress never goes backwards, and its total is known from the start.
      const asked = events.flatMap((event) => event._tag === "Asking" ? [event] : [])
      assert.isTrue(asked.every(({ done, of }, n) => done < of && done >= (asked[n - 1]?.done ?? 0)))
      assert.deepStrictEqual(new Set(asked.map(({ of }) => of)), new Set([3 * 3 * 5 + 3]))
    }))

  it.live("asks each unit at each baud rate on a port where no device answers, and ends", () =>
    Effect.gen(function*() {
      const { commands, path } = yield* scriptedPort(() => null)
      const events = yield* Stream.runCollect(
        Alicat.discover({ ports: [path], units: ["A", "B"], bauds: [9600, 19200, 115200], timeout: "50 millis" })
      )
      assert.deepStrictEqual(found(events), [])
      assert.deepStrictEqual(commands, ["A", "B", "A", "B", "A", "B"])
    }))

  it.live("finds devices that take as long to answer as recording allows, at the baud rate at which they were asked", () =>
    Effect.gen(function*() {
      const slow = { faults: [{ kind: "delay", by: "250 millis" }] } as const
      const [pty] = yield* Simulator.make(slow)
      const [tcp] = yield* Simulator.make({ ...slow, tcp: 0 })
      const events = yield* Stream.runCollect(
        Alicat.discover({ ports: [pty!.port, tcp!.port], units: ["A", "B", "C"] })
      )
      assert.deepStrictEqual(
        found(events).map(({ baud, port, problem, unitId }) => [port, unitId, baud, problem].join(" ")).toSorted(),
        [`${pty!.port} A 19200 `, `${tcp!.port} A  `].toSorted()
      )
      const asked = events.flatMap((event) => event._tag === "Asking" ? [event] : [])
      assert.isTrue(asked.every(({ done, of }, n) => done < of && done >= (asked[n - 1]?.done ?? 0)))
    }))

  it.live("does not take a late reply for one at the next baud rate", () =>
    Effect.gen(function*() {
      const [reply] = new SimulatedDevice().respond("A", 0)
      let asked = 0
      const port = yield* scriptedPort(() => ++asked === 2 ? reply! : null)
      const events = yield* Stream.runCollect(
        Alicat.discover({ ports: [port.path], units: ["A"], bauds: [19200, 115200], timeout: "50 millis" })
      )
      assert.deepStrictEqual(found(events), [])
    }))

  it.live("sends nothing to a port on which a device streams", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ tcp: 0 })
      yield* leaveStreaming(fuel!)
      const events = yield* Stream.runCollect(Alicat.discover({ ports: [fuel!.port] }))
      assert.deepStrictEqual(events, [{ _tag: "Streams", port: fuel!.port, baud: null }])
    }))

  it.live("says why a device that answers polls cannot be recorded", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const { path } = yield* scriptedPort((command) => command === "A" ? device.respond("A", 0)[0]! : null)
      const search = (ports: ReadonlyArray<string>) =>
        Stream.runCollect(Alicat.discover({ ports, units: ["A"], bauds: [19200], timeout: "100 millis" }))
      const [silent] = found(yield* search([path]))
      assert.deepInclude(silent, { format: null, identity: null })
      assert.include(
        silent!.problem?.detail,
        "the device (unit A) did not send its frame format: no reply within 200 ms"
      )
      const [basis] = yield* Simulator.make({ firmware: "BASIS" })
      const [rejecting] = found(yield* search([basis!.port]))
      assert.match(
        rejecting!.problem!.detail,
        /"A\?\?D\*" was rejected\. It sends "A \+\d\d\.\d\d .* N2"\. Give its columns/
      )
      const [current] = yield* Simulator.make()
      assert.isNull(found(yield* search([current!.port]))[0]!.problem)
    }))

  it.live("tells a port that echoes from one with a device", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice({ unitId: "B" })
      const loopback = yield* scriptedPort((command) => command)
      const adapter = yield* scriptedPort((command) => [command, ...device.respond(command, 0)].join("\r"))
      const events = yield* Stream.runCollect(
        Alicat.discover({
          ports: [loopback.path, adapter.path],
          units: ["A", "B"],
          bauds: [19200],
          timeout: "100 millis"
        })
      )
      assert.deepStrictEqual(events.filter(({ _tag }) => _tag === "Echoes"), [{ _tag: "Echoes", port: loopback.path }])
      assert.deepStrictEqual(found(events).map(({ port, problem, unitId }) => [port, unitId, problem]), [
        [adapter.path, "B", null]
      ])
    }))

  it.live("tells what was heard on a port where no device answers", () =>
    Effect.gen(function*() {
      const port = yield* scriptedPort(() => "HELLO")
      const events = yield* Stream.runCollect(
        Alicat.discover({ ports: [port.path], units: ["A"], bauds: [19200], timeout: "100 millis" })
      )
      assert.deepStrictEqual(events.filter(({ _tag }) => _tag !== "Asking"), [
        { _tag: "Heard", port: port.path, text: "\"HELLO\"", withoutEnd: false }
      ])
    }))

  it.live("sends nothing to a port on which something comes without end, and tells what", () =>
    Effect.gen(function*() {
      const { port, received } = yield* talkingPeer("\xffx")
      const events = yield* Stream.runCollect(Alicat.discover({ ports: [port] }))
      assert.deepStrictEqual(events, [
        { _tag: "Heard", port, text: `"${"\\xffx".repeat(20)}"`, withoutEnd: true }
      ])
      assert.deepStrictEqual(received, [])
    }))

  it.live("asks on a port that only greets", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const port = yield* scriptedPort((command) => device.respond(command, 0).join("\r") || null)
      const greeting = setTimeout(() => port.write("HELLO"), 20)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearTimeout(greeting)))
      const events = yield* Stream.runCollect(Alicat.discover({ ports: [port.path], units: ["A"], bauds: [19200] }))
      assert.strictEqual(found(events).length, 1)
    }))

  it.live("searches the serial ports of this machine by default", () =>
    Effect.gen(function*() {
      const events = yield* Stream.runCollect(Alicat.discover({ units: ["A"], bauds: [19200] }))
      assert.isTrue(events.every(({ _tag }) => _tag !== "Streams"))
    }))

  it.effect.each(
    [
      [{ units: ["AB"] }, "units is \"AB\""],
      [{ bauds: [0] }, "bauds is 0"],
      [{ bauds: [] }, "bauds is []"],
      [{ units: [] }, "units is []"],
      [{ ports: ["tcp://lab"] }, "ports is \"tcp://lab\""],
      [{ timeout: 0 }, "timeout"]
    ] as ReadonlyArray<readonly [Alicat.DiscoverOptions, string]>
  )("refuses %j", ([options, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Stream.runDrain(Alicat.discover(options)))
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, message)
    }))
})
