import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "../src/Frame.ts"

describe("FrameFormat", () => {
  it("is inferred from a plain object: a number is a float, and the kind of a null is unknown unless it is given", () => {
    const format = FrameFormat.fromRecord({ a: 1, b: null, c: null, d: "x" }, {
      kinds: { c: "int" },
      units: { a: "SCCM" }
    })
    assert.deepStrictEqual(format.fields.map((field) => [field.name, field.kind, field.unit]), [
      ["a", "float", "SCCM"],
      ["b", "unknown", null],
      ["c", "int", null],
      ["d", "text", null]
    ])
  })

  it("names that had to differ are still found by the names they were given", () => {
    const record = { "": 1, "\ud800": 2, "\ud801": 3, x: 4 }
    const format = FrameFormat.fromRecord(record)
    assert.deepStrictEqual(format.fields.map((field) => field.name), ["field", "\ufffd", "\ufffd_2", "x"])
    assert.deepStrictEqual(format.frame(record).values, [1, 2, 3, 4])
    const later = { ...record, Door: "open" }
    const extended = format.extended(later)
    assert.deepStrictEqual(extended.fields.map((field) => field.name), ["field", "\ufffd", "\ufffd_2", "x", "Door"])
    assert.deepStrictEqual(extended.frame(later).values, [1, 2, 3, 4, "open"])
    assert.strictEqual(extended.extended(record), extended)
  })
})
