import { assert, it } from "@effect/vitest"
import { run } from "./run.ts"

it("the memory benchmark prints the memory after each tenth of the samples", () => {
  assert.match(
    run("memory", ["--samples", "20000"]),
    /^RSS after each tenth of the samples, MiB:(?: \d+){10}\ngrowth from the first to the last: -?[\d.]+ MiB\n$/
  )
})
