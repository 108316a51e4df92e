import { assert, it } from "@effect/vitest"
import { storedInSqlite } from "../../src/internal/SqliteTypes.ts"

const TIME = 1_772_366_400_000_001

it.each<readonly [string, number | string]>([
  ["TEXT", "2026-03-01T12:00:00.000001Z"],
  ["varchar(30)", "2026-03-01T12:00:00.000001Z"],
  ["STRING", "2026-03-01T12:00:00.000001Z"],
  ["BLOB", "2026-03-01T12:00:00.000001Z"],
  ["", "2026-03-01T12:00:00.000001Z"],
  ["DATETIME", "2026-03-01 12:00:00.000001"],
  ["timestamp", "2026-03-01 12:00:00.000001"],
  ["TIMESTAMP WITH TIME ZONE", "2026-03-01 12:00:00.000001"],
  ["DATE", "2026-03-01"],
  ["INTEGER", TIME],
  ["BIGINT", TIME],
  ["REAL", TIME],
  ["NUMERIC", TIME],
  ["DECIMAL(20,0)", TIME]
])("a time in %s is %o", (declared, stored) => {
  const { convert = (value) => value, loses } = storedInSqlite(declared, false, "timestamp")!
  assert.strictEqual(convert(TIME), stored)
  assert.strictEqual(loses, declared === "DATE" ? "the time of day" : undefined)
})

it.each([
  ["TEXT", "text"],
  ["NVARCHAR(10)", "text"],
  ["INT", "int"],
  ["DOUBLE PRECISION", "float"],
  ["FLOAT", "float"],
  ["STRING", "any"],
  ["BLOB", "any"],
  ["", "any"],
  ["DECIMAL(5,2)", "any"],
  ["ANY", "any"]
])("another value in %s is %s", (declared, type) => {
  assert.strictEqual(storedInSqlite(declared, false, "float")?.type, type)
})

it("only a BLOB of a STRICT table holds neither numbers nor texts", () => {
  assert.isUndefined(storedInSqlite("BLOB", true, "float"))
  assert.isUndefined(storedInSqlite("blob", true, "timestamp"))
  assert.deepStrictEqual(storedInSqlite("ANY", true, "text"), { type: "any" })
})
