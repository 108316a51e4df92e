import { assert, describe, it } from "@effect/vitest"
import { SampleSink } from "@sampleline/core"
import { Effect, Exit } from "effect"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { ParquetSink, type ParquetSinkOptions } from "../../src/ParquetSink.ts"
import { countParquet } from "../duckdb.ts"
import { samplesFrom } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { nonEmpty, runWithoutSamples, writeAll, writeTo } from "../writing.ts"

describe("an unfinished Parquet file", () => {
  it.live("gets its name only when it is complete, and is not there without samples", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      yield* Effect.scoped(ParquetSink.make({ path }))
      yield* runWithoutSamples(ParquetSink.layer({ path }))
      yield* Effect.exit(Effect.provide(Effect.andThen(SampleSink, Effect.fail("broken")), ParquetSink.layer({ path })))
      assert.deepStrictEqual(fs.readdirSync(nodePath.dirname(path)), [".run.parquet.lock"])
      yield* Effect.scoped(Effect.gen(function*() {
        const sink = yield* ParquetSink.make({ path })
        yield* sink.write(nonEmpty(samplesFrom(0, 10)))
        assert.deepStrictEqual(fs.readdirSync(nodePath.dirname(path)), [
          ".run.parquet.lock",
          ".run.parquet.lock.owner",
          "run.parquet.partial",
          "run.parquet.partial-groups"
        ])
      }))
      assert.deepStrictEqual(fs.readdirSync(nodePath.dirname(path)), [".run.parquet.lock", "run.parquet"])
      assert.strictEqual(yield* countParquet(path), 10)
    }))

  it.live("is refused if it exists, before anything is changed", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const refused = (options: ParquetSinkOptions) =>
        Effect.gen(function*() {
          const opening = yield* Effect.flip(Effect.scoped(ParquetSink.make(options)))
          const checking = yield* Effect.flip(ParquetSink.check(options))
          assert.strictEqual(checking.message, opening.message)
          return `${opening._tag} ${"reason" in opening ? opening.reason : ""}: ${opening.message}`
        })
      fs.writeFileSync(path, "mine")
      assert.match(yield* refused({ path }), /^SinkOpenError AlreadyExists: .*--overwrite/)
      fs.writeFileSync(`${path}.2.partial`, "of a killed recording")
      assert.match(yield* refused({ path: `${path}.2` }), /^SinkOpenError AlreadyExists: .*\.2\.partial exists/)
      assert.match(
        yield* refused({ path: `${path}.2`, mode: "overwrite" }),
        /^SinkOpenError AlreadyExists: .*\.2\.partial exists/
      )
      fs.symlinkSync(`${path}.nowhere`, `${path}.link`)
      assert.match(yield* refused({ path: `${path}.link` }), /^SinkOpenError AlreadyExists: .*it already exists/)
      assert.match(yield* refused({ path, mode: "add" as "create" }), /^InvalidOptionError : mode is "add"/)
      assert.match(
        yield* refused({ path, compression: "lz4" as "zstd" }),
        /compression is "lz4": expected zstd, snappy/
      )
      assert.match(yield* refused({ path, rowGroupSize: 0 }), /rowGroupSize is 0/)
      assert.match(yield* refused({ path: "/dev/null" }), /not a regular file/)
      assert.strictEqual(fs.readFileSync(path, "utf8"), "mine")

      yield* Effect.scoped(ParquetSink.make({ path, mode: "overwrite" }))
      yield* runWithoutSamples(ParquetSink.layer({ path, mode: "overwrite" }))
      assert.strictEqual(fs.readFileSync(path, "utf8"), "mine")
      yield* writeTo(ParquetSink.layer({ path, mode: "overwrite" }), samplesFrom(0, 3))
      assert.strictEqual(yield* countParquet(path), 3)
    }))

  it.live("replaces the file behind a link, not the link", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      fs.writeFileSync(path, "old")
      fs.symlinkSync(path, `${path}.link`)
      yield* writeTo(ParquetSink.layer({ path: `${path}.link`, mode: "overwrite" }), samplesFrom(0, 3))
      assert.isTrue(fs.lstatSync(`${path}.link`).isSymbolicLink())
      assert.strictEqual(yield* countParquet(path), 3)
    }))

  it.live("is written through a link to a file that is missing, and refused if its folder is missing", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      fs.symlinkSync("elsewhere.parquet", path)
      yield* writeTo(ParquetSink.layer({ path, mode: "overwrite" }), samplesFrom(0, 3))
      assert.isTrue(fs.lstatSync(path).isSymbolicLink())
      assert.strictEqual(yield* countParquet(path), 3)
      fs.symlinkSync("missing/run.parquet", `${path}.link`)
      const options = { path: `${path}.link`, mode: "overwrite" } as const
      const error = yield* Effect.flip(writeTo(ParquetSink.layer(options)))
      assert.include(error.message, "its folder cannot be made")
      assert.strictEqual((yield* Effect.flip(ParquetSink.check(options))).message, error.message)
    }))

  it.live("is not left behind if there is no file to reserve room with", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      fs.mkdirSync(`${path}.partial.reserve`)
      const error = yield* Effect.flip(writeTo(ParquetSink.layer({ path })))
      assert.strictEqual(error._tag, "SinkOpenError")
      assert.deepStrictEqual(fs.readdirSync(nodePath.dirname(path)), [
        ".run.parquet.lock",
        "run.parquet.partial.reserve"
      ])
    }))

  it.live("fails at the next batch if it was removed, and all its samples are lost", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      let sink: SampleSink["Service"] | undefined
      const exit = yield* Effect.exit(Effect.provide(
        Effect.gen(function*() {
          sink = yield* SampleSink
          yield* sink.write(nonEmpty(samplesFrom(0, 3)))
          fs.rmSync(`${path}.partial`)
          const write = Effect.suspend(() => sink!.write(nonEmpty(samplesFrom(3, 1))))
          return yield* Effect.forever(Effect.andThen(write, Effect.sleep(20)))
        }),
        ParquetSink.layer({ path })
      ))
      assert.include(String(Exit.isFailure(exit) ? exit.cause : ""), "was removed while it was recorded")
      assert.deepInclude(sink!.report()[0], { rows: 0 })
      assert.deepStrictEqual(fs.readdirSync(nodePath.dirname(path)), [".run.parquet.lock"])
    }))

  it.live.runIf(fs.existsSync("/dev/shm"))(
    "is refused at opening if its name is a link to another disk",
    () =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.parquet")
        fs.symlinkSync(`/dev/shm/${nodePath.basename(nodePath.dirname(path))}.parquet`, path)
        const error = yield* Effect.flip(writeTo(ParquetSink.layer({ path, mode: "overwrite" })))
        assert.include(error.message, "it is a link to another disk")
        assert.strictEqual((yield* Effect.flip(ParquetSink.check({ path, mode: "overwrite" }))).message, error.message)
      })
  )

  it.live("is complete under its new name if it was moved, and the error says so", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
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
      assert.include(String(Exit.isFailure(exit) ? exit.cause : ""), `was moved to ${path}.moved while it was recorded`)
      assert.strictEqual(fs.readFileSync(`${path}.partial`, "utf8"), "another's")
      assert.isFalse(fs.existsSync(path))
      assert.strictEqual(yield* countParquet(`${path}.moved`), 3)
    }))

  it.live("never replaces a file that another program has made", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const exit = yield* Effect.exit(Effect.provide(
        Effect.andThen(writeAll(samplesFrom(0, 3)), Effect.sync(() => fs.writeFileSync(path, "theirs"))),
        ParquetSink.layer({ path })
      ))
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(Exit.isFailure(exit) ? exit.cause : ""), `complete in ${path}.partial`)
      assert.strictEqual(fs.readFileSync(path, "utf8"), "theirs")
      assert.strictEqual(yield* countParquet(`${path}.partial`), 3)
    }))
})
