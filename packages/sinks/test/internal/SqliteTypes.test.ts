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

const none = undefined
const TYPES = ["float", "int", "text", "any"] as const

it.each([
  ["TEXT", ["text", "text", "text", "text"]],
  ["NVARCHAR(10)", ["text", "text", "text", "text"]],
  ["INT", ["float", "int", none, "float"]],
  ["BIGINT", ["float", "int", none, "float"]],
  ["DOUBLE PRECISION", ["float", "float", none, "float"]],
  ["FLOAT", ["float", "float", none, "float"]],
  ["STRING", ["any", "any", "any", "any"]],
  ["BLOB", ["any", "any", "any", "any"]],
  ["", ["any", "any", "any", "any"]],
  ["DECIMAL(5,2)", ["any", "any", "any", "any"]]
])("float, int, text and any in %s are %o", (declared, types) => {
  assert.deepStrictEqual(TYPES.map((type) => storedInSqlite(declared, false, type)?.type), types)
})

it.each([
  ["INTEGER", [none, "int", none, "int"]],
  ["REAL", ["float", "float", none, "float"]],
  ["TEXT", ["text", "text", "text", "text"]],
  ["ANY", ["any", "any", "any", "any"]],
  ["BLOB", [none, none, none, none]]
])("float, int, text and any in %s of a STRICT table are %o", (declared, types) => {
  assert.deepStrictEqual(TYPES.map((type) => storedInSqlite(declared, true, type)?.type), types)
})

it("a BLOB of a STRICT table holds no times", () => {
  assert.isUndefined(storedInSqlite("blob", true, "timestamp"))
})
