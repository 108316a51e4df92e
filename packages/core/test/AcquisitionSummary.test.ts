import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FrameFormat, makeFrame } from "../src/Frame.ts"
import { MemorySink } from "../src/MemorySink.ts"
import { pipeToSink } from "../src/pipeToSink.ts"
import { PollSource } from "../src/PollSource.ts"
import * as Recorder from "../src/Recorder.ts"
import { timedSource } from "./sources.ts"

describe("AcquisitionSummary", () => {
  it.effect("sums up ticks, losses, drift, failures and sinks", () =>
    Effect.gen(function*() {
      const fiber = yield* Recorder.record({ period: 100, duration: 700 }).pipe(
        pipeToSink(),
        Effect.provide(timedSource([0, 0, 250, 0, 130]).layer),
        Effect.forkChild
      )
      yield* TestClock.adjust("2 seconds")
      const summary = yield* Fiber.join(fiber)
      assert.deepInclude(summary, {
        startedAt: 0,
        finishedAt: 730_000,
        ticks: 5,
        samplesEmitted: 5,
        samplesLate: 2,
        ticksSkipped: 2,
        ticksDropped: 0,
        maxDriftMs: 0,
        failures: { probe: 0 },
        changedDevices: {},
        fieldFailures: {},
        clockSteps: [],
        sinks: [{ sink: "MemorySink", target: "memory", rows: 5, columnsDropped: {}, error: null }]
      })
      assert.match(summary.runId ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("has the start of the run, which its events have too", () =>
    Effect.gen(function*() {
      const opening = Effect.delay(Effect.succeed(Recorder.record({ period: 100, duration: 200 })), 500)
      const fiber = yield* Stream.unwrap(opening).pipe(
        pipeToSink(),
        Effect.provide(timedSource().layer),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).startedAt, 500_000)
      assert.deepInclude((yield* MemorySink).events[0], { _tag: "RunStarted", at: 500_000 })
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("counts fields that failed, and warns of each once; their readings are samples", () =>
    Effect.gen(function*() {
      const format = FrameFormat.make([{ name: "Flow" }, { name: "Temp" }])
      const lines: Array<string> = []
      let polls = 0
      const fiber = yield* Recorder.record({ period: 100, duration: 500 }).pipe(
        Recorder.mapValues({ Flow: { map: (flow) => 2 * flow } }),
        pipeToSink(),
        Effect.provide([
          PollSource.layer({
            devices: { probe: { format } },
            poll: () =>
              Effect.sync(() =>
                polls++ % 2 === 0
                  ? makeFrame(format, [1, null], [], [{ field: "Temp", detail: "a number for Temp instead of \"x\"" }])
                  : makeFrame(format, [1, 2])
              )
          }),
          Logger.layer([Logger.make(({ logLevel, message }) => {
            if (logLevel === "Warn") lines.push(String(message))
          })])
        ]),
        Effect.forkChild
      )
      yield* TestClock.adjust("2 seconds")
      const summary = yield* Fiber.join(fiber)
      assert.deepInclude(summary, {
        samplesEmitted: 5,
        failures: { probe: 0 },
        fieldFailures: { probe: { Temp: 3 } }
      })
      assert.deepStrictEqual(lines, [
        "probe: Temp is null, the rest of the reading is kept: expected a number for Temp instead of \"x\"; "
        + "further ones are only counted"
      ])
    }).pipe(Effect.provide(MemorySink.layer)))
})
