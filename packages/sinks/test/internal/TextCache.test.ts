import { assert, describe, it } from "@effect/vitest"
import { ready } from "../../src/internal/ByteBuffer.ts"
import { TextCache } from "../../src/internal/TextCache.ts"

const counted = () => {
  const written: Array<string> = []
  return {
    written,
    cache: new TextCache((text) => {
      written.push(text)
      return ready(text)
    })
  }
}

const names = (count: number) => Array.from({ length: count }, (_, n) => `device-${n}`)

describe("kept texts", () => {
  it("are written once each, with as many devices as a recording may have in turn", () => {
    const { cache, written } = counted()
    for (let row = 0; row < 5; row++) for (const name of names(1000)) cache.get(name, 0)
    assert.deepStrictEqual(written, names(1000))
  })

  it("are kept while they are used, and forgotten when thousands of others have come since", () => {
    const { cache, written } = counted()
    cache.get("old", 0)
    for (const name of names(10_000)) {
      cache.get("used", 0)
      cache.get(name, 0)
    }
    cache.get("old", 0)
    assert.deepStrictEqual(written.filter((text) => !text.startsWith("device-")), ["old", "used", "old"])
  })
})
