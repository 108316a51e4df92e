import { assert, it } from "@effect/vitest"
import { SchemaLock } from "@sampleline/core"
import { RowGroup } from "../../src/internal/RowGroup.ts"
import { flow, sampleOf } from "../samples.ts"

const lock = SchemaLock.fromFormats([flow])
const flowAt = lock.columns.findIndex(({ name }) => name === "Mass_Flow")
const gasAt = lock.columns.findIndex(({ name }) => name === "Gas")

const groupOf = (rows: ReadonlyArray<readonly [number | null, string | null]>, capacity = 1) => {
  const group = new RowGroup(lock.columns, capacity)
  for (const [n, row] of rows.entries()) group.push(lock, sampleOf(flow, row, n))
  return group
}

it("keeps numbers as doubles, NaN apart from null, and texts once, and grows beyond its capacity", () => {
  const group = groupOf([[1, "N2"], [null, null], [Number.NaN, "Air"], [4, "N2"]])
  const values = group.copy()
  assert.deepStrictEqual(values[flowAt], {
    numbers: Float64Array.of(1, 0, Number.NaN, 4),
    nulls: Uint8Array.of(0, 1, 0, 0)
  })
  assert.deepStrictEqual(values[gasAt], { places: Int32Array.of(0, -1, 1, 0), texts: ["N2", "Air"] })
})

it("drops its last rows, and is empty after clear", () => {
  const group = groupOf([[1, "N2"], [null, "Air"], [3, null]], 10)
  group.drop(2)
  assert.strictEqual(group.rows, 1)
  group.push(lock, sampleOf(flow, [2, "Air"]))
  assert.deepStrictEqual(group.copy()[flowAt], { numbers: Float64Array.of(1, 2), nulls: Uint8Array.of(0, 0) })
  group.drop(1)
  assert.deepStrictEqual(group.copy()[flowAt], { numbers: Float64Array.of(1), nulls: Uint8Array.of(0) })
  group.clear()
  assert.strictEqual(group.rows, 0)
  group.push(lock, sampleOf(flow, [null, "Air"]))
  group.clear()
  group.push(lock, sampleOf(flow, [5, "Air"]))
  assert.deepStrictEqual(group.copy()[flowAt], { numbers: Float64Array.of(5), nulls: Uint8Array.of(0) })
  assert.deepStrictEqual(group.copy()[gasAt], { places: Int32Array.of(0), texts: ["Air"] })
})
