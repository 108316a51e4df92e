import { assert, describe, it } from "@effect/vitest"
import { InvalidOptionError } from "@sampleline/core"
import { Effect } from "effect"
import * as Alicat from "../../src/Alicat.ts"
import * as Simulator from "../../src/simulator/Simulator.ts"
import { pollUntil } from "../ports.ts"

describe.concurrent("Simulator.make", () => {
  /** Polls until it has failed for this reason, and given readings before and after. */
  const pollUntilFailed = Effect.fnUntraced(function*(fault: Simulator.Fault, reason: string) {
    const [fuel] = yield* Simulator.make({ faults: [fault] })
    const source = yield* Alicat.make({ devices: { fuel: fuel! }, timeout: "100 millis" }).pipe(
      Effect.retry({ times: 5 })
    )
    for (const wanted of ["", reason, "", reason, ""]) {
      yield* pollUntil(source, (reasons) => wanted === "" ? reasons.length === 0 : reasons.includes(`fuel ${wanted}`))
    }
  })

  it.live.each(
    [
      [{ kind: "garble", when: { every: 5 } }, "Malformed"],
      [{ kind: "cut", when: { every: 5 } }, "Timeout"],
      [{ kind: "silent", when: { every: 5 } }, "Timeout"],
      [{ kind: "delay", by: "150 millis", when: { every: 5 } }, "Timeout"]
    ] as const
  )("with %j gives a typed failure, and readings between them", ([fault, reason]) => pollUntilFailed(fault, reason))

  it.live("with a delay within the time-out is only late", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ faults: [{ kind: "delay", by: "30 millis", device: "sim1" }] })
      const source = yield* Alicat.make({ devices: { fuel: fuel! } })
      const { readings } = yield* source.poll(["fuel"])
      assert.isAtLeast(readings[0]!.receivedAt - readings[0]!.requestedAt, 29_000)
    }))

  it.live("falls silent and comes back at its times", () =>
    Effect.gen(function*() {
      const faults = [{ kind: "silent", when: { after: "1500 millis", for: "500 millis" } }] as const
      const [fuel] = yield* Simulator.make({ faults })
      const source = yield* Alicat.make({ devices: { fuel: fuel! }, timeout: "100 millis" })
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Timeout"))
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))

  it.live("of legacy firmware is recorded with its own columns", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ firmware: "GP07", numbered: true })
      const source = yield* Alicat.make({ devices: { fuel: fuel! } })
      const { format, identity } = source.devices[0]!
      assert.deepStrictEqual(identity, {
        manufacturer: "Alicat Scientific",
        model: "MC-500SCCM-D",
        serialNumber: "100001",
        firmware: "GP07R100",
        calibrationDate: null
      })
      assert.deepStrictEqual(format!.fields.map(({ name, unit }) => [name, unit]), [
        ["Pressure", "PSIA"],
        ["Flow_Temp", "C"],
        ["Volu", "CCM"],
        ["Mass", "SCCM"],
        ["Mass_Setpt", "SCCM"],
        ["Reading_No", null],
        ["Gas", null]
      ])
      const { readings } = yield* source.poll(["fuel"])
      assert.strictEqual(readings[0]!.frame.values.length, 7)
    }))

  it.effect("to simulate no device", () =>
    Effect.gen(function*() {
      for (const options of [{ devices: 0 }, { units: 27 }, { tcp: 70_000 }]) {
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
  )("is not made of %j", ([options, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.scoped(Effect.flip(Simulator.make(options)))
      assert.instanceOf(error, InvalidOptionError)
      assert.include(error.message, message)
    }))
})
