import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { FrameRecord } from "../src/Frame.ts"
import { PollSource } from "../src/PollSource.ts"
import * as Recorder from "../src/Recorder.ts"

describe("PollSource.make", () => {
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
})

describe("PollSource.layerAll", () => {
  const probes = (names: ReadonlyArray<string>, value: number, takes = 0) =>
    PollSource.layer({
      devices: names,
      poll: (name) => name === "bad" ? Effect.fail("no reply") : Effect.delay(Effect.succeed({ Value: value }), takes)
    })

  it.effect("polls all sources side by side, and gives readings in the order of the names", () =>
    Effect.gen(function*() {
      const source = yield* Effect.provide(
        PollSource,
        PollSource.layerAll([probes(["a", "bad"], 1, 40), probes(["b"], 2, 50)])
      )
      assert.deepStrictEqual(source.devices.map((device) => device.name), ["a", "bad", "b"])
      const polling = yield* Effect.forkChild(source.poll(["b", "bad", "a"]))
      yield* TestClock.adjust(50)
      const { failures, readings } = yield* Fiber.join(polling)
      assert.deepStrictEqual(readings.map(({ device, frame }) => [device, frame.values[0]]), [["b", 2], ["a", 1]])
      assert.deepStrictEqual(failures.map(({ device }) => device), ["bad"])
    }))

  it.effect("asks a source only for its own devices, and knows formats that come later", () =>
    Effect.gen(function*() {
      const source = yield* Effect.provide(PollSource, PollSource.layerAll([probes(["a"], 1), probes(["b"], 2)]))
      const { readings } = yield* source.poll(["b"])
      assert.deepStrictEqual(readings.map(({ device }) => device), ["b"])
      assert.deepStrictEqual(source.devices.map((device) => device.format === null), [true, false])
    }))

  it.effect("joins their buses, and provides what else they provide", () =>
    Effect.gen(function*() {
      class Extra extends Context.Service<Extra, { readonly answer: number }>()("Extra") {}
      const bus = (name: string) =>
        Layer.succeed(PollSource, {
          devices: [{ name, unitId: "A", identity: null, format: null }],
          buses: [{ name: `/dev/${name}`, roundTripSeconds: new Map([[name, 0.1]]) }],
          poll: () => Effect.succeed({ readings: [], failures: [] })
        })
      const layer = PollSource.layerAll([Layer.merge(bus("x"), Layer.succeed(Extra, { answer: 42 })), bus("y")])
      const [source, extra] = yield* Effect.provide(Effect.all([PollSource, Extra]), layer)
      assert.deepStrictEqual(source.buses?.map((bus) => bus.name), ["/dev/x", "/dev/y"])
      assert.strictEqual(extra.answer, 42)
    }))

  it.effect("refuses two devices of one name", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Effect.provide(PollSource, PollSource.layerAll([probes(["a"], 1), probes(["a"], 2)]))
      )
      assert.strictEqual(
        error.message,
        "layerAll is \"a\": expected devices with different names; two sources have this one"
      )
    }))
})
