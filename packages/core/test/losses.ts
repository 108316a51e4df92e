import { assert } from "@effect/vitest"
import { Effect, Fiber, Latch, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Recorder from "../src/Recorder.ts"
import type { Tick } from "../src/Sample.ts"
import { timedSource } from "./sources.ts"

export const lossesOf = (ticks: ReadonlyArray<Tick>) =>
  ticks.map(({ dropped, index, skipped }) => ({ index, skipped, dropped }))

/** Ten slots into a buffer of two; the consumer takes nothing after the first tick until all ten slots have passed. */
export const overflowing = (overflow: Recorder.Overflow) =>
  Effect.gen(function*() {
    const gate = yield* Latch.make(false)
    const fiber = yield* Recorder.record({ period: 100, duration: 1000, bufferSize: 2, overflow }).pipe(
      Stream.tap(() => gate.await),
      Stream.runCollect,
      Effect.provide(timedSource().layer),
      Effect.forkChild
    )
    yield* TestClock.adjust("50 millis")
    yield* TestClock.adjust("900 millis")
    yield* gate.open
    yield* TestClock.adjust("1 second")
    const ticks = yield* Fiber.join(fiber)
    const delivered = ticks.filter((tick) => !tick.isTrailer)
    assert.deepStrictEqual(
      delivered.flatMap((tick) => tick.samples.map((sample) => sample.sequence)),
      delivered.map((_, sequence) => sequence)
    )
    return ticks
  })
