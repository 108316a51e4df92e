/**
 * A page of a million samples: all of them are in its levels, and no answer is longer than a plot can use.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { open } from "@sampleline/files"
import { Effect, FileSystem } from "effect"
import * as LevelFile from "../../view/src/live/LevelFile.ts"
import * as RecordedHistory from "../../view/src/live/RecordedHistory.ts"
import { DEVICES, RATE_HZ, sampleOf, writeJournal, writeParquet } from "../src/viewData.ts"

const SAMPLES = 1_000_000
const TICKS = SAMPLES / DEVICES
const POINTS = 2000
const ZOOMS = 30
const FIELD = "Mass_Flow"

const view = Effect.fnUntraced(
  function*(name: string, write: typeof writeJournal | typeof writeParquet) {
    const files = yield* FileSystem.FileSystem
    const path = `${yield* files.makeTempDirectoryScoped()}/${name}`
    yield* write(path, SAMPLES)
    const viewed = yield* RecordedHistory.make({
      recorded: yield* open(path),
      title: name,
      file: yield* LevelFile.temporary(Infinity),
      now: () => 0
    })
    yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => viewed.state().progress === null })
    assert.deepStrictEqual(viewed.state().log, [])
    const { from, series, until } = viewed.describe()
    assert.strictEqual(series.length, 6 * DEVICES)
    const { id } = series.find(({ device, field }) => device === "mfc7" && field === FIELD)!

    const all = yield* viewed.range({ from: from!, until: until!, points: POINTS, series: series.map(({ id }) => id) })
    if (all.kind !== "buckets") return assert.fail("a million samples one by one")
    assert.isAtMost(all.count, POINTS + 1)
    for (const { buckets } of all.series) {
      assert.strictEqual(buckets.counts.reduce((sum, count) => sum + count), TICKS)
    }

    for (let n = 0; n < ZOOMS; n++) {
      const ticks = Math.round(10 ** (1 + 4 * n / ZOOMS))
      const first = Math.floor((n * 0.618 % 1) * (TICKS - ticks))
      const timeOf = (tick: number) => sampleOf(tick, 7).requestedAt
      const range = { from: timeOf(first), until: timeOf(first + ticks), points: POINTS, series: [id] }
      const answer = yield* viewed.range(range)
      const values = Array.from({ length: ticks + 1 }, (_, at) => sampleOf(first + at, 7).value(FIELD) as number)
      if (answer.kind === "points") {
        assert.isAtMost(ticks, 2 * POINTS)
        assert.deepStrictEqual(Array.from(answer.series[0]!.values), values)
        continue
      }
      // The buckets at both ends reach beyond the range.
      assert.isAtMost(answer.count, POINTS + 1)
      const { base, max, min } = answer.series[0]!.buckets
      assert.isAtLeast(base + Math.max(...max), Math.max(...values) - 1e-3)
      assert.isAtMost(base + Math.min(...min), Math.min(...values) + 1e-3)
    }
    assert.strictEqual(viewed.describe().rateHz, RATE_HZ)
  },
  Effect.scoped,
  Effect.provide(NodeServices.layer)
)

it.live("a Parquet file of a million samples is viewed", () => view("run.parquet", writeParquet))

it.live("a journal of a million samples is viewed", () => view("run.journal", writeJournal))
