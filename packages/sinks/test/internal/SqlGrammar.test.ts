import { assert, it } from "@effect/vitest"
import { type Grammar, MYSQL, SQLITE } from "../../src/internal/SqlGrammar.ts"

const TIME = 1_772_366_400_000_001

const stored = ({ timeIn }: Grammar, ...declared: ReadonlyArray<string>) => declared.map((type) => timeIn(type)(TIME))

it("stores times in SQLite as text or as microseconds", () => {
  assert.deepStrictEqual(stored(SQLITE, "TEXT", "varchar(30)", "INTEGER", "REAL"), [
    "2026-03-01T12:00:00.000001Z",
    "2026-03-01T12:00:00.000001Z",
    TIME,
    TIME
  ])
})

it("stores times in MySQL as times without a zone, as text, or as microseconds", () => {
  assert.deepStrictEqual(stored(MYSQL, "datetime", "timestamp", "varchar", "bigint"), [
    "2026-03-01 12:00:00.000001",
    "2026-03-01 12:00:00.000001",
    "2026-03-01T12:00:00.000001Z",
    TIME
  ])
})

it("SQLite holds no NaN in a column of floats, and MySQL no infinity either", () => {
  const values = [100, Number.NaN, Number.POSITIVE_INFINITY]
  assert.deepStrictEqual(values.map(SQLITE.holdsFloat), [true, false, true])
  assert.deepStrictEqual(values.map(MYSQL.holdsFloat), [true, false, false])
})

it("quotes names as each database does", () => {
  assert.strictEqual(SQLITE.quoted("a\"b`c"), "\"a\"\"b`c\"")
  assert.strictEqual(MYSQL.quoted("a\"b`c"), "`a\"b``c`")
})
