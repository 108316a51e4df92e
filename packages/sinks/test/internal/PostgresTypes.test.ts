import { assert, it } from "@effect/vitest"
import {
  canHold,
  convertTime,
  convertValue,
  kindOf,
  type PostgresKind,
  toArrayText
} from "../../src/internal/PostgresTypes.ts"

const TIME = 1_772_366_400_000_001

/** The modifiers of `numeric(5,2)` and `varchar(4)`. */
const NUMERIC_5_2 = (5 << 16 | 2) + 4
const VARCHAR_4 = 4 + 4

it.each(
  [
    ["float8", -1, 0.1, 0.1],
    ["float4", -1, 0.1, Math.fround(0.1)],
    ["float4", -1, 1e300, null],
    ["float8", -1, Number.NaN, Number.NaN],
    ["float4", -1, Number.NaN, Number.NaN],
    ["float4", -1, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ["numeric", -1, Number.NaN, null],
    ["numeric", NUMERIC_5_2, Number.NaN, null],
    ["numeric", -1, Number.POSITIVE_INFINITY, null],
    ["int2", -1, Number.NaN, null],
    ["int4", -1, Number.POSITIVE_INFINITY, null],
    ["int8", -1, Number.NEGATIVE_INFINITY, null],
    ["bool", -1, Number.NaN, null],
    ["json", -1, Number.NaN, null],
    ["jsonb", -1, Number.POSITIVE_INFINITY, null],
    ["text", VARCHAR_4, Number.NaN, "NaN"],
    ["uuid", -1, Number.NaN, null],
    ["numeric", -1, 1e-7, 1e-7],
    ["numeric", NUMERIC_5_2, 999.99, 999.99],
    ["numeric", NUMERIC_5_2, 999.995, null],
    ["int2", -1, 32_767.4, 32_767],
    ["int2", -1, 32_767.5, null],
    ["int4", -1, 2.5, 2],
    ["int4", -1, 3.5, 4],
    ["int4", -1, -2.5, -2],
    ["int4", -1, "12", 12],
    ["int4", -1, "twelve", null],
    ["int8", -1, 1e300, null],
    ["bool", -1, "YES", 1],
    ["bool", -1, 0, 0],
    ["bool", -1, "perhaps", null],
    ["text", VARCHAR_4, "🧪🧪🧪🧪", "🧪🧪🧪🧪"],
    ["text", VARCHAR_4, "abcde", null],
    ["json", -1, "say \"hi\"", "\"say \\\"hi\\\"\""],
    ["jsonb", -1, 1.5, "1.5"],
    ["uuid", -1, "019A0000-0000-7000-8000-000000000000", "019a0000-0000-7000-8000-000000000000"],
    ["uuid", -1, "no uuid", null],
    ["timestamptz", -1, "yesterday", null]
  ] as const
)("converts to %s with modifier %d: %o becomes %o", (kind, modifier, value, stored) => {
  const convert = convertValue(kind, modifier, null)
  assert.deepStrictEqual(convert === undefined ? value : convert(value), stored)
})

it("takes only the labels of an enum", () => {
  const convert = convertValue("text", -1, ["N2", "Air"])!
  assert.deepStrictEqual([convert("N2"), convert("CO2")], ["N2", null])
  assert.strictEqual(kindOf("gas", true), "text")
  assert.isUndefined(kindOf("point", false))
})

it("stores times as text in text columns, else as they are", () => {
  assert.strictEqual(convertTime("text")!(TIME), "2026-03-01T12:00:00.000001Z")
  assert.strictEqual(convertTime("jsonb")!(TIME), "\"2026-03-01T12:00:00.000001Z\"")
  assert.isUndefined(convertTime("timestamptz"))
  const holds = (kind: PostgresKind, modifier = -1) => canHold(kind, modifier, null, "timestamp")
  assert.deepStrictEqual([holds("timestamp"), holds("int8"), holds("int4"), holds("text", VARCHAR_4)], [
    true,
    true,
    false,
    false
  ])
})

it("takes a type that holds none of the values for no place for them", () => {
  const holds = (kind: PostgresKind, labels: ReadonlyArray<string> | null = null) =>
    (["float", "int", "text", "any", "timestamp"] as const).filter((type) => canHold(kind, -1, labels, type))
  assert.deepStrictEqual(holds("text"), ["float", "int", "text", "any", "timestamp"])
  assert.deepStrictEqual(holds("jsonb"), ["float", "int", "text", "any", "timestamp"])
  assert.deepStrictEqual(holds("text", ["N2"]), ["text", "any"])
  assert.deepStrictEqual(holds("timestamptz"), ["timestamp"])
  assert.deepStrictEqual(holds("uuid"), ["text", "any"])
  assert.deepStrictEqual(holds("int2"), ["float", "int", "any"])
  assert.deepStrictEqual(holds("float8"), ["float", "int", "any", "timestamp"])
  assert.deepStrictEqual(holds("bool"), ["int", "text", "any"])
})

it("writes arrays as the text of statements", () => {
  assert.strictEqual(toArrayText("text", ["a \"b\"", "\\", null, "\0"]), "{\"a \\\"b\\\"\",\"\\\\\",NULL,\"\uFFFD\"}")
  assert.strictEqual(toArrayText("timestamptz", [TIME]), "{\"2026-03-01T12:00:00.000001Z\"}")
  assert.strictEqual(toArrayText("int8", [9e15]), "{\"9000000000000000\"}")
  assert.strictEqual(toArrayText("float8", [Number.NaN, Number.NEGATIVE_INFINITY]), "{\"NaN\",\"-Infinity\"}")
  assert.strictEqual(toArrayText("bool", [1, 0]), "{\"true\",\"false\"}")
})
