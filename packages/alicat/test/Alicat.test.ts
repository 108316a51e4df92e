import { assert, describe, it } from "@effect/vitest"
import { MemorySink, pipeToSink, Recorder, SampleSink } from "@sampleline/core"
import { Config, ConfigProvider, Effect } from "effect"
import * as Alicat from "../src/Alicat.ts"
import { SimulatedDevice } from "../src/simulator/SimulatedDevice.ts"
import * as Simulator from "../src/simulator/Simulator.ts"
import { recorded, scriptedPort } from "./ports.ts"

describe.concurrent("Alicat.layer", () => {
  it.live("opens, identifies and polls devices on several ports at once", () =>
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
          manufacturer: "Alicat Scientific",
          model: "MC-500SCCM-D",
          serialNumber: "100001",
          firmware: "10v20.0-R24",
          calibrationDate: "2025-03-02"
        }],
        ["air", "A", {
          manufacturer: "Alicat Scientific",
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

  it.live("polls several units on one port one after the other", () =>
    Effect.gen(function*() {
      const units = ["A", "B", "C"].map((unitId, n) => new SimulatedDevice({ unitId, serialNumber: n }))
      const port = yield* scriptedPort((command) =>
        units.map((unit) => unit.respond(command, 0).join("\r")).find((reply) => reply !== "") ?? null
      )
      const { samples } = yield* recorded({
        a: { port: port.path },
        b: { port: port.path, unit: "b" },
        c: { port: port.path, unit: "C", baud: undefined }
      }, 5)
      assert.deepStrictEqual(samples.slice(0, 6).map((sample) => sample.unitId), ["A", "B", "C", "A", "B", "C"])
    }))

  it.live("records a device that does not tell who it is", () =>
    Effect.gen(function*() {
      const device = new SimulatedDevice()
      const port = yield* scriptedPort((command) =>
        command === "AVE" ? null : command === "A??M*" ? "\r?" : device.respond(command, 0).join("\r")
      )
      const { samples } = yield* recorded({ fuel: { port: port.path } }, 2)
      assert.isNull(samples[0]?.run.devices[0]?.identity)
    }))

  it.live("records devices behind TCP, several units on one connection", () =>
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

  it.live("can be written by any sink", () =>
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

  it.live("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Simulator.make()
      const layer = Alicat.layerConfig({
        devices: Config.all({ fuel: Config.all({ port: Config.String("FUEL_PORT") }) })
      })
      const summary = yield* Recorder.record({ rateHz: 50, duration: "40 millis" }).pipe(
        pipeToSink(),
        Effect.provide([MemorySink.layer, layer]),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ FUEL_PORT: fuel!.port })))
      )
      assert.deepStrictEqual(Object.keys(summary.failures), ["fuel"])
      assert.isAbove(summary.samplesEmitted, 0)
    }))
})
