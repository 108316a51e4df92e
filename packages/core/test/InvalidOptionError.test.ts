import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { InvalidOptionError, millisOf, positiveDuration, positiveInt } from "../src/InvalidOptionError.ts"

describe("InvalidOptionError", () => {
  it("names the option, the value and what is accepted", () => {
    assert.strictEqual(
      InvalidOptionError.of("rateHz", "fast", "a number").message,
      "rateHz is \"fast\": expected a number"
    )
  })

  it("knows durations in every form, and what is none", () => {
    assert.deepStrictEqual(
      [millisOf(5), millisOf("2 seconds"), millisOf(Duration.minutes(1)), millisOf("soon" as "1 second")],
      [5, 2000, 60_000, Number.NaN]
    )
  })

  it.effect("accepts finite durations above 0", () =>
    Effect.gen(function*() {
      assert.strictEqual(Duration.toMillis(yield* positiveDuration("wait", "2 seconds")), 2000)
      for (const refused of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "soon" as "1 second"]) {
        const error = yield* Effect.flip(positiveDuration("wait", refused, "3 seconds"))
        assert.match(error.message, /^wait is .*: expected a finite time above 0, such as "3 seconds"$/)
      }
    }))

  it.effect("accepts whole numbers above 0", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* positiveInt("size", 64, "ticks"), 64)
      for (const refused of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
        const error = yield* Effect.flip(positiveInt("size", refused, "ticks"))
        assert.match(error.message, /^size is .*: expected a whole number of ticks above 0$/)
      }
    }))
})
