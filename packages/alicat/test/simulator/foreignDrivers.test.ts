/**
 * Two public Python drivers, `alicat` and `alicatlib`: what they send and how they read the replies. Their rules are stricter than
 * ours in places, so that a simulated device must be right and not only good enough for us.
 */
import { assert, describe, it } from "@effect/vitest"

import { Effect } from "effect"
import { SerialPort } from "serialport"
import * as Simulator from "../../src/simulator/Simulator.ts"

/** A reply is complete with its CR. A table, and a reply that never comes, end with this much silence. */
const SILENCE_MS = 150

/** Opens a port as a driver does. `line` gives the first line of a reply without white space around it, or null. */
const open = Effect.fnUntraced(function*(options: Simulator.SimulatorOptions = {}) {
  const [device] = yield* Simulator.make(options)
  const port = yield* Effect.acquireRelease(
    Effect.callback<SerialPort, Error>((resume) => {
      const port = new SerialPort(
        { path: device!.port, baudRate: 19200 },
        (error) => resume(error ? Effect.fail(error) : Effect.succeed(port))
      )
    }),
    (port) => Effect.callback<void>((resume) => port.close(() => resume(Effect.void)))
  )
  const ask = (command: string, isComplete: (text: string) => boolean) =>
    Effect.callback<string>((resume) => {
      let text = ""
      const done = () => {
        clearTimeout(silence)
        port.off("data", onData)
        resume(Effect.succeed(text))
      }
      const onData = (chunk: Buffer) => {
        text += chunk.toString("latin1")
        if (isComplete(text)) done()
        else silence.refresh()
      }
      const silence = setTimeout(done, SILENCE_MS)
      port.on("data", onData)
      port.write(`${command}\r`)
    })
  const text = (command: string) => Effect.map(ask(command, (text) => text.endsWith("\r")), (text) => text.slice(0, -1))
  return {
    line: (command: string) => Effect.map(text(command), (text) => text === "" ? null : text.trim()),
    text,
    rows: (command: string) =>
      Effect.map(ask(command, () => false), (text) => text.replaceAll("\b", "").split("\r").slice(0, -1))
  }
})

const lastInt = (line: string | null, separator: string): number => Number(line!.split(separator).at(-1))

describe.concurrent("the Python driver alicat", () => {
  /** `FlowController.get`: the values by their keys, and whether the display is locked. */
  const get = (line: string | null) => {
    const [unit, ...values] = line!.split(/\s+/)
    const isLocked = values.at(-1) === "LCK"
    if (isLocked) values.pop()
    return { unit, isLocked, numbers: values.slice(0, -1).map(Number), gas: values.at(-1) }
  }

  it.live.each(["10v20", "6v21"] as const)(
    "identifies, polls, sets and tares a device with %s",
    (firmware) =>
      Effect.gen(function*() {
        const { line } = yield* open({ firmware })
        assert.strictEqual(lastInt(yield* line("AR122"), "="), 37)
        assert.include(yield* line("AVE"), firmware)

        const polled = get(yield* line("A"))
        assert.deepStrictEqual([polled.unit, polled.gas, polled.isLocked], ["A", "N2", false])
        assert.strictEqual(polled.numbers.length, 5)
        assert.isTrue(polled.numbers.every(Number.isFinite))

        assert.strictEqual(Number((yield* line("AS12.50"))!.split(/\s+/)[5]), 12.5)
        assert.strictEqual(Number((yield* line("A32000"))!.split(/\s+/)[5]), 250)
        assert.strictEqual(lastInt(yield* line("AW122=34"), "="), 34)
        assert.strictEqual(lastInt(yield* line("AR122"), "="), 34)

        assert.notStrictEqual(yield* line("A$$W46=1"), "?")
        assert.strictEqual(lastInt(yield* line("A$$R46"), " ") & 0x1ff, 1)
        assert.strictEqual(get(yield* line("A")).gas, "Ar")

        yield* line("A$$L")
        assert.isTrue(get(yield* line("A")).isLocked)
        assert.notInclude(yield* line("A$$U"), "LCK")

        for (const tare of ["A$$PC", "A$$V", "AT"]) assert.strictEqual(get(yield* line(tare)).numbers.length, 5, tare)
      })
  )

  it.live("reads a register as `A   046 = 8`, and a rejection as `?`", () =>
    Effect.gen(function*() {
      const { line } = yield* open()
      assert.strictEqual(yield* line("A$$R46"), "A   046 = 8")
      for (const unknown of ["AGD236", "A$$R5", "AW5=1", "A$$W46=200"]) {
        assert.strictEqual(yield* line(unknown), "?", unknown)
      }
    }))

  it.live("knows a BASIS device by its serial number, and reads and sets it", () =>
    Effect.gen(function*() {
      const { line } = yield* open({ firmware: "BASIS" })
      assert.match((yield* line("A SN"))!.split(" ").at(-1)!, /^B/)
      assert.match(
        (yield* line("A"))!,
        /^A [+-]\d\d\.\d\d [+-]\d{3}\.\d [+-]\d{7}\.\d [+-]\d{3}\.\d [+-]\d\d\.\d\d N2$/
      )
      assert.strictEqual(Number((yield* line("AS 25.00"))!.split(" ")[4]), 25)
      assert.notStrictEqual(yield* line("A V"), "?")
      assert.strictEqual(yield* line("A??D*"), "?")
    }))
})

