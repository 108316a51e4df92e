import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { formatTimestamp } from "../src/formatTimestamp.ts"

describe("formatTimestamp", () => {
  it.prop("keeps every microsecond of every year up to 9999", [
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
  ], ([micros]) => {
    const text = formatTimestamp(micros)
    assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    assert.strictEqual(Date.parse(`${text.slice(0, 23)}Z`) * 1000 + Number(text.slice(23, 26)), micros)
  })
})
