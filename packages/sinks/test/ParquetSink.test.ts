import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Column, formatTimestamp, FrameFormat, type Run, type Sample, SampleSink } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { type Array, Deferred, Effect, Exit, Fiber, FileSystem, type Layer, Schema } from "effect"
import * as fs from "node:fs"
import { CsvSink } from "../src/CsvSink.ts"
import { ParquetSink, type ParquetSinkOptions } from "../src/ParquetSink.ts"
import { queryDuckDb, readWithDuckDb } from "./duckdb.ts"
import { sampleOf, samplesFrom } from "./samples.ts"

const tempFile = Effect.map(
  Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped()),
  (folder) => `${folder}/run.parquet`
)

const fresh = (options: Partial<ParquetSinkOptions>) =>
  Effect.map(tempFile, (path) => ({
    layer: ParquetSink.layer({ path, ...options }),
    read: (columns: ReadonlyArray<Column>) =>
      fs.existsSync(path) ? readWithDuckDb(`'${path}'`, columns) : Effect.succeed([]),
    locked: true,
    emptyIsNull: false,
    rowOptions: { identity: options.identity }
  }))

describe("conformance", () => {
  for (
    const options of [
      {},
      { compression: "snappy", rowGroupSize: 10 },
      { compression: "gzip", identity: true },
      { compression: "none", dictionary: false }
    ] as const
  ) {
    it.layer(NodeServices.layer, { excludeTestServices: true })(`ParquetSink ${JSON.stringify(options)}`, (it) => {
      for (const { check, promise } of conformance(fresh(options))) it.effect(promise, () => check)
    })
  }
})

const writeAll = (...batches: ReadonlyArray<ReadonlyArray<Sample>>) =>
  Effect.gen(function*() {
    const sink = yield* SampleSink
    for (const batch of batches) yield* sink.write(batch as Array.NonEmptyReadonlyArray<Sample>)
    return sink
  })

const writeTo = <E>(layer: Layer.Layer<SampleSink, E>, ...batches: ReadonlyArray<ReadonlyArray<Sample>>) =>
  Effect.provide(writeAll(...batches), layer)

const count = (path: string) =>
  Effect.map(queryDuckDb(`SELECT count(*) AS n FROM read_parquet('${path}')`), ([row]) => Number(row!["n"]))

