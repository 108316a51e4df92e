import { assert, describe, it } from "@effect/vitest"
import {
  InvalidOptionError,
  MemorySink,
  pipeToSink,
  Recorder,
  SampleClock,
  SampleSink,
  SourceOpenError
} from "@sampleline/core"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Alicat from "../src/Alicat.ts"
import { openPty } from "../src/Pty.ts"
import { SimulatedDevice } from "../src/SimulatedDevice.ts"
import * as Simulator from "../src/Simulator.ts"
import { encodeCommand, LineSplitter } from "../src/wire/Framing.ts"
import { leaveStreaming, pollUntil, scriptedPort } from "./ports.ts"

/** Answers as a simulated device does, but for what `poll` says about its n-th poll. */
const misbehaving = (poll: (n: number, reply: string) => string | null) => {
  const device = new SimulatedDevice()
  let isOpen = false
  let polls = 0
  return (command: string): string | null => {
    const reply = device.respond(command, 0).join("\r")
    if (reply === "") return null
    // Polls before the frame table is asked for are to find the port's baud rate.
    isOpen ||= command === "A??D*"
    return command === "A" && isOpen ? poll(polls++, reply) : reply
  }
}

const recorded = (devices: Alicat.AlicatOptions["devices"], ticks: number) =>
  Effect.gen(function*() {
    const summary = yield* Recorder.record({ rateHz: 50, duration: `${ticks * 20} millis` }).pipe(pipeToSink())
    return { summary, samples: (yield* MemorySink).samples }
  }).pipe(Effect.provide([MemorySink.layer, Alicat.layer({ devices })]))

