import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"

import { decodeFrameTable, frameTableCommand } from "../../src/wire/FrameTable.ts"
import { bytes, conditional, frameOf, layout, LEGACY, legacy, malformed, TABLE } from "./frames.ts"

describe("a frame table", () => {
  it("is asked for with a command", () => {
    assert.strictEqual(frameTableCommand("A"), "A??D*")
  })

  it("gives columns with names, units, codes and kinds, without the unit id and the flags", () => {
    assert.deepStrictEqual(
      layout.format.fields.map((
        { conditional, kind, name, statistic, unit }
      ) => [name, kind, unit, statistic, conditional]),
      [
        ["Abs_Press", "float", "PSIA", 2, false],
        ["Flow_Temp", "float", "°C", 3, false],
        ["Volu_Flow", "float", "CCM", 4, false],
        ["Mass_Flow", "float", "SCCM", 5, false],
        ["Mass_Flow_Setpt", "float", "SCCM", 37, false],
        ["Gas", "text", null, 703, false]
      ]
    )
    assert.deepStrictEqual([...layout.flags], ["ADC", "OPL"])
  })

  it("reads unsigned decimals of older firmware, and starred rows that are not flags as conditional columns", () => {
    const old = Result.getOrThrow(decodeFrameTable(
      [TABLE[0]!, bytes("A D06 037 Mass Flow Setpt            decimal       6/1 012 02 SCCM")],
      "A"
    ))
    assert.deepStrictEqual(old.format.fields.map((field) => field.kind), ["float"])
    assert.deepStrictEqual(
      conditional.format.fields.slice(-2).map((field) => [field.name, field.kind, field.conditional]),
      [
        ["Totalizer", "float", true],
        ["Batch", "text", true]
      ]
    )
  })

  it("is an error if it is cut, of another unit, of another dialect, or empty", () => {
    assert.include(malformed(decodeFrameTable(TABLE, "B")), "unit B")
    assert.include(malformed(decodeFrameTable(TABLE.slice(1), "A")), "the header")
    assert.include(malformed(decodeFrameTable([], "A")), "a row for each column")
    assert.include(malformed(decodeFrameTable([TABLE[0]!], "A")), "a row for each column")
    assert.include(
      malformed(decodeFrameTable([...TABLE.slice(0, 3), bytes("A D04 00")], "A")),
      "a row of the frame table"
    )
    assert.include(malformed(decodeFrameTable([...LEGACY, TABLE[2]!], "A")), "a row of the frame table")
    assert.include(malformed(decodeFrameTable([...TABLE, LEGACY[2]!], "A")), "a row of the frame table")
  })

  it("that comes twice because the first one was late counts once", () => {
    const twice = Result.getOrThrow(decodeFrameTable([...TABLE.slice(0, 5), ...TABLE], "A"))
    assert.deepStrictEqual(twice.format.fields, layout.format.fields)
  })

  it("of the legacy dialect has no statistic codes, the unit as its last word, and flags with fixed names", () => {
    assert.deepStrictEqual(
      legacy.format.fields.map((
        { conditional, kind, name, statistic, unit }
      ) => [name, kind, unit, statistic, conditional]),
      [
        ["Pressure", "float", "PSIA", null, false],
        ["Flow_Temp", "float", "C", null, false],
        ["Mass", "float", "SCCM", null, false],
        ["Gas", "text", null, null, false]
      ]
    )
    assert.deepStrictEqual([...legacy.flags], ["ADC", "LCK"])
    assert.deepStrictEqual(frameOf("A +014.62 +021.89 +000.00     N2 LCK", legacy), {
      values: [14.62, 21.89, 0, "N2"],
      status: ["LCK"]
    })
  })
})
