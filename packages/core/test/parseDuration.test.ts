import { assert, it } from "@effect/vitest"
import { Duration, Option } from "effect"
import { parseDuration } from "../src/parseDuration.ts"

it.each([
  ["10ms", 10],
  ["1.5s", 1500],
  ["5m", 300_000],
  ["5min", 300_000],
  ["2h", 7_200_000],
  ["1d", 86_400_000],
  ["1h30min", 5_400_000],
  ["60 seconds", 60_000]
])("%s is a duration of %d ms", (text, millis) => {
  assert.deepStrictEqual(Option.map(parseDuration(text), Duration.toMillis), Option.some(millis))
})

it.each(["", "10", "s", "5x", "0s", "-1s", "1h 30min", "infinity"])("%j is not a duration above 0", (text) => {
  assert.isTrue(Option.isNone(parseDuration(text)))
})
