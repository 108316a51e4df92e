import { assert, describe, it } from "@effect/vitest"
import { Patience } from "../src/Patience.ts"

/** How long it is silent at each start, until that shows that it cannot stream. */
const silences = (patience: Patience): ReadonlyArray<number> => {
  const millis = [patience.millis]
  while (!patience.silence()) millis.push(patience.millis)
  return millis
}

describe("the patience with a device that streams", () => {
  it("ends when each way to start it was tried, if its interval is known", () => {
    assert.deepStrictEqual(silences(new Patience(20)), [1000, 1000, 1000])
    assert.deepStrictEqual(silences(new Patience(10_000)), [30_000, 30_000, 30_000])
  })

  it("grows to the longest interval there is, if its interval is unknown, although its port is opened again", () => {
    const patience = new Patience(undefined)
    patience.silence()
    patience.silence()
    patience.opened()
    assert.deepStrictEqual(silences(patience), [4000, 8000, 16_000, 32_000, 64_000, 66_000])
  })

  it("begins anew when the port of a device that has streamed is opened again", () => {
    const patience = new Patience(undefined)
    patience.reading(0)
    patience.reading(2000)
    assert.strictEqual(patience.millis, 6000)
    patience.opened()
    assert.strictEqual(patience.millis, 1000)
  })
})