describe.concurrent("the Python driver alicatlib", () => {
  const fields = (line: string | null) => line!.split(/\s+/)

  it.live("identifies, polls, sets and tares a device with 10v20", () =>
    Effect.gen(function*() {
      const { line, rows } = yield* open()
      assert.isNull(yield* line("@@ A"))
      assert.match((yield* line("AVE"))!, /\d+\s*[vV.]\s*\d+(?:\.\d+(?:-R\d+)?)? (?:Jan|Nov)\s+\d{1,2}\s+\d{4}\b/)

      const made = new Map((yield* rows("A??M*")).map((row) => {
        const [, unit, code, payload = ""] = /^(\S+)\s+M(\d{1,2})(?:\s+(.*))?$/.exec(row)!
        assert.strictEqual(unit, "A")
        return [Number(code), payload.trim()]
      }))
      assert.deepStrictEqual([...made.keys()], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      assert.strictEqual(made.get(0), "ALICAT SCIENTIFIC")
      assert.match(made.get(4)!, /^Model Number\s+MC-/)

      // It asks for what the device may have, and takes a bare `?` for a no.
      for (const command of ["AFPF 15", "AFPF 344", "AFPF 2", "ALV"]) {
        assert.strictEqual(yield* line(command), "?", command)
      }

      const [header, ...columns] = yield* rows("A??D*")
      assert.strictEqual(fields(header!)[2], "ID_")
      assert.isTrue(columns.every((row) => /^A D\d\d \d{3} .*? (?:string|s decimal) +\d+/.test(row)))
      const { length } = columns.filter((row) => !/ \*| 700 /.test(row))
      assert.strictEqual(fields(yield* line("A")).length, 1 + length)

      assert.match((yield* line("ALS 50.0"))!, /^A \+\d{3}\.\d\d \+050\.00 12 SCCM$/)
      assert.strictEqual(yield* line("ALS"), "A +050.00 +050.00 12 SCCM")
      assert.deepStrictEqual(fields(yield* line("AGS")), ["A", "8", "N2", "Nitrogen"])
      assert.deepStrictEqual(fields(yield* line("AGS 1")), ["A", "1", "Ar", "Argon"])
      const gases = (yield* rows("A??G*")).map((row) => /^A\s+G(\d{1,3})\s+(\S.*?)\s*$/.exec(row)!.slice(1))
      assert.deepStrictEqual(gases.slice(0, 3), [["00", "Air"], ["01", "Ar"], ["02", "CH4"]])
      assert.deepStrictEqual(fields(yield* line("ANCS")), ["A", "50"])
      assert.deepStrictEqual(fields(yield* line("ANCS 100")), ["A", "100"])
      for (const tare of ["AT", "ATP", "APC"]) assert.strictEqual(fields(yield* line(tare)).length, 1 + length, tare)
    }))

  it.live("sets a device with 6v21 by its older commands, and drains a rejection of two parts", () =>
    Effect.gen(function*() {
      const { line, rows, text } = yield* open({ firmware: "6v21" })
      assert.deepStrictEqual(yield* rows("AFPF 344"), ["", "?"])
      assert.deepStrictEqual(yield* rows("ANCS 100"), ["", "?"])
      assert.strictEqual(yield* line("AW91=100"), "A   091 = 100")
      assert.strictEqual(fields(yield* line("AS 50.0"))[5], "+050.00")
      assert.strictEqual(fields(yield* line("AG 0"))[6], "Air")
      // This firmware takes `LS` for the command that locks the display.
      assert.match(yield* text("ALS"), / LCK$/)
    }))

  it.live("identifies a device with GP firmware, which has a blank row and does not answer VE, and sets it after $$", () =>
    Effect.gen(function*() {
      const { line, rows } = yield* open({ firmware: "GP07" })
      assert.isNull(yield* line("AVE"))
      const made = yield* rows("A??M*")
      assert.deepStrictEqual(made.slice(0, 2), ["A M0 Alicat Scientific Inc.", "A M1 "])
      assert.include(made, "A M4 Mdl MC-500SCCM-D")
      assert.match((yield* line("A??D*"))!, /^A\s+D00 NAME_/)
      const list = [...(yield* line("A??G*"))!.matchAll(/(\S+)\s+G(\d{1,3})\s+(\S+)/g)].map(([, , , name]) => name)
      assert.deepStrictEqual(list.slice(0, 3), ["Air", "Ar", "CH4"])
      assert.strictEqual(yield* line("AG 0"), "?")
      assert.strictEqual(fields(yield* line("A$$G 0"))[6], "Air")
    }))
})
