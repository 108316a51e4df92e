import { assert, it } from "@effect/vitest"
import { Option } from "effect"
import { parseSize } from "../src/sizes.ts"

it.each([
  ["500MB", 500_000_000],
  ["10GiB", 10 * 2 ** 30],
  ["1.5 GB", 1_500_000_000],
  ["100mb", 100_000_000],
  ["2TiB", 2 * 2 ** 40],
  ["200000KiB", 204_800_000]
])("%s is %d bytes", (text, bytes) => {
  assert.deepStrictEqual(parseSize(text), Option.some(bytes))
})

it.each(["", "5", "99MB", "0GB", "-1GB", "1 G", "GB", "1e3GB", "9999999TB", "1GBs", "NaNGB"])(
  "%j is no size",
  (text) => {
    assert.isTrue(Option.isNone(parseSize(text)))
  }
)
