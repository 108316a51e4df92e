import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ready } from "../../src/internal/ByteBuffer.ts"
import { TextBuffer } from "../../src/internal/TextBuffer.ts"
import { TextCache } from "../../src/internal/TextCache.ts"

const written = (write: (text: TextBuffer) => void): string => {
  const text = new TextBuffer()
  write(text)
  return Buffer.from(text.content()).toString()
}

describe("TextCache", () => {
  it.effect.prop(
    "gives the text that was asked for, whatever was asked for before",
    [Schema.Array(Schema.Tuple([Schema.Literals(["a", "b", "µ", "x".repeat(200)]), Schema.Literals([0, 1, 2])]))],
    ([asked]) =>
      Effect.sync(() => {
        const cache = new TextCache(ready)
        for (let n = 0; n < 2000; n++) cache.get(`other ${n}`, n % 3)
        assert.strictEqual(
          written((text) => asked.forEach(([value, at]) => text.ready(cache.get(value, at)))),
          asked.map(([value]) => value).join("")
        )
      })
  )
})
