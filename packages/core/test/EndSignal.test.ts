import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { MemorySink } from "../src/MemorySink.ts"
import { pipeToSink } from "../src/pipeToSink.ts"
import * as Recorder from "../src/Recorder.ts"
import { timedSource } from "./sources.ts"

describe("EndSignal", () => {
  it.effect("endWhen nests: the first signal counts", () =>
    Effect.gen(function*() {
      const fiber = yield* Recorder.record({ rateHz: 10 }).pipe(
        pipeToSink(),
        Recorder.endWhen(Effect.never),
        Recorder.endWhen(Effect.sleep("3 seconds")),
        Effect.provide([MemorySink.layer, timedSource().layer]),
        Effect.forkChild
      )
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).samplesEmitted, 30)
    }))
})
