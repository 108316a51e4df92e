import { assert, describe, it } from "@effect/vitest"

import { InvalidOptionError } from "@sampleline/core"
import { Effect, Result } from "effect"
import * as Alicat from "../../src/Alicat.ts"
import * as Simulator from "../../src/simulator/Simulator.ts"

describe("a simulated device with a baud rate", () => {
  it.live("answers at that rate only", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ baud: 115200 })
      const at = (baud: number) =>
        Effect.scoped(
          Effect.result(Alicat.make({ devices: { fuel: { port: fuel!.port, baud } }, timeout: "100 millis" }))
        )
      assert.isTrue(Result.isFailure(yield* at(19200)))
      assert.isTrue(Result.isSuccess(yield* at(115200)))
      assert.isTrue(Result.isFailure(yield* at(9600)))
    }))
})

describe("Simulator.make refuses", () => {
  it.effect("numbers that are out of range", () =>
    Effect.gen(function*() {
      for (const options of [{ devices: 0 }, { units: 27 }, { tcp: 70_000 }, { baud: 0 }, { baud: 19200, tcp: 0 }]) {
        const error = yield* Effect.flip(Simulator.make(options))
        assert.instanceOf(error, InvalidOptionError)
      }
    }))

  it.effect.each(
    [
      [{ faults: [{ kind: "silent", device: "sim2" }] }, "faults.silent.device is \"sim2\": expected sim1 to sim1"],
      [{ faults: [{ kind: "swap", after: "1 second" }] }, "faults.swap"],
      [{ faults: [{ kind: "delay", by: "soon" as "1 second" }] }, "faults.delay is \"soon\""],
      [{ faults: [{ kind: "cut", when: { every: 0 } }] }, "faults.cut.when.every is 0"],
      [{ faults: [{ kind: "vanish", after: -1 }] }, "faults.vanish is -1"]
    ] as ReadonlyArray<readonly [Simulator.SimulatorOptions, string]>
  )("%j", ([options, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.scoped(Effect.flip(Simulator.make(options)))
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, message)
    }))
})
