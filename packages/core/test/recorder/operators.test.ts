import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FrameFormat } from "../../src/Frame.ts"
import { MemorySink } from "../../src/MemorySink.ts"
import { pipeToSink } from "../../src/pipeToSink.ts"
import { PollSource } from "../../src/PollSource.ts"
import * as Recorder from "../../src/Recorder.ts"
import type { Tick } from "../../src/Sample.ts"
import { DeviceError } from "../../src/SourceError.ts"
import { timedSource } from "../sources.ts"
import { tick, ticks } from "../ticks.ts"

const flow = FrameFormat.make([
  { name: "Mass_Flow", unit: "SCCM" },
  { name: "Totalizer", kind: "int", unit: "SL" },
  { name: "Gas", kind: "text" }
])

/** Two devices; of every ten polls of `air` one fails. */
const source = () => {
  let polls = 0
  return PollSource.layer({
    devices: { fuel: { format: flow }, air: { format: flow } },
    poll: (device) =>
      device === "air" && polls++ % 10 === 3
        ? Effect.fail("no reply")
        : Effect.succeed({ Mass_Flow: device === "air" ? 50 : 2, Totalizer: 7, Gas: "N2" })
  })
}

const sequences = (ticks: ReadonlyArray<Tick>) => ticks.flatMap((tick) => tick.samples.map((s) => s.sequence))

