import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "@sampleline/core"
import { formatChange } from "../../src/wire/FormatChange.ts"

describe("formatChange", () => {
  const FLOW = { name: "Mass_Flow", unit: "SCCM", statistic: 5 }
  const TEMP = { name: "Flow_Temp", unit: "°C", statistic: 3 }
  const change = (now: Parameters<typeof FrameFormat.make>[0]) =>
    formatChange(FrameFormat.make([FLOW, TEMP]), FrameFormat.make(now))

  it("is null if every column is as before", () => {
    assert.isNull(change([{ ...FLOW }, { ...TEMP }]))
  })

  it("tells units, columns and order", () => {
    assert.strictEqual(change([{ ...FLOW, unit: "SLPM" }, TEMP]), "Mass_Flow is in SLPM instead of SCCM")
    assert.strictEqual(change([{ ...FLOW, unit: null }, TEMP]), "Mass_Flow is in no unit instead of SCCM")
    assert.strictEqual(change([TEMP, FLOW]), "they are in another order")
    assert.strictEqual(change([FLOW]), "Flow_Temp is gone")
    assert.strictEqual(change([FLOW, TEMP, { name: "Batch" }]), "Batch is new")
    assert.strictEqual(
      change([{ name: "Gas" }, { ...TEMP, unit: "K" }]),
      "Mass_Flow is gone, Gas is new, Flow_Temp is in K instead of °C"
    )
  })

  it("tells a column that holds something else under the same name", () => {
    for (const other of [{ statistic: 6 }, { kind: "text" }, { conditional: true }] as const) {
      assert.strictEqual(change([{ ...FLOW, ...other }, TEMP]), "Mass_Flow is of another kind")
    }
  })
})
