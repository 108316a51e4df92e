import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FrameFormat } from "../../src/Frame.ts"
import { PollSource } from "../../src/PollSource.ts"
import * as Recorder from "../../src/Recorder.ts"

describe("warnings", () => {
  it.effect("warns of a column whose devices differ in unit", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const format = (unit: string) => FrameFormat.fromRecord({ Flow: 0, Temperature: 0 }, { units: { Flow: unit } })
      yield* Recorder.record({ rateHz: 10, duration: 1 }).pipe(
        Stream.runDrain,
        Effect.provide([
          PollSource.layer({
            devices: { fuel: { format: format("SCCM") }, air: { format: format("SLPM") } },
            poll: () => Effect.succeed({ Flow: 1 })
          }),
          Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])
        ])
      )
      assert.deepStrictEqual(lines, ["the column Flow holds different units: SCCM of fuel; SLPM of air"])
    }))

  it.effect("warns of a device that fails, and reports at INFO that it answers again", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      let polls = 0
      yield* Recorder.record({ rateHz: 10, duration: "300 millis" }).pipe(
        Stream.runDrain,
        Effect.provide([
          PollSource.layer({
            devices: ["fuel"],
            poll: () => polls++ === 0 ? Effect.fail("no reply") : Effect.succeed({ Flow: 1 })
          }),
          Logger.layer([Logger.make(({ logLevel, message }) => lines.push(`${logLevel} ${String(message)}`))])
        ]),
        Effect.forkChild({ startImmediately: true }),
        Effect.tap(() => TestClock.adjust("1 second")),
        Effect.flatMap(Fiber.join)
      )
      assert.deepStrictEqual(lines, [
        "Warn fuel: no reply; further failures are only counted until it answers again",
        "Info fuel: answers again"
      ])
    }))
})
