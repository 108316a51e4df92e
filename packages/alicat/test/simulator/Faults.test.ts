import { assert, describe, it } from "@effect/vitest"

import { Effect } from "effect"
import * as Alicat from "../../src/Alicat.ts"
import * as Simulator from "../../src/simulator/Simulator.ts"
import { pollUntil } from "../ports.ts"

describe.concurrent("a fault", () => {
  /** Polls until the device has failed for this reason, with readings before and after. */
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
  )("%j gives a typed failure, and readings before and after", ([fault, reason]) => pollUntilFailed(fault, reason))

  it.live("that delays a reply by less than the time-out makes no failure", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make({ faults: [{ kind: "delay", by: "30 millis", device: "sim1" }] })
      const source = yield* Alicat.make({ devices: { fuel: fuel! } })
      const { readings } = yield* source.poll(["fuel"])
      assert.isAtLeast(readings[0]!.receivedAt - readings[0]!.requestedAt, 29_000)
    }))

  it.live("begins and ends at its times", () =>
    Effect.gen(function*() {
      const faults = [{ kind: "silent", when: { after: "1500 millis", for: "500 millis" } }] as const
      const [fuel] = yield* Simulator.make({ faults })
      const source = yield* Alicat.make({ devices: { fuel: fuel! }, timeout: "100 millis" })
      yield* pollUntil(source, (reasons) => reasons.includes("fuel Timeout"))
      yield* pollUntil(source, (reasons) => reasons.length === 0)
    }))
})
