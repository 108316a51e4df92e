import { assert, describe, it } from "@effect/vitest"
import { formatTimestamp } from "@sampleline/core"
import { Effect, Schema } from "effect"
import { ready } from "../../src/internal/ByteBuffer.ts"
import { TextBuffer } from "../../src/internal/TextBuffer.ts"

const written = (write: (text: TextBuffer) => void): string => {
  const text = new TextBuffer()
  write(text)
  return Buffer.from(text.content()).toString()
}

const MANY = { arbitrary: { runs: 5000 } }

describe("TextBuffer", () => {
  const doubles = new DataView(new ArrayBuffer(8))
  const fromBits = (high: number, low: number) => {
    doubles.setUint32(0, high)
    doubles.setUint32(4, low)
    return doubles.getFloat64(0)
  }
  const Uint32 = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
  const expectNumber = (value: number) => {
    const plain = String(value)
    assert.strictEqual(written((text) => text.int(value)), plain)
    const isWhole = Number.isFinite(value) && !/[.e]/.test(plain)
    assert.strictEqual(written((text) => text.float(value)), isWhole ? `${plain}.0` : plain)
  }

  it.effect.prop(
    "float, int: any double, by its bits",
    [Uint32, Uint32],
    ([high, low]) => Effect.sync(() => expectNumber(fromBits(high, low))),
    MANY
  )

  it.effect.prop(
    "float, int: what instruments send, and its neighbours",
    [
      Schema.Int.check(Schema.isBetween({ minimum: -2_000_000_000_000, maximum: 2_000_000_000_000 })),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))
    ],
    ([digits, decimals]) =>
      Effect.sync(() => {
        const value = Number(`${digits}e-${decimals}`)
        for (const near of [value, value * (1 + Number.EPSILON), value * (1 - Number.EPSILON), Math.round(value)]) {
          expectNumber(near)
        }
      }),
    MANY
  )

  it("float: a whole number has a decimal; NaN and infinities are words", () => {
    const values = [
      100,
      -3,
      0,
      2 ** 31,
      1e20,
      1e21,
      99.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY
    ]
    assert.deepStrictEqual(values.map((value) => written((text) => text.float(value))), [
      "100.0",
      "-3.0",
      "0.0",
      "2147483648.0",
      "100000000000000000000.0",
      "1e+21",
      "99.5",
      "NaN",
      "Infinity",
      "-Infinity"
    ])
  })

  it.each([0, -0, 0.1 + 0.2, 1e-6, 1e-7, 9.5e-7, 0.0005, 999_999_999.999, 1e9, 1e9 - 1e-6, 123.4565, 1e21, 5e-324])(
    "float, int: %d",
    (value) => expectNumber(value)
  )

  it.effect.prop(
    "timestamp: any microsecond of the years 1685 to 2255, and its neighbours in the next second and minute",
    [Schema.Int.check(Schema.isBetween({ minimum: -9_000_000_000_000_000, maximum: 9_000_000_000_000_000 }))],
    ([micros]) =>
      Effect.sync(() => {
        const times = [0, 1, 999_999, 59_999_999, 60_000_000, 0].map((after) => micros + after)
        const plain = times.map((time) => {
          const millis = Math.floor(time / 1000)
          return new Date(millis).toISOString().slice(0, -1) + String(time - millis * 1000).padStart(3, "0") + "Z"
        })
        assert.deepStrictEqual(times.map(formatTimestamp), plain)
        assert.strictEqual(written((text) => times.forEach((time) => text.timestamp(time))), plain.join(""))
      }),
    MANY
  )

  it.effect.prop("ready: any text", [Schema.String], ([value]) =>
    Effect.sync(() =>
      assert.strictEqual(
        written((text) => {
          text.byte(0x3c)
          text.ready(ready(value))
          text.byte(0x3e)
        }),
        `<${value.toWellFormed()}>`
      )
    ), MANY)

  it("grows as needed, and is empty again after clear", () => {
    const text = new TextBuffer()
    for (let round = 0; round < 2; round++) {
      text.clear()
      for (let n = 0; n < 20_000; n++) {
        text.float(n / 8)
        text.ready(ready("µ"))
        text.timestamp(n)
        text.byte(0x20)
      }
      text.ready(ready("a".repeat(100_000)))
      text.lastByte(0x62)
      const expected = Array.from(
        { length: 20_000 },
        (_, n) => `${n / 8}${n % 8 === 0 ? ".0" : ""}µ${formatTimestamp(n)} `
      ).join("")
      assert.strictEqual(Buffer.from(text.content()).toString(), `${expected}${"a".repeat(99_999)}b`)
    }
  })
})
