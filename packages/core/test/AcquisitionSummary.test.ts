import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { MemorySink } from "../src/MemorySink.ts"
import { pipeToSink } from "../src/pipeToSink.ts"
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
        clockSteps: [],
        sinks: [{ sink: "MemorySink", target: "memory", rows: 5, columnsDropped: {}, error: null }]
      })
      assert.match(summary.runId ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    }).pipe(Effect.provide(MemorySink.layer)))
})
