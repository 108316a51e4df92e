/**
 * A file that is read back: the page sees what is in it, whole and close by, also while it is read and while it grows.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { pipeToSink, type Tick } from "@sampleline/core"
import { open } from "@sampleline/files"
import { CsvSink } from "@sampleline/sinks"
import { Effect, FileSystem, Stream } from "effect"
import * as LevelFile from "../src/live/LevelFile.ts"
import type { RangeAnswer } from "../src/live/RangeAnswer.ts"
import * as RecordedHistory from "../src/live/RecordedHistory.ts"
import type { Viewed } from "../src/live/Viewed.ts"
import { flowAt, HOSTILE, START, ticks, timeOf } from "./madeUp.ts"

const record = (path: string, given: ReadonlyArray<Tick>, mode: "create" | "append" = "create") =>
  Stream.fromIterable(given).pipe(pipeToSink({ batchSize: 4096 }), Effect.provide(CsvSink.layer({ path, mode })))

const viewing = Effect.fnUntraced(function*(path: string, levels: string) {
  const file = yield* LevelFile.open(levels, Infinity)
  return yield* RecordedHistory.make({ recorded: yield* open(path), title: "run.csv", file, now: () => START })
})

const until = (viewed: Viewed, isIt: () => boolean) =>
  Effect.repeat(Effect.sleep("5 millis"), { until: () => isIt() || viewed.state().log.length > 0 })

const read = (viewed: Viewed) => until(viewed, () => viewed.state().progress === null)

const idOf = (viewed: Viewed, device: string, field: string) =>
  viewed.describe().series.find((series) => series.device === device && series.field === field)!.id

const bucketsIn = (answer: RangeAnswer) => answer.kind === "buckets" ? answer : assert.fail("no buckets")

const folder = Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped())

describe("RecordedHistory", () => {
  it.live("shows a file: its runs, devices, events, all values in levels, and the samples themselves close by", () =>
    Effect.gen(function*() {
      const path = `${yield* folder}/run.csv`
      yield* record(path, ticks(0, 20_000))
      const viewed = yield* viewing(path, `${path}.levels`)
      yield* read(viewed)
      assert.deepStrictEqual(viewed.state().log, [])
      const { devices, from, rateHz, runs, series, until } = viewed.describe()
      assert.deepStrictEqual({ from, until, rateHz }, { from: START, until: timeOf(19_999), rateHz: 100 })
      assert.deepStrictEqual(runs.map(({ cause }) => cause), ["completed"])
      assert.deepStrictEqual(devices.map(({ name }) => name), ["fuel", HOSTILE])
      assert.deepStrictEqual(
        series.find(({ device, field }) => device === "fuel" && field === "Mass_Flow")?.unit,
        "SCCM"
      )
      assert.strictEqual(series.length, 4)
      assert.deepStrictEqual(viewed.state().devices[0]!.fields.map(({ name, value }) => [name, value]), [
        ["Gas", "N2"],
        ["Mass_Flow", flowAt(19_999)],
        ["Pressure", 19_999]
      ])
      assert.isTrue(viewed.events().some(({ event }) => event === "DeviceBack"))

      const ids = [idOf(viewed, "fuel", "Mass_Flow"), idOf(viewed, HOSTILE, "Mass_Flow")]
      const all = bucketsIn(yield* viewed.range({ from: 0, until: timeOf(1e9), points: 500, series: ids }))
      const total = (n: number) => all.series[n]!.buckets.counts.reduce((sum, count) => sum + count)
      assert.deepStrictEqual([total(0), total(1)], [20_000, 19_900])
      const { base, max } = all.series[0]!.buckets
      assert.closeTo(base + Math.max(...max.filter((value) => !Number.isNaN(value))), 1000, 1e-3)

      const near = yield* viewed.range({ from: timeOf(7700), until: timeOf(7800), points: 500, series: ids })
      if (near.kind !== "points") return assert.fail("no points")
      assert.deepStrictEqual([...near.series[0]!.values], Array.from({ length: 101 }, (_, n) => flowAt(7700 + n)))
      assert.deepStrictEqual([...near.series[0]!.times], Array.from({ length: 101 }, (_, n) => timeOf(7700 + n)))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("shows a sketch until all is read", () =>
    Effect.gen(function*() {
      const path = `${yield* folder}/run.csv`
      yield* record(path, ticks(0, 20_000))
      const viewed = yield* viewing(path, `${path}.levels`)
      yield* until(viewed, () => viewed.state().until === timeOf(19_999))
      const id = idOf(viewed, "fuel", "Pressure")
      const range = { from: START, until: timeOf(20_000), points: 100, series: [id] }
      const drawnIn = ({ series }: ReturnType<typeof bucketsIn>) => {
        const { counts } = series[0]!.buckets
        return [...counts.keys()].filter((n) => counts[n]! > 0)
      }
      const sketch = yield* Effect.repeat(Effect.map(Effect.delay(viewed.range(range), "1 millis"), bucketsIn), {
        until: (answer) => answer.isComplete || drawnIn(answer).length > 10
      })
      assert.isFalse(sketch.isComplete)
      const drawn = drawnIn(sketch)
      const { base, mean } = sketch.series[0]!.buckets
      // Where there is a value, it is one of that time.
      for (const n of drawn) {
        const at = (sketch.first + n * sketch.width - START) / 10_000
        assert.isAtLeast(base + mean[n]!, at - 1)
        assert.isAtMost(base + mean[n]!, at + sketch.width / 10_000 + 200)
      }
      yield* read(viewed)
      assert.isTrue((yield* viewed.range(range)).isComplete)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("goes on where it was: with a file that grows, and with levels of another time", () =>
    Effect.gen(function*() {
      const path = `${yield* folder}/run.csv`
      const levels = `${path}.levels`
      yield* record(path, ticks(0, 1000))
      const count = Effect.fnUntraced(function*(viewed: Viewed) {
        const { series } = bucketsIn(
          yield* viewed.range({ from: 0, until: timeOf(1e9), points: 2, series: [idOf(viewed, "fuel", "Pressure")] })
        )
        return series[0]!.buckets.counts.reduce((sum, count) => sum + count)
      })
      yield* Effect.scoped(Effect.gen(function*() {
        const viewed = yield* viewing(path, levels)
        yield* read(viewed)
        assert.strictEqual(yield* count(viewed), 1000)
        yield* record(path, ticks(1000, 1500), "append")
        yield* until(viewed, () => viewed.state().until === timeOf(1499))
        yield* until(viewed, () => viewed.describe().runs.length > 0)
        assert.strictEqual(yield* count(viewed), 1500)
      }))
      yield* Effect.scoped(Effect.gen(function*() {
        const unchanged = yield* viewing(path, levels)
        yield* read(unchanged)
        assert.deepStrictEqual(unchanged.state().devices.map(({ name }) => name), ["fuel", HOSTILE])
      }))
      yield* record(path, ticks(1500, 2000), "append")
      const again = yield* viewing(path, levels)
      // Nothing is read twice, and nothing is left out.
      assert.strictEqual(again.state().until, timeOf(1499))
      yield* until(again, () => again.state().until === timeOf(1999))
      assert.strictEqual(yield* count(again), 2000)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("goes on with the file that gets the name when the file is moved away", () =>
    Effect.gen(function*() {
      const path = `${yield* folder}/run.csv`
      yield* record(path, ticks(0, 1000))
      const viewed = yield* viewing(path, `${path}.levels`)
      yield* read(viewed)
      yield* (yield* FileSystem.FileSystem).rename(path, `${path}.1`)
      yield* record(path, ticks(1000, 1500))
      yield* until(viewed, () => viewed.state().until === timeOf(1499))
      assert.deepStrictEqual(viewed.state().log, [])
      const query = { from: timeOf(990), until: timeOf(1009), points: 500, series: [idOf(viewed, "fuel", "Pressure")] }
      const near = yield* viewed.range(query)
      if (near.kind !== "points") return assert.fail("no points")
      assert.deepStrictEqual([...near.series[0]!.values], Array.from({ length: 20 }, (_, n) => 990 + n))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("does not take the levels of another recording of the same name", () =>
    Effect.gen(function*() {
      const path = `${yield* folder}/run.csv`
      yield* record(path, ticks(0, 1000))
      yield* Effect.scoped(Effect.flatMap(viewing(path, `${path}.levels`), read))
      const files = yield* FileSystem.FileSystem
      yield* files.remove(path)
      yield* files.remove(`${path}-events.jsonl`)
      yield* record(path, ticks(300, 1300))
      const viewed = yield* viewing(path, `${path}.levels`)
      yield* read(viewed)
      const all = bucketsIn(
        yield* viewed.range({ from: 0, until: timeOf(1e9), points: 2, series: [idOf(viewed, "fuel", "Pressure")] })
      )
      assert.strictEqual(all.series[0]!.buckets.counts.reduce((sum, count) => sum + count), 1000)
      assert.strictEqual(viewed.state().until, timeOf(1299))
    }).pipe(Effect.provide(NodeServices.layer)))
})
