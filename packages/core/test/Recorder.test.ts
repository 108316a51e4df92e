import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Logger, Metric, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FrameFormat, type FrameRecord } from "../src/Frame.ts"
import { InvalidOptionError } from "../src/InvalidOptionError.ts"
import { MemorySink } from "../src/MemorySink.ts"
import { pipeToSink } from "../src/pipeToSink.ts"
import { PollSource, type Reading } from "../src/PollSource.ts"
import * as PushRecorder from "../src/PushRecorder.ts"
import * as Recorder from "../src/Recorder.ts"
import type { DeviceFailure, Tick } from "../src/Sample.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { DeviceError } from "../src/SourceError.ts"
import { timedSource } from "./sources.ts"

const lossesOf = (ticks: ReadonlyArray<Tick>) =>
  ticks.map(({ dropped, index, skipped }) => ({ index, skipped, dropped }))

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

  /** Ten slots into a buffer of two; the consumer takes nothing after the first tick until all ten slots have passed. */
  const overflowing = (overflow: Recorder.Overflow) =>
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

  it.effect("passes a device's failure on as data", () =>
    Effect.gen(function*() {
      const ticks = yield* Recorder.record({ rateHz: 10, duration: 1 }).pipe(
        Stream.runCollect,
        Effect.provide(PollSource.layer({
          devices: ["fuel", "air", "broken"],
          poll: (device) =>
            device === "fuel"
              ? Effect.succeed({ Flow: 1 })
              : device === "air"
              ? Effect.fail("no reply")
              : Effect.die(new Error("bug"))
        }))
      )
      assert.deepStrictEqual(ticks[0]?.samples.map((sample) => sample.device), ["fuel"])
      assert.deepStrictEqual(
        ticks[0]?.failures.map(({ device, error }) => [device, error._tag, error.detail]),
        [["air", "DeviceError", "no reply"], ["broken", "DeviceError", "bug"]]
      )
    }))

  const odd = (value: unknown) => Effect.succeed(value as FrameRecord)
  it.effect.each<readonly [string, () => Effect.Effect<FrameRecord, unknown>, string, string]>([
    [
      "fails with an error of two lines",
      // @effect-diagnostics-next-line globalErrorInEffectFailure:off
      () => Effect.fail(new Error("line one\n  line two")),
      "Unknown",
      "line one line two"
    ],
    ["fails with an object", () => Effect.fail({ code: 7 }), "Unknown", "{\"code\":7}"],
    [
      "throws",
      () => {
        throw new Error("thrown")
      },
      "Unknown",
      "thrown"
    ],
    ["interrupts itself", () => Effect.interrupt, "Unknown", "All fibers interrupted without error"],
    ["never answers", () => Effect.never, "Timeout", "no reply within 5s"],
    ["gives null", () => odd(null), "Malformed", "poll gave null: expected an object of numbers, texts and nulls"],
    ["gives an array", () => odd([1, 2]), "Malformed", "poll gave an array: expected"],
    ["gives a number", () => odd(5), "Malformed", "poll gave a number: expected"],
    ["gives a boolean in a field", () => odd({ On: true }), "Malformed", "poll gave a boolean for On: expected"],
    ["gives an object in a field", () => odd({ At: new Date(0) }), "Malformed", "poll gave an object for At: expected"]
  ])("counts a device whose poll %s as failed, and goes on", ([, poll, reason, message]) =>
    Effect.gen(function*() {
      let polls = 0
      const fiber = yield* Recorder.record({ period: "10 seconds", duration: "20 seconds" }).pipe(
        Stream.runCollect,
        Effect.provide(PollSource.layer({
          devices: ["odd"],
          poll: () => polls++ === 0 ? poll() : Effect.succeed({ Flow: 1 })
        })),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      const [first, second] = yield* Fiber.join(fiber)
      assert.strictEqual(first?.failures[0]?.error.reason, reason)
      assert.include(first?.failures[0]?.error.message, `odd: ${message}`)
      assert.strictEqual(second?.samples.length, 1)
    }))

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

  it.effect("counts skipped and dropped ticks and failures in the metrics", () =>
    Effect.gen(function*() {
      const counts = Effect.map(Metric.snapshot, (metrics) =>
        ["sampleline_ticks_skipped", "sampleline_ticks_dropped", "sampleline_device_failures"].map((id) =>
          metrics.filter((metric) =>
            metric.id === id
          ).reduce(
            (sum, metric) => sum + ("count" in metric.state ? Number(metric.state.count) : 0),
            0
          )
        ))
      const before = yield* counts
      yield* overflowing("dropOldest")
      yield* overflowing("block")
      yield* Recorder.record({ rateHz: 10, duration: 1 }).pipe(
        Stream.runDrain,
        Effect.provide(PollSource.layer({ devices: ["fuel"], poll: () => Effect.fail("no reply") }))
      )
      assert.deepStrictEqual((yield* counts).map((count, at) => count - before[at]!), [6, 7, 1])
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

describe("PushRecorder.record", () => {
  const format = FrameFormat.fromRecord({ Temperature: 1 })
  const devices = ["oven", "fridge"].map((name) => ({ name, unitId: "", identity: null, format }))
  const reading = (device: string, value: number): Reading => ({
    device,
    unitId: "",
    requestedAt: value,
    receivedAt: value,
    requestedMonotonicNanos: value,
    receivedMonotonicNanos: value,
    frame: format.frame({ Temperature: value })
  })
  const failure: DeviceFailure = {
    device: "oven",
    error: new DeviceError({ device: "oven", reason: "Timeout", detail: "silent" }),
    at: 0
  }

  it.effect("makes a tick of each reading and each failure, and ends with its stream", () =>
    Effect.gen(function*() {
      const outcomes = Stream.fromIterable([reading("oven", 1), failure, reading("oven", 2)])
      const summary = yield* PushRecorder.record(outcomes, { devices }).pipe(pipeToSink())
      const { samples } = yield* MemorySink
      assert.deepStrictEqual(samples.map(({ frame, sequence }) => [sequence, frame.values[0]]), [[0, 1], [1, 2]])
      assert.deepInclude(summary, {
        ticks: 3,
        samplesLate: 0,
        failures: { oven: 1, fridge: 0 },
        silentDevices: ["fridge"]
      })
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("ends after its duration, and when the run is ended, with whatever it is given on its way out", () =>
    Effect.gen(function*() {
      for (const how of ["duration", "end"] as const) {
        let released = 0
        const outcomes = Stream.fromEffectSchedule(Effect.succeed(reading("oven", 1)), Schedule.spaced("1 second"))
          .pipe(
            Stream.ensuring(Effect.sync(() => released++))
          )
        const recording = yield* PushRecorder.record(outcomes, {
          devices,
          duration: how === "duration" ? "3500 millis" : undefined
        }).pipe(
          pipeToSink(),
          Recorder.endWhen(how === "end" ? Effect.sleep("3500 millis") : Effect.never),
          Effect.forkChild
        )
        yield* TestClock.adjust("10 seconds")
        const summary = yield* Fiber.join(recording)
        assert.deepInclude(summary, { ticks: 4, samplesEmitted: 4 })
        assert.strictEqual(released, 1)
      }
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("drops and counts as the overflow policy says", () =>
    Effect.gen(function*() {
      const outcomes = Stream.fromIterable(Array.from({ length: 10 }, (_, n) => reading("oven", n)))
      for (const overflow of ["block", "dropNewest", "dropOldest"] as const) {
        const ticks = yield* PushRecorder.record(outcomes, { devices, overflow, bufferSize: 2 }).pipe(
          Stream.mapEffect((tick) => Effect.as(Effect.yieldNow, tick)),
          Stream.runCollect
        )
        const delivered = ticks.flatMap(({ samples }) => samples.map(({ frame }) => frame.values[0]))
        const dropped = ticks.reduce((sum, tick) => sum + tick.dropped, 0)
        assert.strictEqual(delivered.length + dropped, 10, overflow)
        if (overflow === "block") assert.strictEqual(dropped, 0)
        if (overflow === "dropOldest") assert.strictEqual(delivered.at(-1), 9)
      }
    }))

  it.effect("fails as its stream does, after what came before is written", () =>
    Effect.gen(function*() {
      const outcomes = Stream.concat(Stream.make(reading("oven", 1)), Stream.fail("unplugged"))
      const error = yield* Effect.flip(PushRecorder.record(outcomes, { devices }).pipe(pipeToSink()))
      assert.strictEqual(error, "unplugged")
      assert.strictEqual((yield* MemorySink).samples.length, 1)
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect.each([{ duration: 0 }, { bufferSize: 0 }, { overflow: "wait" as "block" }])(
    "refuses %j",
    (options) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Stream.runDrain(PushRecorder.record(Stream.empty, { devices, ...options })))
        assert.instanceOf(error, InvalidOptionError)
      })
  )
})
