import { assert, describe, it } from "@effect/vitest"

import { SourceOpenError } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { asNobody } from "../../../core/test/asNobody.ts"
import * as Alicat from "../../src/Alicat.ts"
import * as Simulator from "../../src/simulator/Simulator.ts"
import { openError } from "../ports.ts"

describe("a serial port cannot be opened", () => {
  it.live("that does not exist", () =>
    Effect.gen(function*() {
      const error = yield* openError({ fuel: { port: "/dev/no-such-tty" } })
      assert.instanceOf(error, SourceOpenError)
      assert.deepInclude(error, { reason: "NotFound", target: "/dev/no-such-tty" })
      assert.match(error.message, /no such port; this machine has/)
    }))

  it.live("without permission", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      yield* Effect.sync(() => fs.chmodSync(fuel!.port, 0))
      const error = yield* asNobody(openError({ fuel: fuel! }))
      assert.deepInclude(error, { reason: "PermissionDenied" })
      assert.include(error.message, "usermod")
    }))

  it.live("that another program has open", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      yield* Alicat.make({ devices: { fuel: fuel! } })
      const error = yield* openError({ fuel: fuel! })
      assert.deepInclude(error, { reason: "Busy" })
      assert.include(error.message, "close that program")
    }))
})
