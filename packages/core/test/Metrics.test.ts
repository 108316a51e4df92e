import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Metric, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FrameFormat } from "../src/Frame.ts"
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

  it.effect("gives the last value of each numeric field, and none while a device fails or has no value", () =>
    Effect.gen(function*() {
      const values = Effect.map(
        Metric.snapshot,
        (metrics) =>
          metrics.flatMap(({ attributes, id, state }) =>
            id === "sampleline_device_value" && "value" in state && attributes?.["device"] === "oven"
              ? [[attributes["field"], attributes["units"], state.value]]
              : []
          )
      )
      const format = FrameFormat.make([
        { name: "Temperature", unit: "°C" },
        { name: "Power" },
        { name: "Door", kind: "text" }
      ])
      const polls = [
        Effect.succeed({ Temperature: 180.5, Power: null, Door: "closed" }),
        Effect.succeed({ Temperature: 181, Power: 7, Door: "closed" }),
        Effect.succeed({ Temperature: Number.NaN, Door: "open" }),
        Effect.fail("no reply"),
        Effect.succeed({ Temperature: 179, Power: 8, Door: "closed" })
      ].values()
      const seen: Array<unknown> = []
      const fiber = yield* Recorder.record({ rateHz: 10, duration: "500 millis" }).pipe(
        Stream.runForEach(() => Effect.map(values, (values) => seen.push(values))),
        Effect.provide(
          PollSource.layer({ devices: { oven: { format } }, poll: () => Effect.suspend(() => polls.next().value!) })
        ),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, [
        [["Temperature", "°C", 180.5]],
        [["Temperature", "°C", 181], ["Power", undefined, 7]],
        [["Temperature", "°C", Number.NaN]],
        [],
        [["Temperature", "°C", 179], ["Power", undefined, 8]]
      ])
      assert.deepStrictEqual(yield* values, [])
    }))

  it.effect("tells nothing of the devices of a run that is over", () =>
    Effect.gen(function*() {
      const ofDevice = Effect.map(Metric.snapshot, (metrics) =>
        metrics.filter(({ attributes }) => attributes?.["device"] === "kiln").map(({ id }) => id))
      const seen: Array<unknown> = []
      yield* Recorder.record({ rateHz: 10, duration: 1 }).pipe(
        Stream.runForEach(() =>
          Effect.map(ofDevice, (ids) => seen.push(ids))
        ),
        Effect.provide(PollSource.layer({ devices: ["kiln"], poll: () => Effect.succeed({ Temperature: 900 }) }))
      )
      assert.deepStrictEqual(seen, [["sampleline_device_up", "sampleline_device_value"]])
      assert.deepStrictEqual(yield* ofDevice, [])
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
