import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { pipeToSink } from "../../src/pipeToSink.ts"
import { PollSource } from "../../src/PollSource.ts"
import * as Recorder from "../../src/Recorder.ts"
import { SampleSink } from "../../src/SampleSink.ts"
import { lossesOf, overflowing } from "../losses.ts"
import { timedSource } from "../sources.ts"

describe("TickBuffer", () => {
  it.effect("tells in a trailer which slots at the end of the run were skipped", () =>
    Effect.gen(function*() {
      const { layer } = timedSource([0, 950])
      const fiber = yield* Recorder.record({ rateHz: 10, duration: "500 millis" }).pipe(
        Stream.runCollect,
        Effect.provide(layer),
        Effect.forkChild
      )
      yield* TestClock.adjust("2 seconds")
      const ticks = yield* Fiber.join(fiber)
      assert.deepStrictEqual(lossesOf(ticks), [
        { index: 0, skipped: 0, dropped: 0 },
        { index: 1, skipped: 0, dropped: 0 },
        { index: 5, skipped: 3, dropped: 0 }
      ])
      assert.deepStrictEqual(ticks.map((tick) => tick.isTrailer), [false, false, true])
    }))

  it.effect("overflow dropNewest drops what comes while the buffer is full, and counts it after the last tick", () =>
    Effect.gen(function*() {
      const ticks = yield* overflowing("dropNewest")
      assert.deepStrictEqual(lossesOf(ticks), [
        { index: 0, skipped: 0, dropped: 0 },
        { index: 1, skipped: 0, dropped: 0 },
        { index: 2, skipped: 0, dropped: 0 },
        { index: 10, skipped: 0, dropped: 7 }
      ])
    }))

  it.effect("overflow dropOldest keeps the latest, and counts what it dropped before them", () =>
    Effect.gen(function*() {
      const ticks = yield* overflowing("dropOldest")
      assert.deepStrictEqual(lossesOf(ticks), [
        { index: 0, skipped: 0, dropped: 0 },
        { index: 8, skipped: 0, dropped: 7 },
        { index: 9, skipped: 0, dropped: 0 }
      ])
    }))

  it.effect("overflow block drops nothing polled and skips the slots it waited through", () =>
    Effect.gen(function*() {
      const ticks = yield* overflowing("block")
      assert.deepStrictEqual(lossesOf(ticks), [
        { index: 0, skipped: 0, dropped: 0 },
        { index: 1, skipped: 0, dropped: 0 },
        { index: 2, skipped: 0, dropped: 0 },
        { index: 3, skipped: 0, dropped: 0 },
        { index: 10, skipped: 6, dropped: 0 }
      ])
    }))

  it.effect.each(["dropNewest", "dropOldest"] as const)(
    "overflow %s counts the failures in what it drops",
    (overflow) =>
      Effect.gen(function*() {
        const fiber = yield* Recorder.record({ period: 100, duration: 1000, bufferSize: 2, overflow }).pipe(
          pipeToSink({ batchSize: 1 }),
          Effect.provide([
            SampleSink.layer({ name: "slow", write: () => Effect.sleep("1 second") }),
            PollSource.layer({
              devices: ["good", "bad"],
              poll: (device) => device === "good" ? Effect.succeed({ Value: 1 }) : Effect.fail("no reply")
            })
          ]),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 minute")
        const summary = yield* Fiber.join(fiber)
        assert.isAbove(summary.ticksDropped, 0)
        assert.deepStrictEqual(summary.failures, { good: 0, bad: 10 })
      })
  )
})
