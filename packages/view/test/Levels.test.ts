import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Levels, memoryStore } from "../src/live/Levels.ts"

const WIDTH = 160_000

const Value = Schema.Struct({ at: Schema.Int, value: Schema.Finite })

/** Times of a few days, and values that a float can hold beside each other. */
const valueOf = ({ at, value }: typeof Value.Type) => ({
  at: 1_700_000_000_000_000 + Math.abs(at * 7_654_321) % 300_000_000_000,
  value: Math.fround(Math.atan(value) * 1000)
})

describe("Levels", () => {
  it.effect.prop(
    "has in each bucket the smallest, the largest, the number and the mean of its values, at every level and in any order",
    { values: Schema.Array(Value) },
    ({ values }) =>
      Effect.sync(() => {
        const store = memoryStore()
        let levels = new Levels(WIDTH, store)
        const added = values.map(valueOf)
        for (const [n, { at, value }] of added.entries()) {
          levels.add(3, at, value)
          // Another program goes on with what was stored.
          if (n % 7 === 3) {
            levels.save()
            levels = new Levels(WIDTH, store)
          }
        }
        for (const level of [0, 1, 4, 11]) {
          const width = levels.widthOf(level)
          for (const { at } of added) {
            const bucket = Math.floor(at / width)
            const inside = added.filter((other) => Math.floor(other.at / width) === bucket).map(({ value }) => value)
            const { base, counts, max, mean, min } = levels.read(3, level, bucket - 2, 5)
            assert.strictEqual(counts[2], inside.length)
            assert.closeTo(base + min[2]!, Math.min(...inside), 1e-3)
            assert.closeTo(base + max[2]!, Math.max(...inside), 1e-3)
            assert.closeTo(base + mean[2]!, inside.reduce((sum, value) => sum + value, 0) / inside.length, 1e-3)
          }
        }
      })
  )

  it("keeps small steps of large values", () => {
    const levels = new Levels(WIDTH, memoryStore())
    for (let n = 0; n < 100; n++) levels.add(0, n * WIDTH, 123_456_789 + n / 1000)
    const { base, mean } = levels.read(0, 0, 0, 100)
    for (let n = 0; n < 100; n++) assert.closeTo(base + mean[n]!, 123_456_789 + n / 1000, 1e-7)
  })

  it("has no value where none came, and leaves out NaN and infinities", () => {
    const levels = new Levels(WIDTH, memoryStore())
    for (const value of [NaN, Infinity, -Infinity]) levels.add(0, 0, value)
    levels.add(0, 2 * WIDTH, 5)
    const { counts, mean } = levels.read(0, 0, 0, 4)
    assert.deepStrictEqual([...counts], [0, 0, 1, 0])
    assert.deepStrictEqual([...mean].map(Number.isNaN), [true, true, false, true])
    assert.deepStrictEqual([...levels.read(7, 0, 0, 2).counts], [0, 0])
  })

  it("takes the finest level that a width allows", () => {
    const levels = new Levels(WIDTH, memoryStore())
    assert.deepStrictEqual([0, WIDTH, WIDTH + 1, 16 * WIDTH, 1e30].map((width) => levels.levelOf(width)), [
      0,
      0,
      1,
      2,
      11
    ])
  })
})
