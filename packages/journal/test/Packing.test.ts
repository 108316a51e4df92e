import { assert, describe, it } from "@effect/vitest"
import { RunEvent } from "@sampleline/core"
import { Effect, Schema } from "effect"
import { checksum, COUNTS, hasEvents, unpack } from "../src/Packing.ts"
import { itemOf, packed, Reading, run } from "./items.ts"

describe("Packing", () => {
  it.effect.prop(
    "gives back what was packed: null, undefined, NaN, infinities, -0 and texts, each as it was, and tells whether there is an event",
    { items: Schema.Array(Schema.Union([Reading, RunEvent])) },
    ({ items }) =>
      Effect.sync(() => {
        const given = items.map(itemOf)
        const { bytes, sources } = packed(given)
        assert.deepStrictEqual(unpack(bytes, run, (id) => sources[id]!), given)
        const counts = bytes.subarray(COUNTS.from, COUNTS.from + COUNTS.length)
        assert.strictEqual(hasEvents(counts), items.some((item) => "_tag" in item))
      })
  )

  it.effect("refuses the bytes of another version", () =>
    Effect.sync(() => {
      const { bytes } = packed([itemOf({ _tag: "Marker", runId: "run", at: 0, text: "x" })])
      bytes[0] = 7
      assert.throws(() => unpack(bytes, run, () => assert.fail()), /another version: 7/)
    }))

  it("has another checksum in another place", () => {
    const bytes = Uint8Array.of(1, 2, 3)
    assert.notStrictEqual(checksum(bytes, 0), checksum(bytes, 1))
  })
})
