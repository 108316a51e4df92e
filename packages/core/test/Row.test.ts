import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "../src/Frame.ts"
import { sampleToRow } from "../src/Row.ts"
import { sample } from "./sample.ts"

describe("sampleToRow", () => {
  it("has the fixed columns, the frame's fields, the status, in this order", () => {
    const format = FrameFormat.fromRecord({ Abs_Press: 0, Mass_Flow: 0, Gas: "N2" })
    const row = sampleToRow(sample(format, [14.62, -0, "N2"], ["MOV", "ADC", "MOV"]))
    assert.deepStrictEqual(Object.entries(row), [
      ["device", "fuel"],
      ["unit_id", "A"],
      ["requested_at", "2026-03-01T12:00:00.000123Z"],
      ["received_at", "2026-03-01T12:00:00.006246Z"],
      ["midpoint_at", "2026-03-01T12:00:00.003185Z"],
      ["latency_s", 0.006123],
      ["Abs_Press", 14.62],
      ["Mass_Flow", 0],
      ["Gas", "N2"],
      ["status", "ADC,MOV"]
    ])
  })

  it("adds the run's id, the sequence and the tick on demand", () => {
    const row = sampleToRow(sample(FrameFormat.fromRecord({ Flow: 0 }), [1]), { identity: true })
    assert.deepStrictEqual(Object.keys(row).slice(-4), ["status", "run_id", "sequence", "tick"])
    assert.strictEqual(row["sequence"], 7)
  })

  it("prefixes fields that bear a fixed column's name, and keeps names apart that differ only by case", () => {
    const format = FrameFormat.make([
      { name: "Status", kind: "text" },
      { name: "flow" },
      { name: "Flow" },
      { name: "flow" },
      { name: "__proto__" }
    ])
    const row = sampleToRow(sample(format, ["x", 1, 2, 3, 4]))
    assert.deepStrictEqual(Object.keys(row).slice(6), [
      "frame_Status",
      "flow",
      "Flow_2",
      "flow_2_2",
      "__proto__",
      "status"
    ])
  })

  it("gives null for absent and unsent values, and keeps NaN and infinities", () => {
    const format = FrameFormat.fromRecord({ a: 0, b: 0, c: 0, d: 0 })
    const row = sampleToRow(sample(format, [null, undefined, Number.NaN, Number.NEGATIVE_INFINITY]))
    assert.deepStrictEqual([row["a"], row["b"], row["c"], row["d"]], [
      null,
      null,
      Number.NaN,
      Number.NEGATIVE_INFINITY
    ])
  })
})