describe("Recorder.every", () => {
  it.effect("keeps one tick of n and all accounts", () =>
    Effect.gen(function*() {
      const { layer } = timedSource([0, 0, 250, 0, 0, 0, 0, 0, 1250])
      const fiber = yield* Recorder.record({ period: 100, duration: "3 seconds" }).pipe(
        Recorder.every(5),
        pipeToSink(),
        Effect.provide(layer),
        Effect.forkChild
      )
      yield* TestClock.adjust("4 seconds")
      const summary = yield* Fiber.join(fiber)
      const { samples } = yield* MemorySink
      assert.deepInclude(summary, { ticks: 16, samplesEmitted: 5, thinned: 11, ticksSkipped: 14, silentDevices: [] })
      // The slots 0, 5, 10, 23 and 25. Slots 11 to 22 were skipped, so 23 is the first of its five.
      assert.deepStrictEqual(samples.map((sample) => sample.sequence), [0, 3, 8, 9, 11])
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("keeps a tick in each n slots although the exact slot was skipped", () =>
    Effect.gen(function*() {
      const indexes = [0, 1, 4, 6, 7, 9, 15, 16]
      const kept = yield* Stream.fromIterable(indexes.map((index) => tick(index))).pipe(
        Recorder.every(3),
        Stream.runCollect
      )
      assert.deepStrictEqual(sequences(kept), [0, 4, 6, 9, 15])
      assert.strictEqual(kept.length, indexes.length)
    }))

  it.effect("starts again with each run of the stream", () =>
    Effect.gen(function*() {
      const thinned = ticks(10).pipe(Recorder.every(4))
      assert.deepStrictEqual(sequences(yield* Stream.runCollect(thinned)), [0, 4, 8])
      assert.deepStrictEqual(sequences(yield* Stream.runCollect(thinned)), [0, 4, 8])
    }))

  it.effect.each([0, -1, 1.5, Number.NaN])("refuses %d", (n) =>
    Effect.gen(function*() {
      const error = yield* ticks(1).pipe(Recorder.every(n), Stream.runDrain, Effect.flip)
      assert.include(error.message, `every is ${n}`)
    }))
})

describe("Recorder.filterSamples", () => {
  it.effect("keeps what matches, counts the rest as thinned, and keeps failures and sequence numbers", () =>
    Effect.gen(function*() {
      const fiber = yield* Recorder.record({ rateHz: 10, duration: "3 seconds" }).pipe(
        Recorder.filterSamples((sample) => Number(sample.value("Mass_Flow")) > 10),
        pipeToSink(),
        Effect.provide(source()),
        Effect.forkChild
      )
      yield* TestClock.adjust("4 seconds")
      const summary = yield* Fiber.join(fiber)
      const { samples } = yield* MemorySink
      assert.deepInclude(summary, {
        ticks: 30,
        samplesEmitted: 27,
        thinned: 30,
        failures: { fuel: 0, air: 3 },
        silentDevices: []
      })
      assert.isTrue(samples.every((sample) => sample.device === "air"))
      assert.deepStrictEqual(samples.slice(0, 4).map((sample) => sample.sequence), [1, 3, 5, 8])
    }).pipe(Effect.provide(MemorySink.layer)))
})

describe("Recorder.mapValues", () => {
  const mapped = Recorder.record({ rateHz: 10, duration: "200 millis" }).pipe(
    Recorder.mapValues({
      Mass_Flow: { unit: "g/min", map: (sccm) => sccm / 4 },
      Totalizer: { map: (litres) => litres / 2 }
    })
  )

  it.effect("changes numbers, and the formats of samples and devices with them", () =>
    Effect.gen(function*() {
      const fiber = yield* mapped.pipe(Stream.runCollect, Effect.provide(source()), Effect.forkChild)
      yield* TestClock.adjust("1 second")
      const ticks = yield* Fiber.join(fiber)
      const samples = ticks.flatMap((tick) => tick.samples)
      assert.deepStrictEqual(samples.map((sample) => sample.value("Mass_Flow")), [0.5, 12.5, 0.5, 12.5])
      assert.deepStrictEqual(samples.map((sample) => [sample.value("Totalizer"), sample.value("Gas")])[0], [3.5, "N2"])
      const [first, second] = samples
      assert.deepStrictEqual(first!.frame.format.fields.map(({ kind, unit }) => [kind, unit]), [
        ["float", "g/min"],
        ["float", "SL"],
        ["text", null]
      ])
      // One object for all samples and for the run's devices: plans for rows are cached by it.
      assert.strictEqual(second!.frame.format, first!.frame.format)
      assert.strictEqual(ticks[1]!.run, ticks[0]!.run)
      assert.isTrue(first!.run.devices.every((device) => device.format === first!.frame.format))
      assert.strictEqual(first!.latencyMicros, 0)
    }))

  it.effect("maps what was thinned before, and leaves nulls", () =>
    Effect.gen(function*() {
      const layer = PollSource.layer({ devices: ["probe"], poll: () => Effect.succeed({ Flow: null, Pressure: 3 }) })
      const [only] = yield* Recorder.record({ rateHz: 10, duration: 1 }).pipe(
        Recorder.filterSamples(() => false),
        Recorder.mapValues({
          Flow: { map: (value) => value + 1 },
          Pressure: { unit: null, map: (value) => value + 1 }
        }),
        Stream.runCollect,
        Effect.provide(layer)
      )
      assert.deepStrictEqual(only!.samples, [])
      assert.deepStrictEqual(only!.thinned[0]!.frame.values, [null, 4])
    }))

  it.effect.each(
    [
      ["Masflow", "mapValues is \"Masflow\": expected the name of a number field, one of Mass_Flow, Totalizer"],
      ["Gas", "mapValues is \"Gas\": expected the name of a number field"]
    ] as const
  )("refuses the field %s", ([field, message]) =>
    Effect.gen(function*() {
      const error = yield* Recorder.record({ rateHz: 10, duration: 1 }).pipe(
        Recorder.mapValues({ [field]: { map: (value) => value } }),
        Stream.runDrain,
        Effect.provide(source()),
        Effect.flip
      )
      assert.include(error.message, message)
    }))

  it.effect("writes what came before a map that throws, and dies", () =>
    Effect.gen(function*() {
      let calls = 0
      const exit = yield* ticks(10).pipe(
        Recorder.mapValues({
          Value: {
            map: (value) => {
              if (calls++ === 5) throw new Error("no such value")
              return value
            }
          }
        }),
        pipeToSink(),
        Effect.exit
      )
      assert.strictEqual(exit._tag, "Failure")
      assert.strictEqual((yield* MemorySink).samples.length, 5)
    }).pipe(Effect.provide(MemorySink.layer)))
})

describe("operators", () => {
  it.effect("keep failures, losses and clock steps of ticks without samples, and the trailer", () =>
    Effect.gen(function*() {
      const failure = {
        device: "probe",
        at: 1,
        error: new DeviceError({ device: "probe", reason: "Timeout", detail: "" })
      }
      const given: ReadonlyArray<Tick> = [
        { ...tick(3, 0), skipped: 2, failures: [failure] },
        { ...tick(4), dropped: 1, droppedFailures: new Map([["probe", 1]]) },
        { ...tick(9, 0), skipped: 4, isTrailer: true }
      ]
      const kept = yield* Stream.fromIterable(given).pipe(
        Recorder.every(2),
        Recorder.filterSamples(() => false),
        Recorder.mapValues({ Value: { map: (value) => value } }),
        pipeToSink()
      )
      assert.deepInclude(kept, {
        ticks: 2,
        samplesEmitted: 0,
        thinned: 1,
        ticksSkipped: 6,
        ticksDropped: 1,
        failures: { probe: 2 }
      })
    }).pipe(Effect.provide(MemorySink.layer)))
})
