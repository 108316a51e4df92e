import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"

import { LineSplitter } from "../../src/wire/Framing.ts"
import { decodeFirmware, decodeManufacturing, firmwareCommand, manufacturingCommand } from "../../src/wire/Identity.ts"
import { bytes, lines, malformed } from "./frames.ts"

describe("an identity", () => {
  it("is asked for with two commands", () => {
    assert.deepStrictEqual([firmwareCommand("A"), manufacturingCommand("A")], ["AVE", "A??M*"])
  })

  it("has the firmware that the reply to VE gives", () => {
    assert.strictEqual(
      Result.getOrThrow(decodeFirmware(bytes("A   10v20.0-R24 Jan  9 2025,15:04:07"), "A")),
      "10v20.0-R24"
    )
    assert.strictEqual(
      Result.getOrThrow(decodeFirmware(bytes("B   8v17.0-R23 Nov 27 2019,15:28:45"), "B")),
      "8v17.0-R23"
    )
    malformed(decodeFirmware(bytes("A +014.62 +021.89"), "A"))
    malformed(decodeFirmware(bytes("B   8v17.0-R23"), "A"))
  })

  it("is read by the labels of the manufacturing table, whatever the rows and the spacing", () => {
    const table = lines(`A M00 Alicat Scientific
A M01 www.example.com
A M04 Model Number MC-500SCCM-D
A M03 Serial Number   521641
A M06 Date Manufactured 03/02/2025
A M07 Date Calibrated   03/04/2025
A M08 Calibrated By     BL
A M09 Software Revision 10v20.0-R24
`)
    assert.deepStrictEqual(Result.getOrThrow(decodeManufacturing(table, "A")), {
      manufacturer: "Alicat Scientific",
      model: "MC-500SCCM-D",
      serialNumber: "521641",
      firmware: "10v20.0-R24",
      calibrationDate: "2025-03-04"
    })
    malformed(decodeManufacturing(table, "B"))
    malformed(decodeManufacturing([bytes("A +014.62")], "A"))
    malformed(decodeManufacturing([], "A"))
  })

  it.each(
    [
      ["A  M00 ALICAT SCIENTIFIC", "ALICAT SCIENTIFIC"],
      ["A M0 Alicat Scientific Inc.", "Alicat Scientific Inc."],
      ["A M01 www.alicat.com", null],
      ["A M03 alicat@alicat.com", null]
    ]
  )("has the maker of `%s` as the device writes it", (row, manufacturer) => {
    assert.strictEqual(Result.getOrThrow(decodeManufacturing(lines(row), "A")).manufacturer, manufacturer)
  })

  it.each([
    "A M1 ",
    "A M1",
    "A  M01",
    "",
    "A M03 \xff\xfe",
    "M04 Mdl",
    "B M05 Serial Number 7",
    "A +014.62 +021.89",
    "?"
  ])(
    "loses only the row that makes no sense: `%s`",
    (row) => {
      const table = [bytes("A M04 Model Number MC-500SCCM-D"), bytes(row), bytes("A M05 Serial Number 521641")]
      for (const order of [table, table.toReversed()]) {
        assert.deepInclude(Result.getOrThrow(decodeManufacturing(order, "A")), {
          model: "MC-500SCCM-D",
          serialNumber: "521641"
        })
      }
    }
  )

  it("has no calibration date with GP firmware", () => {
    const padded = `A M0 Alicat Scientific
A M1 \b\b
A M4 Mdl \b\b\bM-100SCCM-D
A M5 Serial No. \b30294
A M6 Date Mfg.  10/03/2008
A M7 Calibrated By  DK
A M8 Software GP07R100`
    const table = new LineSplitter().push(bytes(`${padded.replaceAll("\n", "\r")}\r`))
    assert.deepStrictEqual(Result.getOrThrow(decodeManufacturing(table, "A")), {
      manufacturer: "Alicat Scientific",
      model: "M-100SCCM-D",
      serialNumber: "30294",
      firmware: "GP07R100",
      calibrationDate: null
    })
  })

  it("is null where no row has it", () => {
    assert.deepStrictEqual(Result.getOrThrow(decodeManufacturing(lines("A M07 Date Calibrated   soon"), "A")), {
      manufacturer: null,
      model: null,
      serialNumber: null,
      firmware: null,
      calibrationDate: null
    })
  })
})
