import { assert, describe, it } from "@effect/vitest"
import { type Column, FrameFormat, SampleSink } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { Config, ConfigProvider, Deferred, Effect, Fiber } from "effect"
import * as fs from "node:fs"
import { CsvSink } from "../src/CsvSink.ts"
import { ParquetSink, type ParquetSinkOptions } from "../src/ParquetSink.ts"
import { countParquet, queryDuckDb, readWithDuckDb } from "./duckdb.ts"
import { eventsInParquet } from "./events.ts"
import { testFullDisk } from "./fullDisk.ts"
import { deviceOf, samplesFrom } from "./samples.ts"
import { filesBeside, tempFile } from "./tempFile.ts"
import { writeAll, writeTo } from "./writing.ts"

describe.each(
  [
    {},
    { compression: "snappy", rowGroupSize: 10 },
    { compression: "gzip", identity: true },
    { compression: "none", dictionary: false, rowIds: true }
  ] as const
)("conformance with %o", (options: Partial<ParquetSinkOptions>) => {
  const fresh = Effect.map(tempFile("run.parquet"), (path) => ({
    layer: ParquetSink.layer({ path, ...options }),
    readEvents: eventsInParquet(path),
    read: (columns: ReadonlyArray<Column>) =>
      fs.existsSync(path) ? readWithDuckDb(`'${path}'`, columns) : Effect.succeed([]),
    locked: true,
    emptyIsNull: false,
    rowOptions: { rowIds: options.rowIds, identity: options.identity }
  }))
  for (const { check, promise } of conformance(fresh)) it.live(promise, () => check)
})

const columnsOf = (path: string) =>
  Effect.map(queryDuckDb(`DESCRIBE SELECT * FROM '${path}'`), (rows) => rows.map((row) => String(row["column_name"])))

describe("ParquetSink", () => {
  it.live("is complete after a failure, an interruption, and the failure of another sink", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const [failed, interrupted, beside] = ["failed", "interrupted", "beside"].map((name) => `${path}.${name}`)
      yield* Effect.exit(
        Effect.provide(
          Effect.andThen(writeAll(samplesFrom(0, 10)), Effect.fail("upstream")),
          ParquetSink.layer({ path: failed! })
        )
      )
      assert.strictEqual(yield* countParquet(failed!), 10)

      const written = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        Effect.provide(
          writeAll(samplesFrom(0, 11)).pipe(
            Effect.andThen(Deferred.succeed(written, undefined)),
            Effect.andThen(Effect.never)
          ),
          ParquetSink.layer({ path: interrupted! })
        )
      )
      yield* Deferred.await(written)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* countParquet(interrupted!), 11)

      const full = fs.existsSync("/dev/full")
        ? CsvSink.layer({ path: "/dev/full" })
        : SampleSink.layer({ name: "Full", write: () => Effect.fail("full") })
      yield* Effect.exit(
        writeTo(
          SampleSink.layerAll([ParquetSink.layer({ path: beside! }), full]),
          samplesFrom(0, 5),
          samplesFrom(5, 7)
        )
      )
      assert.strictEqual(yield* countParquet(beside!), 12)
    }))

  it.live("keeps up beside another sink", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const layer = SampleSink.layerAll([
        ParquetSink.layer({ path, rowGroupSize: 100 }),
        CsvSink.layer({ path: `${path}.csv` })
      ])
      yield* writeTo(layer, ...[0, 1, 2, 3].map((n) => samplesFrom(n * 64, 64)))
      assert.strictEqual(yield* countParquet(path), 256)
      assert.strictEqual(fs.readFileSync(`${path}.csv`, "utf8").split("\n").length, 258)
    }))

  it.live("check accepts any devices and leaves nothing behind", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const odd = FrameFormat.fromRecord({ "a\0\"b.c": 0, "": "x", Device: 1 })
      yield* ParquetSink.check({ path }, [deviceOf(odd), deviceOf(null, "unknown")])
      assert.deepStrictEqual(filesBeside(path), [])
      fs.writeFileSync(path, "old")
      const before = filesBeside(path)
      yield* ParquetSink.check({ path, mode: "overwrite" }, [deviceOf(odd)])
      assert.deepStrictEqual(filesBeside(path), before)
      assert.include((yield* Effect.flip(ParquetSink.check({ path }, [deviceOf(odd)]))).message, "already exists")
      assert.deepStrictEqual(filesBeside(path), before)
    }))

  it.live.each([{ rowIds: true }, { identity: true }])(
    "writes the row ids with %o",
    (options) =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.parquet")
        yield* writeTo(ParquetSink.layer({ path, ...options }), samplesFrom(0, 1))
        assert.deepStrictEqual((yield* columnsOf(path)).slice(-4), ["status", "run_id", "sequence", "tick"])
      })
  )

  it.live("takes its options from the configuration", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const layer = ParquetSink.layerConfig({ path: Config.String("OUT"), rowIds: Config.Boolean("ROW_IDS") })
      yield* writeTo(layer, samplesFrom(0, 1)).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ OUT: path, ROW_IDS: "true" })))
      )
      assert.include(yield* columnsOf(path), "run_id")
    }))

  testFullDisk("ParquetSink", "run.parquet", countParquet)
})
