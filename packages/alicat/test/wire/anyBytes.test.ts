import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"

import { decodeFrameTable } from "../../src/wire/FrameTable.ts"
import { isRejection, LineSplitter } from "../../src/wire/Framing.ts"
import { decodeFirmware, decodeManufacturing } from "../../src/wire/Identity.ts"
import { decodePollLine, decodePushedLine, decodeUnit } from "../../src/wire/PollLine.ts"
import { MalformedReply, quoteBytes } from "../../src/wire/WireError.ts"
import { bytes, conditional, layout, LEGACY, legacy, meter, TABLE } from "./frames.ts"

describe("any bytes", () => {
  const AnyBytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
  /** Random bytes fail early; mutations of real replies get further. */
  const Mutation = Schema.Struct({
    at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })),
    byte: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })),
    drop: Schema.Boolean
  })
  const mutate = (line: Uint8Array, mutations: ReadonlyArray<typeof Mutation.Type>) => {
    const mutated = [...line]
    for (const { at, byte, drop } of mutations) mutated.splice(at, 1, ...(drop ? [] : [byte]))
    return Uint8Array.from(mutated)
  }
  const isTyped = (result: Result.Result<unknown, MalformedReply>) =>
    Result.isSuccess(result) || (result.failure instanceof MalformedReply && result.failure.message.length > 0)

  const decodeAll = (line: Uint8Array) =>
    new LineSplitter().push(Uint8Array.from([...line, 0x0d])).every((piece) =>
      [layout, meter, conditional, legacy].every((using) =>
        isTyped(decodePollLine(piece, "A", using)) && isTyped(decodePushedLine(piece, using))
      )
      && isTyped(decodeUnit(piece, "A"))
      && isTyped(decodeFirmware(piece, "A"))
      && isTyped(decodeManufacturing([piece], "A"))
      && isTyped(decodeFrameTable([TABLE[0]!, piece], "A"))
      && isTyped(decodeFrameTable([LEGACY[0]!, piece], "A"))
      && isTyped(decodeFrameTable([piece, ...TABLE.slice(1)], "A"))
      && typeof isRejection(String.fromCharCode(...piece)) === "boolean"
    )

  /** Lines that real devices have sent. */
  const SEEN = [
    "A +014.62 +021.89 +000.00 +000.00 +078.95     N2",
    "A +014.633 +022.97 -00.034 -00.034    Air",
    "A +014.52 +021.50 +0000.1 +0000.2 0116.3      N2",
    "A +014.62 -- ------- +000.00 +078.95     N2 MOV ADC XYZ",
    "@ +014.62 +021.89 +000.00 +000.00 +078.95     N2",
    "  +014.62 +021.89 +000.00 +000.00 +078.95     N2",
    "A   10v20.0-R24 Jan  9 2025,15:04:07",
    "B   8v17.0-R23 Nov 27 2019,15:28:45",
    "A  M00 ALICAT SCIENTIFIC",
    "A M1 ",
    "A M04 Model Number MC-500SCCM-D",
    "A M05 Serial Number 521641",
    "A M06 Date Manufactured 03/02/2025",
    "A M07 Date Calibrated   03/02/2025",
    "A M08 Calibrated By     BL",
    "A M09 Software Revision 10v20.0-R24",
    "A M4 Mdl \b\b\bM-100SCCM-D",
    "A M5 Serial No. \b30294",
    "A M6 Date Mfg.  10/03/2008",
    "A M7 Calibrated By  DK",
    "A M8 Software GP07R100",
    "A D06 037 Mass Flow Setpt            decimal       6/1 012 02 SCCM",
    "A D10 100 *Totalizer                 s decimal     9/1 008 02 SCC",
    "?",
    "A ?",
    "",
    ...[...TABLE, ...LEGACY].map((line) => Buffer.from(line).toString("latin1"))
  ]

  it.prop(
    "give a value or a typed error",
    [AnyBytes],
    ([line]) => decodeAll(Uint8Array.from(line)),
    {
      arbitrary: { runs: 500 }
    }
  )

  it.prop(
    "that are almost a real line give a value or a typed error",
    [Schema.Literals(SEEN), Schema.Array(Mutation)],
    ([line, mutations]) => decodeAll(mutate(bytes(line), mutations)),
    { arbitrary: { runs: 2000 } }
  )

  it("of a million random and mutated lines give values or typed errors, in a time that does not depend on the bytes", () => {
    // The generators of property tests are too slow for a million; the seed makes a failure repeatable.
    let state = 20_261_122
    const random = (below: number) => {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39 | 0
      return (state >>> 0) % below
    }
    const seen = SEEN.map(bytes)
    const decoders: ReadonlyArray<(line: Uint8Array) => Result.Result<unknown, MalformedReply>> = [
      (line) => decodePollLine(line, "A", layout),
      (line) => decodePollLine(line, "A", conditional),
      (line) => decodePollLine(line, "A", legacy),
      (line) => decodePushedLine(line, layout),
      (line) => decodeFirmware(line, "A"),
      (line) => decodeManufacturing([line], "A"),
      (line) => decodeFrameTable([TABLE[0]!, line], "A"),
      (line) => decodeFrameTable([LEGACY[0]!, line], "A"),
      (line) => decodeUnit(line, "A")
    ]
    const splitter = new LineSplitter()
    const { stackTraceLimit } = Error
    // A stack trace costs more than all of the parsing.
    Error.stackTraceLimit = 0
    let [lines, values, slowest] = [0, 0, 0]
    while (lines < 1_000_000) {
      const length = random(80)
      const line = random(10) === 0
        ? Uint8Array.from({ length }, () => random(256))
        : Uint8Array.from(seen[random(seen.length)]!)
      for (let n = random(4); n > 0 && line.length > 0; n--) line[random(line.length)] = random(256)
      const before = performance.now()
      for (const piece of [...splitter.push(line.subarray(random(3))), ...splitter.push(Uint8Array.of(0x0d))]) {
        const result = decoders[lines % decoders.length]!(piece)
        if (Result.isSuccess(result)) values++
        else if (!(result.failure instanceof MalformedReply)) assert.fail(`untyped: ${quoteBytes(piece)}`)
        lines++
      }
      slowest = Math.max(slowest, performance.now() - before)
    }
    Error.stackTraceLimit = stackTraceLimit
    assert.isAbove(values, 20_000)
    // A regular expression that backtracks would take minutes. The machine may stand still for a while.
    assert.isBelow(slowest, 2000)
  })

  it.prop("in a number column give finite numbers or an error", [AnyBytes], ([line]) => {
    const frame = decodePollLine(bytes(`A ${String.fromCharCode(...line)} 1 2 3 4 N2`), "A", layout)
    return Result.isFailure(frame)
      || frame.success.values.every((value) => typeof value !== "number" || Number.isFinite(value))
  })
})
