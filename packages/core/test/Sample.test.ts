import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "../src/Frame.ts"
import { sample } from "./sample.ts"

describe("Sample", () => {
  it("has its latency and midpoint by the monotonic clock", () => {
    const { latencyMicros, latencySeconds, midpointAt } = sample(FrameFormat.fromRecord({ Flow: 0 }), [1])
    assert.deepStrictEqual([latencyMicros, latencySeconds, midpointAt], [6123, 0.006123, 1_772_366_400_003_185])
  })

  it("gives a value by its field's name, and undefined for a field that it does not have", () => {
    const format = FrameFormat.make([{ name: "Flow" }, { name: "Gas", kind: "text" }, { name: "Flow" }])
    const reading = sample(format, [1.5, null, 2.5])
    assert.deepStrictEqual(
      ["Flow", "Gas", "Flow_2", "Pressure", "constructor"].map((name) => reading.value(name)),
      [1.5, null, 2.5, undefined, undefined]
    )
  })
})
