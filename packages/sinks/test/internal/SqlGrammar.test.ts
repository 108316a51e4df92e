import { assert, it } from "@effect/vitest"
import type { ColumnType } from "@sampleline/core"
import { MYSQL, SQLITE } from "../../src/internal/SqlGrammar.ts"

const TIME = 1_772_366_400_000_001

/** How MySQL stores a value in a column of a declared type; undefined if it cannot. */
const inMysql = (declared: string, type: ColumnType, value: number | string) => {
  const storing = MYSQL.storing(
    { name: "x", type: declared, isNotNull: false, isRequired: false, isStrict: true },
    type
  )
  return storing === undefined ? undefined : storing.convert === undefined ? value : storing.convert(value)
}

it.each<readonly [string, string | number | undefined]>([
  ["datetime", "2026-03-01 12:00:00.000001"],
  ["timestamp", "2026-03-01 12:00:00.000001"],
  ["date", "2026-03-01"],
  ["varchar", "2026-03-01T12:00:00.000001Z"],
  ["bigint", TIME],
  ["double", TIME],
  ["int", undefined],
  ["time", undefined],
  ["blob", undefined]
])("stores a time in MySQL's %s as %o", (declared, stored) => {
  assert.strictEqual(inMysql(declared, "timestamp", TIME), stored)
})

it.each<readonly [string, string | undefined, string | undefined]>([
  ["double", "float", undefined],
  // The server rounds.
  ["mediumint", "float", undefined],
  ["varchar", "text", "text"],
  ["enum", undefined, "text"],
  ["json", "text", "text"],
  ["datetime", undefined, undefined],
  ["varbinary", undefined, undefined],
  ["point", undefined, undefined]
])("takes a number in MySQL's %s as %s, and a text as %s", (declared, number, text) => {
  const column = { name: "x", type: declared, isNotNull: false, isRequired: false, isStrict: true }
  assert.strictEqual(MYSQL.storing(column, "float")?.type, number)
  assert.strictEqual(MYSQL.storing(column, "text")?.type, text)
})

it("stores JSON in MySQL's json", () => {
  assert.strictEqual(inMysql("json", "text", "N2"), "\"N2\"")
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
