import { assert, describe, it } from "@effect/vitest"
import { Array, Effect, Fiber, type Layer, Logger, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FrameFormat, makeFrame } from "../../src/Frame.ts"
import { MemorySink } from "../../src/MemorySink.ts"
import { pipeToSink } from "../../src/pipeToSink.ts"
import { PollSource } from "../../src/PollSource.ts"
import * as Recorder from "../../src/Recorder.ts"
import { SampleSink } from "../../src/SampleSink.ts"
import { timedSource } from "../sources.ts"

describe("warnings", () => {
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

  it.effect("says in annotations which device and which port a line is about", () =>
    Effect.gen(function*() {
      const lines: Array<unknown> = []
      const format = FrameFormat.fromRecord({ Flow: 0 })
      const { poll } = yield* PollSource.make({ devices: ["fuel"], poll: () => Effect.fail("no reply") })
      const { poll: pollAir } = yield* PollSource.make({
        devices: ["air"],
        poll: () => Effect.succeed(makeFrame(format, [null], [], [{ field: "Flow", detail: "a number" }]))
      })
      const source = PollSource.of({
        devices: ["fuel", "air"].map((name) => ({ name, unitId: "", identity: null, format })),
        buses: [{ name: "COM3", roundTripSeconds: new Map([["fuel", 1]]) }],
        poll: () =>
          Effect.zipWith(poll(["fuel"]), pollAir(["air"]), (fuel, air) => ({
            readings: air.readings,
            failures: fuel.failures
          }))
      })
      yield* Recorder.record({ rateHz: 10, duration: 1 }).pipe(
        Stream.runDrain,
        Effect.provideService(PollSource, source),
        Effect.provide(
          Logger.layer([Logger.make(({ fiber }) => lines.push(fiber.getRef(References.CurrentLogAnnotations)))])
        )
      )
      assert.deepStrictEqual(lines, [{ port: "COM3" }, { device: "fuel" }, { device: "air", field: "Flow" }])
    }))

  it.effect("warns of a device that fails, and reports at INFO that it answers again", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      let polls = 0
      yield* Recorder.record({ rateHz: 10, duration: "300 millis" }).pipe(
        Stream.runDrain,
        Effect.provide([
          PollSource.layer({
            devices: ["fuel"],
            poll: () => polls++ === 0 ? Effect.fail("no reply") : Effect.succeed({ Flow: 1 })
          }),
          Logger.layer([Logger.make(({ logLevel, message }) => lines.push(`${logLevel} ${String(message)}`))])
        ]),
        Effect.forkChild({ startImmediately: true }),
        Effect.tap(() => TestClock.adjust("1 second")),
        Effect.flatMap(Fiber.join)
      )
      assert.deepStrictEqual(lines, [
        "Warn fuel: no reply; further failures are only counted until it answers again",
        "Info fuel: answers again after 1 failure"
      ])
    }))

  describe("of a device that fails again and again", () => {
    /** Records a device that fails in some of the ticks, one after the other. */
    const recorded = Effect.fnUntraced(function*(rateHz: number, ticks: number, fails: (tick: number) => boolean) {
      const lines: Array<string> = []
      let polls = 0
      const fiber = yield* Recorder.record({ rateHz, duration: `${ticks / rateHz} seconds` }).pipe(
        pipeToSink(),
        Effect.andThen(MemorySink),
        Effect.provide([
          MemorySink.layer,
          PollSource.layer({
            devices: ["fuel"],
            poll: () => fails(polls++) ? Effect.fail("no reply") : Effect.succeed({ Flow: 1 })
          }),
          Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])
        ]),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust(`${ticks / rateHz + 1} seconds`)
      const { events } = yield* Fiber.join(fiber)
      return {
        lines: lines.filter((line) => line.startsWith("fuel: ")),
        events: events.flatMap((event) => {
          if (event._tag === "DeviceFailing") return ["failing"]
          return event._tag === "DeviceBack" ? [`back after ${event.failures}`] : []
        })
      }
    })
    const asEvents = (lines: ReadonlyArray<string>) =>
      lines.map((line) =>
        line.includes("no reply") ? "failing" : line.replace(/^.* again after (\d+) failures?$/, "back after $1")
      )

    it.effect("are few, and agree with the events", () =>
      Effect.gen(function*() {
        const { events, lines } = yield* recorded(5, 600, (tick) => tick % 23 === 0)
        assert.deepStrictEqual(lines, [
          "fuel: no reply; further failures are only counted until it answers again",
          "fuel: answers again after 1 failure",
          "fuel: no reply; further failures are only counted until it answers for 5 s without one",
          "fuel: answers again after 26 failures"
        ])
        assert.deepStrictEqual(asEvents(lines), events)
      }))

    it.effect("are one pair each time if it fails once in an hour", () =>
      Effect.gen(function*() {
        const { events, lines } = yield* recorded(0.1, 1080, (tick) => tick % 360 === 5)
        const pair = [
          "fuel: no reply; further failures are only counted until it answers again",
          "fuel: answers again after 1 failure"
        ]
        assert.deepStrictEqual(lines, [...pair, ...pair, ...pair])
        assert.deepStrictEqual(asEvents(lines), events)
      }))
  })
})

describe("watchSkips", () => {
  const recorded = Effect.fnUntraced(function*(
    takes: ReadonlyArray<number>,
    duration: number,
    sink: Layer.Layer<SampleSink>
  ) {
    const lines: Array<string> = []
    const fiber = yield* Recorder.record({ period: 100, duration, bufferSize: 1 }).pipe(
      pipeToSink({ batchSize: 1 }),
      Effect.provide([
        sink,
        timedSource(takes).layer,
        Logger.layer([
          Logger.make(({ logLevel, message }) => {
            if (logLevel === "Warn") lines.push(String(message))
          })
        ])
      ]),
      Effect.forkChild
    )
    yield* TestClock.adjust("2 hours")
    yield* Fiber.join(fiber)
    return lines
  })
  const many = (millis: number) => Array.makeBy(100_000, () => millis)

  it.effect("warns of polls that take longer than a slot, at growing intervals", () =>
    Effect.gen(function*() {
      const lines = yield* recorded(many(250), 100_000, MemorySink.layer)
      // After 1, 11, 31 and 71 seconds.
      assert.strictEqual(lines.length, 4)
      assert.match(
        lines[0]!,
        /^\d+ of \d+ slots were skipped \(6\d %\): polls took up to 250 ms, and a slot is 100 ms; lower the rate, or put the/
      )
    }))

  it.effect("warns of outputs that do not keep up", () =>
    Effect.gen(function*() {
      const slow = SampleSink.layer({ name: "slow", write: () => Effect.sleep("1 second") })
      const [line] = yield* recorded([], 10_000, slow)
      assert.include(line, "the outputs do not keep up, and the buffer is full")
    }))

  it.effect("says nothing of one long poll among hundreds", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* recorded([...Array.makeBy(400, () => 1), 350], 60_000, MemorySink.layer), [])
    }))
})
