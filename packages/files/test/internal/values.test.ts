import { assert, it } from "@effect/vitest"
import { formatTimestamp } from "@sampleline/core"
import { Schema } from "effect"
import { isNaNText, numberIn } from "../../src/internal/Numbers.ts"
import { timeIn, timeOf } from "../../src/internal/Times.ts"

const numberOf = (text: string) => {
  const bytes = Buffer.from(`,${text},`)
  return numberIn(bytes, 1, bytes.length - 1)
}

// @effect-diagnostics-next-line schemaNumber:off
it.prop("numberIn: any double as String gives it, and with a point", [Schema.Number], ([value]) => {
  for (const text of [String(value), /^-?\d+$/.test(String(value)) ? `${value}.0` : String(value)]) {
    assert.deepStrictEqual(numberOf(text), value + 0, text)
  }
})

it.prop(
  "numberIn: decimals of any length are rounded as JavaScript rounds them",
  [Schema.Int, Schema.Int],
  ([a, b]) => {
    const text = `${a}.${Math.abs(b)}`
    assert.strictEqual(numberOf(text), Number(text) + 0)
  }
)

it("numberIn: what is not a number in JSON is none", () => {
  for (
    const text of [
      "",
      "-",
      ".",
      "1.",
      ".5",
      "007",
      "-01",
      "+1",
      "1e",
      "1e5x",
      "0x10",
      "1,5",
      "1 ",
      "1.2.3",
      "NaN",
      "nan",
      "inf",
      "1_0",
      "١"
    ]
  ) {
    assert.isNaN(numberOf(text), text)
  }
  assert.deepStrictEqual(["NaN", "nan", "NaNs"].map((text) => isNaNText(Buffer.from(text), 0, text.length)), [
    true,
    false,
    false
  ])
  assert.deepStrictEqual(["Infinity", "-Infinity", "-0", "0", "1e3", "1E-3"].map(numberOf), [
    Infinity,
    -Infinity,
    0,
    0,
    1000,
    0.001
  ])
})

it.prop("timeIn and timeOf: any time that formatTimestamp gives", [Schema.Int], ([any]) => {
  const micros = Math.abs(any)
  const text = formatTimestamp(micros)
  const bytes = Buffer.from(`"${text}"`)
  assert.deepStrictEqual([timeOf(text), timeIn(bytes, 1, bytes.length - 1)], [micros, micros])
})

it("timeOf: other forms of RFC 3339, and nothing without a zone", () => {
  const at = Date.UTC(2026, 2, 29, 1, 30, 0) * 1000
  for (
    const [text, expected] of [
      ["2026-03-29T01:30:00Z", at],
      ["2026-03-29T03:30:00+02:00", at],
      ["2026-03-28T20:00:00.5-05:30", at + 500_000],
      ["2026-03-29 01:30:00.123456789Z", at + 123_456],
      ["0001-01-01T00:00:00.000000Z", -62_135_596_800_000_000],
      ["1969-12-31T23:59:59.999999Z", -1],
      ["2024-02-29T00:00:00.000000Z", Date.UTC(2024, 1, 29) * 1000],
      ["2026-12-31T23:59:60.000000Z", Date.UTC(2027, 0, 1) * 1000]
    ] as const
  ) assert.strictEqual(timeOf(text), expected, text)
  for (
    const text of [
      "2026-03-29T01:30:00",
      "2026-03-29T01:30:00.000000",
      "2026-02-29T00:00:00.000000Z",
      "2026-13-01T00:00:00.000000Z",
      "2026-03-29T24:00:00.000000Z",
      "2026-03-29T01:60:00.000000Z",
      "2026-03-29T01:30:0x.000000Z",
      "2026-03-29T01:30:00.00000xZ",
      "20260329T013000Z",
      "12:30:00",
      ""
    ]
  ) assert.isNaN(timeOf(text), text)
})