describe("Alicat.layer on simulated devices", () => {
  it.live("opens, identifies and polls devices on several ports at once", () =>
    Effect.gen(function*() {
      const [fuel, air] = yield* Simulator.make({ devices: 2 })
      const { samples, summary } = yield* recorded({ fuel: fuel!, air: air! }, 10)
      assert.strictEqual(samples.length + summary.failures["fuel"]! + summary.failures["air"]!, 2 * summary.ticks)
      const first = samples.find((sample) => sample.device === "fuel") ?? assert.fail("no sample of fuel")
      const second = samples.find((sample) => sample.device === "air") ?? assert.fail("no sample of air")
      assert.notStrictEqual(first.requestedAt, second.requestedAt)
      assert.isTrue(samples.every((sample) => sample.latencyMicros > 0 && sample.receivedAt >= sample.requestedAt))
      assert.deepStrictEqual(first.run.devices.map(({ identity, name, unitId }) => [name, unitId, identity]), [
        ["fuel", "A", {
          manufacturer: "Alicat Scientific",
          model: "MC-500SCCM-D",
          serialNumber: "100001",
          firmware: "10v20.0-R24",
          calibrationDate: "2025-03-02"
        }],
        ["air", "A", {
          manufacturer: "Alicat Scientific",
          model: "MC-500SCCM-D",
          serialNumber: "100002",
          firmware: "10v20.0-R24",
          calibrationDate: "2025-03-02"
        }]
      ])
      assert.deepStrictEqual(first.frame.format.fields.map((field) => field.name), [
        "Abs_Press",
        "Flow_Temp",
        "Volu_Flow",
        "Mass_Flow",
        "Mass_Flow_Setpt",
        "Gas"
      ])
    }))

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

  it.live("records a device that does not tell who it is", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const port = yield* scriptedPort((command) =>
        command === "AVE" ? null : command === "A??M*" ? "\r?" : device.respond(command, 0).join("\r")
      )
      const { samples } = yield* recorded({ fuel: { port: port.path } }, 2)
      assert.isNull(samples[0]?.run.devices[0]?.identity)
    }))

  it.live("counts malformed, foreign and rejected replies mid-run as failures, and the run goes on", () =>
    Effect.gen(function*() {
      const replies = [null, "A +014.62 +02", "B +1 +2 +3 +4 +5 N2", "A ?", "\r?", "A +014.62 \xff", ""]
      const port = yield* scriptedPort(misbehaving((n, reply) => n >= 3 && n <= 8 ? replies[n - 2]! : reply))
      const { samples, summary } = yield* recorded({ fuel: { port: port.path } }, 60)
      // An empty line is no reply: it costs its time-out, and failures until the device has caught up.
      assert.isAtLeast(summary.failures["fuel"]!, 6)
      assert.isBelow(summary.failures["fuel"]!, 45)
      assert.strictEqual(samples.length, summary.ticks - summary.failures["fuel"]!)
    }))

  it.live("counts a silent device's time-outs, and holds the others up for no more than the first of them", () =>
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

  it.live("records devices behind TCP, several units on one connection", () =>
    Effect.gen(function*() {
      const ports = yield* Simulator.make({ devices: 3, units: 2, tcp: 0 })
      const [a, b, c] = ports
      assert.deepStrictEqual(ports.map(({ unit }) => unit), ["A", "B", "A"])
      assert.strictEqual(a!.port, b!.port)
      const { samples, summary } = yield* recorded({ a: a!, b: b!, c: c! }, 10)
      assert.strictEqual(samples.length, 3 * summary.ticks)
      assert.deepStrictEqual(
        samples[0]!.run.devices.map(({ identity, unitId }) => [unitId, identity?.serialNumber]),
        [["A", "100001"], ["B", "100002"], ["A", "100003"]]
      )
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

  /** A device that a program which died has left streaming: it hears nothing but the end of it. */
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

  it.live("stops the one of several units that streams, told by its silence, and leaves the others their ids", () =>
    Effect.gen(function*() {
      const [a, b, c] = yield* Simulator.make({ devices: 3, units: 3, tcp: 0 })
      yield* leaveStreaming(b!)
      const source = yield* Alicat.make({ devices: { a: a!, b: b!, c: c! } })
      assert.deepStrictEqual(
        source.devices.map(({ identity, unitId }) => [unitId, identity?.serialNumber]),
        [["A", "100001"], ["B", "100002"], ["C", "100003"]]
      )
    }))

  it.live("does not guess which of several silent units streams", () =>
    Effect.gen(function*() {
      const port = yield* leftStreaming
      const error = yield* Effect.flip(
        Alicat.make({ devices: { a: { port }, b: { port, unit: "B" } }, timeout: "50 millis" })
      )
      assert.include(error.message, "a device on it streams, and of 2 units it cannot be told which")
    }))

  it.live("never takes a late reply for the next one's", () => {
    const timeoutMs = 100
    /** Polls a device of which every third reading is late; it answers in order, and its readings say how many polls came before. */
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
      // On a machine that stands still at times every reply may be late: the polls go on until there were enough of both.
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
    return Effect.forEach([120, 200, 300], pollLate, { concurrency: "unbounded", discard: true })
  }, 120_000)

  /** A device behind a link that stays when its port goes, as /dev/serial/by-id has them. */
  const pluggable = Effect.gen(function*() {
    const link = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "plug-")), "port")
    const plug = Effect.fnUntraced(function*(serialNumber: number) {
      const device = new SimulatedDevice({ serialNumber })
      const scope = yield* Scope.make()
      yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
      const port = yield* scriptedPort((command) => device.respond(command, 0).join("\r") || null).pipe(
        Scope.provide(scope)
      )
      fs.rmSync(link, { force: true })
      fs.symlinkSync(port.path, link)
      return {
        unplug: Effect.andThen(Effect.sync(() => fs.rmSync(link, { force: true })), Scope.close(scope, Exit.void))
      }
    })
    return { link, plug }
  })

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

  it.live("records nothing under the name of a device that another one has replaced", () =>
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

  it.live("does not take a line of noise for the reply: the one that comes after it is not the next one's", () =>
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

  it.live("knows a device by the serial number that it told later, when it told none at first", () =>
    Effect.gen(function*() {
      const { link, plug } = yield* pluggable
      const silent = new SimulatedDevice({ serialNumber: 7 })
      const scope = yield* Scope.make()
      const port = yield* scriptedPort((command) =>
        command === "A??M*" ? null : silent.respond(command, 0).join("\r") || null
      ).pipe(Scope.provide(scope))
      fs.symlinkSync(port.path, link)
      const source = yield* Alicat.make({ devices: { fuel: { port: link } } })
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

  it.live("notices another device at the end of the same cable, though the port was never closed", () =>
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

  it.live("finds a device that answers at 115200 only", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const bauds: Array<number> = []
      const port = yield* scriptedPort((command) => {
        bauds.push(command === "A" ? 1 : 0)
        return bauds.length === 1 ? null : device.respond(command, 0).join("\r")
      })
      const { samples } = yield* recorded({ fuel: { port: port.path } }, 1)
      assert.strictEqual(samples.length, 1)
    }))
})

const openError = (devices: Alicat.AlicatOptions["devices"]) => Effect.scoped(Effect.flip(Alicat.make({ devices })))

describe("Alicat.layer refuses", () => {
  it.live("a port that does not exist", () =>
    Effect.gen(function*() {
      const error = yield* openError({ fuel: { port: "/dev/no-such-tty" } })
      assert.instanceOf(error, SourceOpenError)
      assert.deepInclude(error, { reason: "NotFound", target: "/dev/no-such-tty" })
      assert.match(error.message, /no such port; this machine has/)
    }))

  it.live("a port without permission", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      yield* Effect.sync(() => fs.chmodSync(fuel!.port, 0))
      const error = yield* asNobody(openError({ fuel: fuel! }))
      assert.deepInclude(error, { reason: "PermissionDenied" })
      assert.include(error.message, "usermod")
    }))

  it.live("a port that another program has open", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      yield* Alicat.make({ devices: { fuel: fuel! } })
      const error = yield* openError({ fuel: fuel! })
      assert.deepInclude(error, { reason: "Busy" })
      assert.include(error.message, "close that program")
    }))

  it.live("a device that does not answer, naming unit and baud rates", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const error = yield* openError({ fuel: { port: fuel!.port, unit: "Q" } })
      assert.deepInclude(error, { reason: "NoReply" })
      assert.include(error.message, "fuel (unit Q) did not answer at 19200 or 115200 baud")
    }))

  it.live("a second device that does not answer", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const error = yield* openError({ fuel: fuel!, air: { port: fuel!.port, unit: "B" } })
      assert.include(error.message, "air (unit B) did not answer at 19200 baud")
    }))

  it.live("an address where nothing listens, or nothing answers", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Effect.scoped(Simulator.make({ tcp: 0 }))
      const gone = yield* openError({ fuel: fuel! })
      assert.deepInclude(gone, { reason: "NotFound" })
      assert.include(gone.message, "nothing takes connections there")
      const [air] = yield* Simulator.make({ tcp: 0 })
      const silent = yield* openError({ air: { port: air!.port, unit: "Q" } })
      assert.include(silent.message, "air (unit Q) did not answer; check its power")
    }))

  it.live("one unit twice behind TCP, also under another name of the host", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ tcp: 0 })
      const error = yield* openError({ fuel: fuel!, again: { port: fuel!.port.replace("127.0.0.1", "LOCALHOST") } })
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, "fuel is unit A on tcp://127.0.0.1")
    }))

  it.live("one unit twice on a port, also under another name of the port", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const link = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "port-")), "fuel")
      fs.symlinkSync(fuel!.port, link)
      const error = yield* openError({ fuel: fuel!, again: { port: link } })
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, `fuel is unit A on ${fuel!.port} already`)
    }))

  it.effect.each(
    [
      [{ "": { port: "/dev/ttyUSB0" } }, "a name for each device"],
      [{}, "at least one device"],
      [{ fuel: { port: "" } }, "fuel.port"],
      [
        { fuel: { port: "/dev/ttyUSB0", unit: "AB" } },
        "fuel.unit is \"AB\": expected a unit id, one letter from A to Z"
      ],
      [{ fuel: { port: "/dev/ttyUSB0", unit: "1" } }, "fuel.unit"],
      [{ fuel: { port: "/dev/ttyUSB0", baud: 0 } }, "fuel.baud is 0"],
      [{ fuel: { port: "tcp://lab" } }, "fuel.port is \"tcp://lab\": expected an address such as tcp://192"],
      [{ fuel: { port: "tcp://lab:4001/x" } }, "fuel.port"],
      [{ fuel: { port: "tcp://me:s3cret@lab:4001" } }, "fuel.port is \"tcp://lab:4001\""],
      [{ fuel: { port: "tcp://127.0.0.1:1", baud: 9600 } }, "fuel.baud is 9600: expected none for TCP"],
      [{ fuel: { port: "/dev/ttyUSB0", baud: 9600 }, air: { port: "/dev/ttyUSB0", unit: "B" } }, "air.baud"]
    ] as const
  )("%o", ([devices, message]) =>
    Effect.gen(function*() {
      const error = yield* openError(devices)
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, message)
    }))

  it.effect("to simulate no device", () =>
    Effect.gen(function*() {
      for (const options of [{ devices: 0 }, { units: 27 }, { tcp: 70_000 }]) {
        const error = yield* Effect.flip(Simulator.make(options))
        assert.instanceOf(error, InvalidOptionError)
      }
    }))
})

