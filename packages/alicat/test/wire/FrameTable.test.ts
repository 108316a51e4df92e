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
    assert.include(
      malformed(decodeFrameTable([...TABLE.slice(0, 3), bytes("A D04 004 Volu Flow                  s deci")], "A")),
      "a row of the frame table"
    )
    assert.include(malformed(decodeFrameTable([...LEGACY, TABLE[2]!], "A")), "a row of the frame table")
    assert.include(malformed(decodeFrameTable([...TABLE, LEGACY[2]!], "A")), "a row of the frame table")
  })

  it.each([
    ["integer         7 010 02 PSIA", "float", "PSIA"],
    ["s integer       7 010 02 PSIA", "float", "PSIA"],
    ["int             7", "float", null],
    ["uint16          7", "float", null],
    ["float         9/4 010 02 PSIA", "float", "PSIA"],
    ["fixed         7/2", "float", null],
    ["s fixed         7 010 02 PSIA", "float", "PSIA"],
    ["Integer         7 010 02 PSIA", "float", "PSIA"],
    ["INT             5", "float", null],
    ["int16_t         5", "float", null],
    ["u-int           5", "float", null],
    ["u int           5", "float", null],
    ["unsigned integer     5", "float", null],
    ["unsigned decimal   7/2 010 02 PSIA", "float", "PSIA"],
    ["float         7.2 010 02 PSIA", "float", "PSIA"],
    ["Enum            3", "text", null],
    ["?               4", "text", null],
    ["char            1", "text", null],
    ["label           8 free words", "text", null]
  ])("keeps a row of the unknown type `%s` as what it says, and names its column", (type, kind, unit) => {
    const table = [...TABLE, bytes(`A D10 100 Analog In 2                ${type}`)]
    const { format, unknownTypes } = Result.getOrThrow(decodeFrameTable(table, "A"))
    const field = format.fields.at(-1)!
    assert.deepStrictEqual([field.name, field.kind, field.unit], ["Analog_In_2", kind, unit])
    const taken = kind === "text" ? "text" : "a number"
    assert.deepStrictEqual(unknownTypes, [`Analog_In_2 (${type.split(/ {2,}/)[0]}, taken as ${taken})`])
    assert.deepStrictEqual(layout.unknownTypes, [])
  })

  it.each(
    [
      ["string", "text", null, ["Note (string without a width, taken as text)"]],
      ["s decimal", "float", null, ["Note (s decimal without a width, taken as a number)"]],
      ["s decimal  010 02 PSIA", "float", "PSIA", []],
      ["s decimal     /2 010 02 PSIA", "float", "PSIA", []],
      ["s decimal   7.2 010 02 PSIA", "float", "PSIA", []]
    ] as const
  )("keeps a row whose width is missing or written otherwise: `%s`", (type, kind, unit, unknown) => {
    const { format, unknownTypes } = Result.getOrThrow(
      decodeFrameTable([...TABLE, bytes(`A D10 100 Note                       ${type}`)], "A")
    )
    const field = format.fields.at(-1)!
    assert.deepStrictEqual([field.name, field.kind, field.unit], ["Note", kind, unit])
    assert.deepStrictEqual(unknownTypes, unknown)
  })

  it("keeps a name that fills its place, or holds the words of a type", () => {
    const names = ["Totalizer Of The Other Gas", "My s integer word", "My string", "Analog In 2"]
    for (const name of names) {
      for (const type of ["s decimal 7/2 012 02 SCCM", "decimal     7/2 012 02 SCCM", "uint  7 012 02 SCCM"]) {
        const row = bytes(`A D10 100 ${name} ${type}`)
        const { format } = Result.getOrThrow(decodeFrameTable([TABLE[0]!, row], "A"))
        assert.deepStrictEqual(
          format.fields.map(({ name, unit }) => [name, unit]),
          [[name.replaceAll(/ +/g, "_"), "SCCM"]],
          `${name} ${type}`
        )
      }
    }
  })

  it("reads a flag by its last word, whatever its type", () => {
    for (
      const type of ["enum            3", "Enum            3", "?               3", "string", "flag of the device  3"]
    ) {
      const table = [...TABLE, bytes(`A D10 702 *Status                    ${type} MOV`)]
      const { flags, format } = Result.getOrThrow(decodeFrameTable(table, "A"))
      assert.deepStrictEqual([...flags], ["ADC", "OPL", "MOV"])
      assert.deepStrictEqual(format.fields, layout.format.fields)
    }
  })

  it("of the legacy dialect keeps a row of an unknown type", () => {
    const table = [
      ...LEGACY,
      bytes("A  D12 Batch       unsigned Integer  0  9999     na"),
      bytes("A  D13 Mode        ?         na       na       na"),
      bytes("A  D10 Heat Flux   fixed     +000.00  +160.00     na"),
      bytes("A  D11 Note label na x na")
    ]
    const { format, unknownTypes } = Result.getOrThrow(decodeFrameTable(table, "A"))
    assert.deepStrictEqual(
      format.fields.slice(-4).map(({ kind, name }) => [name, kind]),
      [["Batch", "float"], ["Mode", "text"], ["Heat_Flux", "float"], ["Note", "text"]]
    )
    assert.deepStrictEqual(unknownTypes, [
      "Batch (unsigned Integer, taken as a number)",
      "Mode (?, taken as text)",
      "Heat_Flux (fixed, taken as a number)",
      "Note (label, taken as text)"
    ])
  })

  it.each(["`C", "\xb0C", "\xc2\xb0C", "C"])("reads the unit %s as degrees Celsius", (unit) => {
    const table = [TABLE[0]!, bytes(`A D03 003 Flow Temp                  s decimal     7/2 002 02 ${unit}`)]
    const old = [LEGACY[0]!, bytes(`A  D03 Flow Temp   signed    -010.00  +060.00        ${unit}`)]
    for (const lines of [table, old]) {
      assert.strictEqual(Result.getOrThrow(decodeFrameTable(lines, "A")).format.fields[0]!.unit, "°C")
    }
  })

  it("is an error if a byte of it is noise, because a column may be lost", () => {
    for (const noise of ["\xff", "\x90", "\xc2"]) {
      const row = bytes(`A D03 003 Flow Temp                  s decimal     7/2 002 02 ${noise}C`)
      assert.include(malformed(decodeFrameTable([...TABLE, row], "A")), "ASCII")
    }
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
        ["Flow_Temp", "float", "°C", null, false],
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
