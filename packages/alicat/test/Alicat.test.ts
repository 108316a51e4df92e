import { assert, describe, it } from "@effect/vitest"

import { pipeToSink, PollSource, Recorder, SampleSink } from "@sampleline/core"
import { Config, ConfigProvider, Effect, Layer, Logger, References, Stream } from "effect"
import * as Alicat from "../src/Alicat.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { recorded } from "./ports.ts"

describe.concurrent("Alicat.layer", () => {
  it.live("opens, identifies and polls devices on several ports in parallel", () =>
    Effect.gen(function*() {
      const [fuel, air] = yield* Simulator.make({ devices: 2 })
      const { samples, summary } = yield* recorded({ fuel: fuel!, air: air! }, 10)
      assert.strictEqual(samples.length + summary.failures["fuel"]! + summary.failures["air"]!, 2 * summary.ticks)
      const first = samples.find((sample) => sample.device === "fuel") ?? assert.fail("no sample of fuel")
      const second = samples.find((sample) => sample.device === "air") ?? assert.fail("no sample of air")
      assert.notStrictEqual(first.requestedAt, second.requestedAt)
      assert.isTrue(samples.every((sample) => sample.latencyMicros > 0 && sample.receivedAt >= sample.requestedAt))
      assert.deepStrictEqual(first.run.devices.map(({ identity, name, unitId }) => [name, unitId, identity]), [
        ["fuel", "A", {
          manufacturer: "ALICAT SCIENTIFIC",
          model: "MC-500SCCM-D",
          serialNumber: "100001",
          firmware: "10v20.0-R24",
          calibrationDate: "2025-03-02"
        }],
        ["air", "A", {
          manufacturer: "ALICAT SCIENTIFIC",
          model: "MC-500SCCM-D",
          serialNumber: "100002",
          firmware: "10v20.0-R24",
          calibrationDate: "2025-03-02"
        }]
      ])
      assert.deepStrictEqual(first.frame.format.fields.map((field) => field.name), [
        "Abs_Press",
        "Flow_Temp",
        "Volu_Flow",
        "Mass_Flow",
        "Mass_Flow_Setpt",
        "Gas"
      ])
    }))

  it.live("says in annotations of the log which port and which device a line is about", () =>
    Effect.gen(function*() {
      const [a, b] = yield* Simulator.make({ devices: 2, units: 2, tcp: 0 })
      const lines: Array<readonly [string, unknown]> = []
      const logger = Logger.make(({ fiber, message }) => {
        lines.push([String(message), fiber.getRef(References.CurrentLogAnnotations)])
      })
      yield* Recorder.record({ rateHz: 10, duration: "100 millis" }).pipe(
        Stream.runDrain,
        Effect.provide(
          Alicat.layer({
            devices: { fuel: { port: a!.port, unit: a!.unit }, air: { port: b!.port, unit: b!.unit } }
          }).pipe(Layer.provideMerge(Logger.layer([logger])))
        ),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      const of = (part: string) => lines.filter(([text]) => text.includes(part)).map(([, annotations]) => annotations)
      const { port } = a!
      assert.deepStrictEqual(of("opened "), [{ port }])
      assert.deepStrictEqual(of("fuel is unit A"), [{ port, device: "fuel" }])
      assert.deepStrictEqual(of("air is unit B"), [{ port, device: "air" }])
      assert.isTrue(of(" < ").concat(of(" > ")).every((annotations) => (annotations as { port: string }).port === port))
      assert.isAbove(of(" > ").length, 0)
    }))

  it.live("records devices on TCP, several units on one connection", () =>
    Effect.gen(function*() {
      const ports = yield* Simulator.make({ devices: 3, units: 2, tcp: 0 })
      const [a, b, c] = ports
      assert.deepStrictEqual(ports.map(({ unit }) => unit), ["A", "B", "A"])
      assert.strictEqual(a!.port, b!.port)
      const { samples, summary } = yield* recorded({ a: a!, b: b!, c: c! }, 10)
      assert.strictEqual(samples.length, 3 * summary.ticks)
      assert.deepStrictEqual(
        samples[0]!.run.devices.map(({ identity, unitId }) => [unitId, identity?.serialNumber]),
        [["A", "100001"], ["B", "100002"], ["A", "100003"]]
      )
    }))

  it.live("records samples that any sink can write", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const rows: Array<number> = []
      const summary = yield* Recorder.record({ rateHz: 100, duration: "50 millis" }).pipe(
        pipeToSink({ batchSize: 2 }),
        Effect.provide([
          SampleSink.layer({ name: "rows", write: (batch) => Effect.sync(() => rows.push(batch.length)) }),
          Alicat.layer({ devices: { fuel: fuel! } })
        ])
      )
      assert.isTrue(rows.every((size) => size <= 2))
      assert.strictEqual(rows.reduce((sum, size) => sum + size, 0), summary.samplesEmitted)
    }))
})

describe.concurrent("Alicat.layerConfig", () => {
  it.live("takes options from the configuration", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const layer = Alicat.layerConfig({
        devices: { fuel: { port: Config.String("FUEL_PORT"), unit: Config.String("FUEL_UNIT") } },
        timeout: Config.succeed("300 millis")
      })
      const devices = yield* Effect.map(PollSource, (source) => source.devices).pipe(
        Effect.provide(layer),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown({ FUEL_PORT: fuel!.port, FUEL_UNIT: "A" })
        )
      )
      assert.deepStrictEqual(devices.map(({ identity, name }) => [name, identity?.serialNumber]), [["fuel", "100001"]])
    }))

  it.effect("names a variable that is missing", () =>
    Effect.gen(function*() {
      const layer = Alicat.layerConfig({ devices: { fuel: { port: Config.String("FUEL_PORT") } } })
      const error = yield* Effect.flip(Effect.provide(PollSource, layer)).pipe(
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
      )
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(error.message, "FUEL_PORT")
    }))
})