/** As root nothing is forbidden: become nobody meanwhile. */
const asNobody = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  process.getuid?.() === 0
    ? Effect.acquireUseRelease(
      Effect.sync(() => process.seteuid!(65534)),
      () => effect,
      () => Effect.sync(() => process.seteuid!(0))
    )
    : effect

describe("the simulator", () => {
  it.live("has flows that follow their setpoint with lag and noise", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const flow = (seconds: number) => Number(device.respond("A", seconds)[0]!.split(/ +/)[4])
      yield* Effect.void
      assert.deepStrictEqual(device.respond("B", 0), [])
      assert.deepStrictEqual(device.respond("AXYZ", 0), ["A ?"])
      device.respond("AS 300", 0)
      const flows = [0, 0.2, 0.5, 1, 2, 10, 10.1, 10.2].map(flow)
      assert.isTrue(flows.slice(1, 5).every((value, n) => value > flows[n]!))
      assert.approximately(flows[5]!, 300, 3)
      assert.notStrictEqual(flows[6], flows[7])
    }))
})

describe("what a source records", () => {
  it.live("can be written by any sink", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const rows: Array<number> = []
      const summary = yield* Recorder.record({ rateHz: 100, duration: "50 millis" }).pipe(
        pipeToSink({ batchSize: 2 }),
        Effect.provide([
          SampleSink.layer({ name: "rows", write: (batch) => Effect.sync(() => rows.push(batch.length)) }),
          Alicat.layer({ devices: { fuel: fuel! } })
        ])
      )
      assert.isTrue(rows.every((size) => size <= 2))
      assert.strictEqual(rows.reduce((sum, size) => sum + size, 0), summary.samplesEmitted)
    }))
})
