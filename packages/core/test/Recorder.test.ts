import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { PollSource } from "../src/PollSource.ts"
import * as Recorder from "../src/Recorder.ts"
import { current as currentClock } from "../src/SampleClock.ts"
import { lossesOf } from "./losses.ts"
import { timedSource } from "./sources.ts"

describe("Recorder.record", () => {
  it.effect("keeps the grid: a poll of 250 ms at a period of 100 ms is followed at 500 and 600", () =>
    Effect.gen(function*() {
      const { begins, layer } = timedSource([0, 0, 250])
      const fiber = yield* Recorder.record({ period: "100 millis", duration: "700 millis" }).pipe(
        Stream.runCollect,
        Effect.provide(layer),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      const ticks = yield* Fiber.join(fiber)
      assert.deepStrictEqual(begins, [0, 100, 200, 500, 600])
      assert.deepStrictEqual(ticks.map((tick) => tick.index), [0, 1, 2, 5, 6])
      assert.deepStrictEqual(ticks.map((tick) => tick.skipped), [0, 0, 0, 2, 0])
      assert.deepStrictEqual(ticks.map((tick) => tick.driftMs), [0, 0, 0, 0, 0])
    }))

  it.effect("begins a tick late, with drift, when the poll before overran by less than a period", () =>
    Effect.gen(function*() {
      const { begins, layer } = timedSource([150])
      const fiber = yield* Recorder.record({ rateHz: 10, duration: "400 millis" }).pipe(
        Stream.runCollect,
        Effect.provide(layer),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      const ticks = yield* Fiber.join(fiber)
      assert.deepStrictEqual(begins, [0, 150, 200, 300])
      assert.deepStrictEqual(ticks.map((tick) => tick.driftMs), [0, 50, 0, 0])
    }))

  it.effect("tells the source when the next poll is due, also through layerAll, and nothing at the last one", () =>
    Effect.gen(function*() {
      const due: Array<number | undefined> = []
      const source = Layer.succeed(PollSource, {
        devices: [{ name: "probe", unitId: "A", identity: null, format: null }],
        poll: (_names, nextPollAtNanos) =>
          Effect.sync(() => {
            due.push(nextPollAtNanos)
            return { readings: [], failures: [] }
          })
      })
      for (const layer of [source, PollSource.layerAll([source])]) {
        const start = (yield* currentClock).monotonicNanos()
        due.length = 0
        const fiber = yield* Recorder.record({ period: 100, duration: 300 }).pipe(
          Stream.runDrain,
          Effect.provide(layer),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(due, [start + 100e6, start + 200e6, undefined])
      }
    }))

  it.effect("has max(1, round(duration * rate)) slots", () =>
    Effect.gen(function*() {
      const slots = Effect.fnUntraced(function*(rateHz: number, duration: number) {
        const fiber = yield* Recorder.record({ rateHz, duration }).pipe(
          Stream.runCount,
          Effect.provide(timedSource().layer),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 hour")
        return yield* Fiber.join(fiber)
      })
      assert.strictEqual(yield* slots(3, 1000), 3)
      assert.strictEqual(yield* slots(10, 149), 1)
      assert.strictEqual(yield* slots(10, 151), 2)
      assert.strictEqual(yield* slots(0.001, 1), 1)
    }))

  it.effect("endWhen finishes the poll under way and delivers it", () =>
    Effect.gen(function*() {
      const end = yield* Deferred.make<void>()
      const fiber = yield* Recorder.record({ period: 100 }).pipe(
        Stream.runCollect,
        Effect.provide(timedSource([0, 50]).layer),
        Recorder.endWhen(Deferred.await(end)),
        Effect.forkChild
      )
      yield* TestClock.adjust(120)
      yield* Deferred.succeed(end, undefined)
      yield* TestClock.adjust(30)
      const ticks = yield* Fiber.join(fiber)
      assert.deepStrictEqual(ticks.map((tick) => tick.samples.length), [1, 1])
    }))

  it.effect("endWhen gives a poll that never returns one second", () =>
    Effect.gen(function*() {
      const end = yield* Deferred.make<void>()
      const fiber = yield* Recorder.record({ period: 100 }).pipe(
        Stream.runCollect,
        Effect.provide(timedSource([0, Number.POSITIVE_INFINITY]).layer),
        Recorder.endWhen(Deferred.await(end)),
        Effect.forkChild
      )
      yield* TestClock.adjust(150)
      yield* Deferred.succeed(end, undefined)
      yield* TestClock.adjust("1 second")
      const ticks = yield* Fiber.join(fiber)
      assert.deepStrictEqual(lossesOf(ticks), [
        { index: 0, skipped: 0, dropped: 0 },
        { index: 2, skipped: 1, dropped: 0 }
      ])
    }))

  it.effect("fails when its source breaks its promise and dies", () =>
    Effect.gen(function*() {
      const exit = yield* Recorder.record({ rateHz: 10 }).pipe(
        Stream.runCollect,
        Effect.provideService(PollSource, { devices: [], poll: () => Effect.die("broken source") }),
        Effect.exit
      )
      assert.isTrue(exit._tag === "Failure")
    }))

  const refusals: ReadonlyArray<readonly [Recorder.RecordOptions, string]> = [
    [{ rateHz: 0 }, "rateHz is 0"],
    [{ rateHz: -1 }, "rateHz is -1"],
    [{ rateHz: Number.NaN }, "rateHz is NaN"],
    [{ rateHz: Number.POSITIVE_INFINITY }, "rateHz is Infinity"],
    [{ period: 0 }, "period is 0"],
    [{ period: "100 ms" as "100 millis" }, "period is \"100 ms\""],
    [{ rateHz: 10, period: 100 }, "either rateHz or period"],
    [{}, "either rateHz or period"],
    [{ rateHz: 10, duration: 0 }, "duration is 0"],
    [{ rateHz: 10, duration: -5 }, "duration is -5"],
    [{ rateHz: 10, bufferSize: 0 }, "bufferSize is 0"],
    [{ rateHz: 10, bufferSize: 1.5 }, "bufferSize is 1.5"],
    [{ rateHz: 10, overflow: "explode" as "block" }, "overflow is \"explode\""],
    [{ rateHz: 10, devices: ["nobody"] }, "devices is \"nobody\": expected names of the source's devices: probe"]
  ]
  it.effect.each(refusals)("refuses %o before the first poll", ([options, message]) =>
    Effect.gen(function*() {
      const { begins, layer } = timedSource()
      const error = yield* Recorder.record(options).pipe(Stream.runDrain, Effect.provide(layer), Effect.flip)
      assert.strictEqual(error._tag, "InvalidOptionError")
      assert.include(error.message, message)
      assert.deepStrictEqual(begins, [])
    }))

  it.live("begins no tick before its target, on the live clock", () =>
    Effect.gen(function*() {
      for (const precise of [false, true]) {
        const ticks = yield* Recorder.record({ rateHz: 200, duration: "200 millis", precise }).pipe(
          Stream.runCollect,
          Effect.provide(timedSource().layer)
        )
        assert.isTrue(ticks.every((tick) => tick.driftMs >= 0))
      }
    }))
})
