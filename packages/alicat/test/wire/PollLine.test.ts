import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"

import {
  decodePollLine,
  decodePushedLine,
  decodeUnit,
  olderStartStreamingCommand,
  olderStopStreamingCommand,
  pollCommand,
  startStreamingCommand,
  stopStreamingCommand,
  streamingIntervalCommands
} from "../../src/wire/PollLine.ts"
import { bytes, conditional, decode, frameOf, layout, malformed, meter } from "./frames.ts"

describe("the commands for readings", () => {
  it("are a unit id, a verb and arguments", () => {
    assert.deepStrictEqual(
      [
        pollCommand("A"),
        startStreamingCommand("A"),
        stopStreamingCommand("A")
      ],
      ["A", "A@ @", "@@ A"]
    )
  })

  it("have other forms for older firmware", () => {
    assert.deepStrictEqual(
      [olderStartStreamingCommand("A"), olderStopStreamingCommand("A")],
      ["A@=@", "@@=A"]
    )
    assert.deepStrictEqual(streamingIntervalCommands("A", 50), ["ANCS 50", "AW91=50", "A$$W91=50"])
  })
})

describe("a poll line", () => {
  it("can be of a controller, a meter, or old firmware with an unsigned setpoint", () => {
    assert.deepStrictEqual(frameOf("A +014.62 +021.89 +000.00 +000.00 +078.95     N2"), {
      values: [14.62, 21.89, 0, 0, 78.95, "N2"],
      status: []
    })
    assert.deepStrictEqual(frameOf("A +014.633 +022.97 -00.034 -00.034    Air", meter), {
      values: [14.633, 22.97, -0.034, -0.034, "Air"],
      status: []
    })
    assert.deepStrictEqual(frameOf("A +014.52 +021.50 +0000.1 +0000.2 0116.3      N2").values, [
      14.52,
      21.5,
      0.1,
      0.2,
      116.3,
      "N2"
    ])
  })

  it("has absent values of any width as null, never as zero or text", () => {
    assert.deepStrictEqual(frameOf("A +014.62 -- ------- - +078.95     ---").values, [
      14.62,
      null,
      null,
      null,
      78.95,
      null
    ])
  })

  it("has sorted status codes after the columns: known, declared or unknown", () => {
    assert.deepStrictEqual(frameOf("A +014.62 +021.89 +000.00 +000.00 +078.95     N2 MOV ADC XYZ").status, [
      "ADC",
      "MOV",
      "XYZ"
    ])
  })

  it("has all known status codes recognised, and unknown ones kept", () => {
    const known = ["ADC", "EXH", "HLD", "LCK", "MOV", "OPL", "OVR", "POV", "TMF", "TOV", "VOV", "P2O", "COM", "GTA"]
    for (const code of [...known, "NEW"]) {
      // A conditional text column would take any other word.
      const { status, values } = frameOf(`A +014.62 +021.89 +000.00 +000.00 +078.95     N2 ${code}`, conditional)
      assert.deepStrictEqual([status, values.at(-1)], known.includes(code) ? [[code], undefined] : [[], code])
      assert.deepStrictEqual(frameOf(`A +014.62 +021.89 +000.00 +000.00 +078.95     N2 ${code}`).status, [code])
    }
  })

  it("gives trailing values to the conditional columns that can take them, in their order", () => {
    const base = "A +014.62 +021.89 +000.00 +000.00 +078.95     N2"
    const tail = (text: string) => {
      const { status, values } = frameOf(`${base} ${text}`, conditional)
      return [...values.slice(-2), ...status]
    }
    assert.deepStrictEqual(tail(""), [undefined, undefined])
    assert.deepStrictEqual(tail("+00012.5"), [12.5, undefined])
    assert.deepStrictEqual(tail("B-17"), [undefined, "B-17"])
    assert.deepStrictEqual(tail("+00012.5 B-17 MOV"), [12.5, "B-17", "MOV"])
    assert.deepStrictEqual(tail("MOV +00012.5"), [12.5, undefined, "MOV"])
    assert.deepStrictEqual(tail("-------"), [null, undefined])
    assert.deepStrictEqual(tail("1 2"), [1, "2"])
  })

  it("is an error if it is of another unit or cut", () => {
    assert.include(malformed(decode("B +014.62 +021.89 +000.00 +000.00 +078.95     N2")), "a reply of unit A")
    assert.include(malformed(decode("A +014.62 +021.89 +00")), "a number for Mass_Flow")
    assert.include(malformed(decode("A +014.62 +021.89 +000.00 +000.00 +078.95")), "a text for Gas")
    assert.include(malformed(decode("")), "a reply of unit A")
    assert.include(malformed(decode("A\xff +014.62 +021.89 +000.00 +000.00 +078.95     N2")), "\\xff")
  })

  it.each([
    ["+014.62 +0x1.89 +000.00 +000.00 +078.95 N2", "Flow_Temp", "0x1"],
    ["+014.62 +021.8\xff +000.00 +000.00 +078.95 N2 MOV", "Flow_Temp", "\\xff"],
    ["+014.62 ERR +000.00 +000.00 +078.95 N2", "Flow_Temp", "ERR"],
    ["+014.62 +0\x001.89 +000.00 +000.00 +078.95 N2", "Flow_Temp", "\\x00"],
    ["+014.62 +021.89 +000.00 +000.00 +078.95 N\xff", "Gas", "\\xff"],
    ["+014.62 +021.89 +000.00 +000.00 NaN N2 LCK", "Mass_Flow_Setpt", "NaN"]
  ])("with one bad field keeps the others: %j", (fields, name, quoted) => {
    const good = ["14.62", "21.89", "0", "0", "78.95", "N2"]
    const frame = Result.getOrThrow(decode(`A ${fields}`))
    const at = layout.format.positionOf(name)
    assert.deepStrictEqual(
      frame.values.map((value) => value === null ? null : String(value)),
      good.map((value, n) => n === at ? null : value)
    )
    assert.deepStrictEqual(frame.fieldFailures!.map(({ field }) => field), [name])
    assert.include(frame.fieldFailures![0]!.detail, quoted)
  })

  it.each([
    ["a token was lost", "+014.62 +021.89 +000.00 N2 MOV"],
    ["a token was lost before a status code that nobody knows", "+014.62 +021.89 +000.00 +000.00 N2 XYZ ABC"],
    ["a token was lost before a known status code", "+014.62 +021.89 +000.00 +000.00 N2 MOV"],
    ["noise stands between two tokens", "+014.62 \xff +021.89 +000.00 +000.00 +078.95 N2"],
    ["noise stands before the last token", "+014.62 +021.89 +000.00 +000.00 +078.95 \xff N2"],
    ["noise joins two tokens", "+014.62\xff+021.89 +000.00 +000.00 +078.95 N2"],
    ["a status code is noise", "+014.62 +021.89 +000.00 +000.00 +078.95 N2 MO\xff"],
    ["most fields are bad", "a b c d +078.95 N2"],
    ["a conditional value follows a bad field", "+014.62 ERR +000.00 +000.00 +078.95 N2 +00012.5"]
  ])("is refused whole if %s", (_, fields) => {
    for (const using of [layout, conditional]) malformed(decode(`A ${fields}`, using))
  })

  it("has no failed fields otherwise", () => {
    assert.isUndefined(Result.getOrThrow(decode("A +014.62 -- +000.00 +000.00 +078.95 N2")).fieldFailures)
  })

  it("gives its unit id", () => {
    assert.isTrue(Result.isSuccess(decodeUnit(bytes("A +014.62"), "A")))
    assert.include(malformed(decodeUnit(bytes("B +014.62"), "A")), "unit A")
  })
})