it.layer(NodeServices.layer, { excludeTestServices: true })("ParquetSink", (it) => {
  it.effect("stores types, the run, the devices and their units", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const format = FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM", statistic: 5 }, {
        name: "Count",
        kind: "int"
      }])
      const identity = {
        manufacturer: "Alicat Scientific",
        model: "MC",
        serialNumber: "521641",
        firmware: "10v20",
        calibrationDate: "2025-03-02"
      }
      const run: Run = {
        id: "run-1",
        startedAt: 1_772_366_400_000_001,
        devices: [{ name: "fuel", unitId: "A", identity, format }]
      }
      yield* writeTo(ParquetSink.layer({ path }), [sampleOf(format, [1, 2], 0, run)])
      const columns = yield* queryDuckDb(`DESCRIBE SELECT * FROM '${path}'`)
      assert.deepStrictEqual(columns.map((row) => [row["column_name"], row["column_type"]].join(" ")), [
        "device VARCHAR",
        "unit_id VARCHAR",
        "requested_at TIMESTAMP WITH TIME ZONE",
        "received_at TIMESTAMP WITH TIME ZONE",
        "midpoint_at TIMESTAMP WITH TIME ZONE",
        "latency_s DOUBLE",
        "Mass_Flow DOUBLE",
        "Count BIGINT",
        "status VARCHAR"
      ])
      const pairs = yield* queryDuckDb(
        `SELECT decode(key) AS key, decode(value) AS value FROM parquet_kv_metadata('${path}')`
      )
      const metadata = Object.fromEntries(pairs.map((row) => [String(row["key"]), String(row["value"])]))
      assert.strictEqual(metadata["run_id"], "run-1")
      assert.strictEqual(metadata["started_at"], "2026-03-01T12:00:00.000001Z")
      assert.deepStrictEqual(JSON.parse(metadata["devices"]!), [{
        device: "fuel",
        unit_id: "A",
        manufacturer: "Alicat Scientific",
        model: "MC",
        serial_number: "521641",
        firmware: "10v20",
        calibration_date: "2025-03-02",
        columns: { Mass_Flow: { unit: "SCCM", statistic: 5 }, Count: { unit: null, statistic: null } }
      }])
    }))

  it.effect("writes codecs, row groups and encodings as it is told", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(
        ParquetSink.layer({ path, rowGroupSize: 100 }),
        samplesFrom(0, 64),
        samplesFrom(64, 64),
        samplesFrom(128, 64)
      )
      const chunks = yield* queryDuckDb(
        `SELECT row_group_id, row_group_num_rows AS n, path_in_schema AS name, compression, encodings FROM parquet_metadata('${path}')`
      )
      const of = (name: string) => chunks.filter((chunk) => chunk["name"] === name)
      assert.deepStrictEqual(of("requested_at").map((chunk) => [Number(chunk["row_group_id"]), Number(chunk["n"])]), [
        [0, 128],
        [1, 64]
      ])
      assert.isTrue(chunks.every((chunk) => chunk["compression"] === "ZSTD"))
      assert.include(String(of("requested_at")[0]!["encodings"]), "DELTA_BINARY_PACKED")
      assert.include(String(of("device")[0]!["encodings"]), "RLE_DICTIONARY")
    }))

  it.effect.prop("finds the rows of a time, whichever row group they are in", {
    at: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })))
  }, ({ at }) =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const samples = [0, 1, 999, 1000, 1001, ...at].map((micros) => sampleOf(flow, [micros], micros / 1000))
      yield* writeTo(
        ParquetSink.layer({ path, rowGroupSize: 2 }),
        ...samples.map((sample) => [sample])
      )
      for (const { requestedAt } of samples) {
        const time = `TIMESTAMPTZ '${formatTimestamp(requestedAt)}'`
        const [found] = yield* queryDuckDb(
          `SELECT count(*) FILTER (requested_at = ${time}) AS same, count(*) FILTER (requested_at > ${time}) AS later,
            (SELECT count(*) FROM '${path}' WHERE requested_at = ${time}) AS filtered,
            (SELECT count(*) FROM '${path}' WHERE requested_at > ${time}) AS after FROM '${path}'`
        )
        const same = samples.filter((sample) => sample.requestedAt === requestedAt).length
        const later = samples.filter((sample) => sample.requestedAt > requestedAt).length
        assert.deepStrictEqual([found!["same"], found!["later"], found!["filtered"], found!["after"]].map(Number), [
          same,
          later,
          same,
          later
        ])
      }
    }), { arbitrary: { runs: 10 } })

  it.effect("has its name only when it is complete, and leaves nothing without samples", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* Effect.scoped(ParquetSink.make({ path }))
      assert.deepStrictEqual(fs.readdirSync(path.replace("/run.parquet", "")), [])
      yield* Effect.scoped(Effect.gen(function*() {
        const sink = yield* ParquetSink.make({ path })
        yield* sink.write(samplesFrom(0, 10) as unknown as [Sample])
        assert.deepStrictEqual(fs.readdirSync(path.replace("/run.parquet", "")), ["run.parquet.partial"])
      }))
      assert.deepStrictEqual(fs.readdirSync(path.replace("/run.parquet", "")), ["run.parquet"])
      assert.strictEqual(yield* count(path), 10)
    }))

  it.effect("is complete after a failure, an interruption, and the failure of another sink", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const [failed, interrupted, beside] = ["failed", "interrupted", "beside"].map((name) => `${path}.${name}`)
      yield* Effect.exit(
        Effect.provide(
          Effect.andThen(writeAll(samplesFrom(0, 10)), Effect.fail("upstream")),
          ParquetSink.layer({ path: failed! })
        )
      )
      assert.strictEqual(yield* count(failed!), 10)

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
      assert.strictEqual(yield* count(interrupted!), 11)

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
      assert.strictEqual(yield* count(beside!), 12)
    }))

  it.effect("refuses what is there, in time and untouched", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const refused = (options: ParquetSinkOptions) =>
        Effect.gen(function*() {
          const opening = yield* Effect.flip(Effect.scoped(ParquetSink.make(options)))
          const checking = yield* Effect.flip(ParquetSink.check(options))
          assert.strictEqual(checking.message, opening.message)
          return `${opening._tag} ${"reason" in opening ? opening.reason : ""}: ${opening.message}`
        })
      fs.writeFileSync(path, "mine")
      assert.match(yield* refused({ path }), /^SinkOpenError AlreadyExists: .*--overwrite/)
      fs.writeFileSync(`${path}.2.partial`, "of a killed one")
      assert.match(yield* refused({ path: `${path}.2` }), /^SinkOpenError AlreadyExists: .*\.2\.partial exists/)
      assert.match(
        yield* refused({ path: `${path}.2`, mode: "overwrite" }),
        /^SinkOpenError AlreadyExists: .*\.2\.partial exists/
      )
      fs.symlinkSync(`${path}.nowhere`, `${path}.link`)
      assert.match(yield* refused({ path: `${path}.link` }), /^SinkOpenError AlreadyExists: .*it already exists/)
      assert.match(yield* refused({ path, mode: "append" as "create" }), /^InvalidOptionError : mode is "append"/)
      assert.match(
        yield* refused({ path, compression: "lz4" as "zstd" }),
        /compression is "lz4": expected zstd, snappy/
      )
      assert.match(yield* refused({ path, rowGroupSize: 0 }), /rowGroupSize is 0/)
      assert.match(yield* refused({ path: "/dev/null" }), /not a regular file/)
      assert.strictEqual(fs.readFileSync(path, "utf8"), "mine")

      yield* Effect.scoped(ParquetSink.make({ path, mode: "overwrite" }))
      assert.strictEqual(fs.readFileSync(path, "utf8"), "mine")
      yield* writeTo(ParquetSink.layer({ path, mode: "overwrite" }), samplesFrom(0, 3))
      assert.strictEqual(yield* count(path), 3)
    }))

  it.effect("replaces the file behind a link, not the link", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      fs.writeFileSync(path, "old")
      fs.symlinkSync(path, `${path}.link`)
      yield* writeTo(ParquetSink.layer({ path: `${path}.link`, mode: "overwrite" }), samplesFrom(0, 3))
      assert.isTrue(fs.lstatSync(`${path}.link`).isSymbolicLink())
      assert.strictEqual(yield* count(path), 3)
    }))

  it.effect("says so when its unfinished file was moved or removed", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const exit = yield* Effect.exit(Effect.provide(
        Effect.andThen(
          writeAll(samplesFrom(0, 3)),
          Effect.sync(() => {
            fs.renameSync(`${path}.partial`, `${path}.moved`)
            fs.writeFileSync(`${path}.partial`, "another's")
          })
        ),
        ParquetSink.layer({ path })
      ))
      assert.include(String(Exit.isFailure(exit) ? exit.cause : ""), "was moved or removed while it was recorded")
      assert.strictEqual(fs.readFileSync(`${path}.partial`, "utf8"), "another's")
      assert.isFalse(fs.existsSync(path))
      assert.strictEqual(yield* count(`${path}.moved`), 3)
    }))

  it.effect("never replaces a file that another program made meanwhile", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const exit = yield* Effect.exit(Effect.provide(
        Effect.andThen(writeAll(samplesFrom(0, 3)), Effect.sync(() => fs.writeFileSync(path, "theirs"))),
        ParquetSink.layer({ path })
      ))
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(Exit.isFailure(exit) ? exit.cause : ""), `complete in ${path}.partial`)
      assert.strictEqual(fs.readFileSync(path, "utf8"), "theirs")
      assert.strictEqual(yield* count(`${path}.partial`), 3)
    }))

  it.effect("writes batches that come at once one after the other", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        yield* Effect.forEach(
          [0, 1, 2, 3, 4, 5],
          (n) => sink.write(samplesFrom(n * 10, 10) as unknown as [Sample]),
          { concurrency: "unbounded" }
        )
      }).pipe(Effect.provide(ParquetSink.layer({ path, rowGroupSize: 15 })))
      assert.strictEqual(yield* count(path), 60)
      const [sums] = yield* queryDuckDb(`SELECT count(DISTINCT requested_at) AS n FROM '${path}'`)
      assert.strictEqual(Number(sums!["n"]), 60)
    }))

  it.effect("takes a row group of any size", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* writeTo(ParquetSink.layer({ path, rowGroupSize: Number.MAX_SAFE_INTEGER }), samplesFrom(0, 12_000))
      assert.strictEqual(yield* count(path), 12_000)
    }))

  it.effect("does not store a batch that was interrupted while it waited for another", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      yield* Effect.gen(function*() {
        const sink = yield* ParquetSink.make({ path, rowGroupSize: 10 })
        const writing = yield* Effect.forEach(
          globalThis.Array.from({ length: 20 }, (_, n) => samplesFrom(n * 10, 10) as unknown as [Sample]),
          (batch) => Effect.forkChild(sink.write(batch), { startImmediately: true })
        )
        yield* Fiber.interruptAll(writing)
      }).pipe(Effect.scoped)
      const stored = fs.existsSync(path) ? yield* count(path) : 0
      assert.isBelow(stored, 200)
      assert.strictEqual(stored % 10, 0)
    }))

  it.effect("keeps up beside another sink", () =>
    Effect.gen(function*() {
      const path = yield* tempFile
      const layer = SampleSink.layerAll([
        ParquetSink.layer({ path, rowGroupSize: 100 }),
        CsvSink.layer({ path: `${path}.csv` })
      ])
      yield* writeTo(layer, ...[0, 1, 2, 3].map((n) => samplesFrom(n * 64, 64)))
      assert.strictEqual(yield* count(path), 256)
      assert.strictEqual(fs.readFileSync(`${path}.csv`, "utf8").split("\n").length, 258)
    }))
})

const flow = FrameFormat.make([{ name: "Mass_Flow" }])
