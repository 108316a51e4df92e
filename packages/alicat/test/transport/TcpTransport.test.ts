import { assert, describe, it } from "@effect/vitest"

import { Effect } from "effect"
import * as Simulator from "../../src/simulator/Simulator.ts"
import { openError } from "../ports.ts"

describe("a TCP port cannot be opened", () => {
  it.live("where nothing listens, or no device answers", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Effect.scoped(Simulator.make({ tcp: 0 }))
      const gone = yield* openError({ fuel: fuel! })
      assert.deepInclude(gone, { reason: "NotFound" })
      assert.include(gone.message, "nothing listens there")
      const [air] = yield* Simulator.make({ tcp: 0 })
      const silent = yield* openError({ air: { port: air!.port, unit: "Q" } }, "100 millis")
      assert.include(silent.message, "air (unit Q) did not answer; check its power")
    }))
})
