import { assert, it } from "@effect/vitest"
import { storedNames } from "../../src/internal/PostgresNames.ts"

const stored = (...names: ReadonlyArray<string>) => [...storedNames(names.map((name) => ({ name }))).values()]

it("keeps names that Postgres can store", () => {
  const names = ["device", "Mass_Flow", "a \"b\"; --", "µ", "x".repeat(63)]
  assert.deepStrictEqual(stored(...names), names)
})

it("shortens names to 63 bytes by whole characters, and keeps them distinct", () => {
  const long = "x".repeat(62)
  assert.deepStrictEqual(stored(`${long}yy`, `${long}yz`, `${long}y`), [
    `${"x".repeat(61)}_2`,
    `${"x".repeat(61)}_3`,
    `${long}y`
  ])
  assert.deepStrictEqual(stored(`${"x".repeat(61)}🧪`, "µ".repeat(40)), ["x".repeat(61), "µ".repeat(31)])
})

it("avoids NUL and the names of system columns", () => {
  assert.deepStrictEqual(stored("ctid", "a\0", "a", "\0"), ["ctid_2", "a_2", "a", "field"])
})