describe("a pushed line", () => {
  const pushed = (text: string) => decodePushedLine(bytes(text), layout)

  it("begins with @ or a space instead of the unit id, or with the first number", () => {
    for (const start of ["@ ", "@", "  ", " ", ""]) {
      const { status, values } = Result.getOrThrow(pushed(`${start}+014.62 +021.89 +000.00 +000.00 +078.95     N2 MOV`))
      assert.deepStrictEqual({ values, status }, { values: [14.62, 21.89, 0, 0, 78.95, "N2"], status: ["MOV"] })
    }
  })

  it("is an error if it has a unit id, is cut or garbled", () => {
    assert.include(malformed(pushed("A +014.62 +021.89 +000.00 +000.00 +078.95     N2")), "@, a space or a number")
    assert.include(malformed(pushed("@A +014.62 +021.89 +000.00 +000.00 +078.95     N2")), "@, a space or a number")
    assert.include(malformed(pushed("  +014.62 +021.89 +00")), "a number for Mass_Flow")
    assert.include(malformed(pushed("\xffA +014.62 +021.89 +000.00 +000.00 +078.95     N2")), "@, a space or a number")
    assert.include(malformed(pushed("  +014.62 \xff")), "\\xff")
    assert.include(malformed(pushed("")), "@, a space or a number")
  })
})

describe("a line that lost its end and ran into the next one", () => {
  const line = "A +014.62 +021.89 +000.00 +000.00 +078.95     N2"

  it("is an error wherever it was cut, and never a reading with values in the wrong columns", () => {
    for (let cut = 1; cut < line.length - 1; cut++) {
      for (const next of [line, line.replace("A", "@"), line.replace("A", " ")]) {
        const merged = decodePollLine(bytes(line.slice(0, cut) + next), "A", layout)
        const values = Result.isSuccess(merged) ? merged.success.values : null
        // Cut after its last number, a line still has what was measured.
        if (values !== null) assert.deepStrictEqual(values.slice(0, 5), [14.62, 21.89, 0, 0, 78.95], line.slice(0, cut))
      }
    }
  })
})
