import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FrameFormat } from "../src/Frame.ts"
import { InvalidOptionError } from "../src/InvalidOptionError.ts"
import { MemorySink } from "../src/MemorySink.ts"
import { pipeToSink } from "../src/pipeToSink.ts"
import type { Reading } from "../src/PollSource.ts"
import * as PushRecorder from "../src/PushRecorder.ts"
import * as Recorder from "../src/Recorder.ts"
import type { DeviceFailure } from "../src/Sample.ts"
import { DeviceError } from "../src/SourceError.ts"

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
