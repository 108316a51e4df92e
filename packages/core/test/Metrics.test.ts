import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, Stream } from "effect"
import { TestClock } from "effect/testing"
import { pipeToSink } from "../src/pipeToSink.ts"
import { PollSource } from "../src/PollSource.ts"
import * as Recorder from "../src/Recorder.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { overflowing } from "./losses.ts"
import { ticks } from "./ticks.ts"

describe("Metrics", () => {
  it.effect("counts accepted samples in the metrics, by sink", () =>
    Effect.gen(function*() {
      yield* ticks(7).pipe(
        pipeToSink(),
        Effect.provide(SampleSink.layer({ name: "metered", write: () => Effect.void }))
      )
      const snapshot = yield* Metric.snapshot
      const written = snapshot.find((metric) =>
        metric.id === "sampleline_samples_written" && metric.attributes?.["sink"] === "metered"
      )
      assert.deepInclude(written?.state, { count: 7 })
    }))

  it.effect("tells which device answers", () =>
    Effect.gen(function*() {
      const up = Effect.map(Metric.snapshot, (metrics) =>
        metrics.filter(({ id }) =>
          id === "sampleline_device_up"
        ).map(({ attributes, state }) => [
          attributes?.["device"],
          "value" in state && Number(state.value)
        ]))
      let polls = 0
      const poll = () =>
        Effect.suspend(() => ++polls === 2 ? Effect.fail("no reply") : Effect.succeed({ Value: polls }))
      const seen: Array<unknown> = []
      const fiber = yield* Recorder.record({ rateHz: 10, duration: "300 millis" }).pipe(
        Stream.tap(() => Effect.map(up, (values) => seen.push(values.find(([device]) => device === "gauge")?.[1]))),
        Stream.runDrain,
        Effect.provide(PollSource.layer({ devices: ["gauge"], poll })),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, [1, 0, 1])
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
})
