/**
 * Parquet files that are left unfinished: what a journal may count on and sends again, and what is done without a journal.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Sample } from "@sampleline/core"
import { Array, Effect } from "effect"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { fileURLToPath } from "node:url"
import { readGroups } from "../src/internal/ParquetGroups.ts"
import { ParquetSink } from "../src/ParquetSink.ts"
import { countParquet, queryDuckDb } from "./duckdb.ts"
import { failingCall } from "./failingCall.ts"
import { canMountDisk, onSmallDisk } from "./fullDisk.ts"
import { samplesFrom } from "./samples.ts"
import { tempFile } from "./tempFile.ts"
import { logged, nonEmpty, writeTo } from "./writing.ts"

const keep = () => Effect.void
const START = { journal: "journal-1", place: null, first: null }
const batch = (start: number, count: number): Array.NonEmptyReadonlyArray<Sample> => nonEmpty(samplesFrom(start, count))

const opened = (path: string, mode: "create" | "append" = "create") =>
  Effect.map(ParquetSink.make({ path, mode, rowGroupSize: 20 }), (sink) => ({ sink, to: sink.resumable! }))

const namesBeside = (path: string) => fs.readdirSync(nodePath.dirname(path)).filter((name) => !name.startsWith("."))

describe("a Parquet file that a journal writes", () => {
  it.live("counts as written up to its last finished row group, and what comes again is counted once", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const { sink, to } = yield* opened(path)
      assert.strictEqual((yield* to.open(START)).through, 0)
      assert.strictEqual((yield* to.writeAt(batch(0, 15), 15, keep)).through, 0)
      yield* to.writeAt(batch(15, 15), 30, keep)
      yield* to.writeAt(batch(30, 15), 45, keep)
      const place = yield* to.open(START)
      assert.strictEqual(place.through, 30)
      assert.strictEqual(sink.report()[0]!.rows, 30)
      yield* to.writeAt(batch(30, 15), 45, keep)
      assert.strictEqual(sink.report()[0]!.rows, 45)
      assert.strictEqual((yield* to.finish(45)).through, 45)
      const rows = yield* queryDuckDb(`SELECT Mass_Flow FROM '${path}'`)
      assert.deepStrictEqual(rows.map((row) => row["Mass_Flow"]), rows.map((_, n) => n / 4))
      assert.lengthOf(rows, 45)
      yield* to.forget
      assert.deepStrictEqual(namesBeside(path), ["run.parquet"])
    }))

  it.live("is named by a later recording that goes to another file, with what to do", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      yield* Effect.scoped(Effect.gen(function*() {
        const { to } = yield* opened(path)
        yield* to.open(START)
        yield* to.writeAt(batch(0, 20), 20, keep)
      }))
      const left = fs.readFileSync(`${path}.partial`)
      const lines = yield* logged(writeTo(ParquetSink.layer({ path, mode: "append" }), samplesFrom(0, 5)))
      assert.lengthOf(
        lines.filter((line) =>
          line.startsWith("Warn") && line.includes("run.parquet.partial is unfinished and stays as it is")
        ),
        1
      )
      assert.isTrue(left.equals(fs.readFileSync(`${path}.partial`)))
      assert.strictEqual(yield* countParquet(path.replace("run", "run-2")), 5)
    }))

  it.live("gets its row groups again that could not be forced to disk", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const { to } = yield* opened(path)
      yield* to.open(START)
      yield* to.writeAt(batch(0, 20), 20, keep)
      yield* to.writeAt(batch(20, 5), 25, keep)
      const place = yield* to.open(START)
      assert.strictEqual(place.through, 20)
      yield* to.sync
      yield* to.writeAt(batch(20, 20), 40, keep)
      yield* to.writeAt(batch(40, 20), 60, keep)
      const error = yield* Effect.scoped(Effect.andThen(failingCall("fdatasync", "EIO"), Effect.flip(to.sync)))
      assert.isTrue(error._tag === "SinkWriteError" && error.isRetryable)
      assert.strictEqual((yield* to.open({ ...START, place })).through, 20)
      yield* to.writeAt(batch(20, 20), 40, keep)
      yield* to.writeAt(batch(40, 5), 45, keep)
      yield* to.finish(45)
      const rows = yield* queryDuckDb(`SELECT Mass_Flow FROM '${path}'`)
      assert.deepStrictEqual(rows.map((row) => row["Mass_Flow"]), Array.makeBy(45, (n) => n / 4))
    }))

  it.live("is left as it is when its scope closes, and is finished from there with the columns and the codec that it has", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const place = yield* Effect.scoped(Effect.gen(function*() {
        const { to } = yield* opened(path)
        yield* to.open(START)
        yield* to.writeAt(batch(0, 20), 20, keep)
        yield* to.writeAt(batch(20, 5), 25, keep)
        return yield* to.open(START)
      }))
      assert.deepStrictEqual(namesBeside(path), ["run.parquet.partial", "run.parquet.partial-groups"])
      const left = fs.readFileSync(`${path}.partial`)
      const refused = yield* Effect.flip(Effect.scoped(ParquetSink.make({ path })))
      assert.include(refused.message, "--append")
      yield* Effect.scoped(Effect.gen(function*() {
        const to = (yield* ParquetSink.make({ path, mode: "append", compression: "none" })).resumable!
        const other = yield* Effect.flip(to.open({ ...START, journal: "journal-2", place }))
        assert.include(other.message, "nothing was changed")
      }))
      assert.isTrue(left.equals(fs.readFileSync(`${path}.partial`)))
      yield* Effect.scoped(Effect.gen(function*() {
        const to = (yield* ParquetSink.make({ path, mode: "append", compression: "none" })).resumable!
        assert.strictEqual((yield* to.open({ ...START, place })).through, 20)
        yield* to.writeAt(batch(20, 10), 30, keep)
        yield* to.finish(30)
        yield* to.forget
      }))
      assert.strictEqual(yield* countParquet(path), 30)
      const codecs = yield* queryDuckDb(`SELECT DISTINCT compression FROM parquet_metadata('${path}')`)
      assert.deepStrictEqual(codecs.map((row) => row["compression"]), ["ZSTD"])
    }))

  it.live("is cut behind its last whole row group, if what was not forced to disk is gone", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const place = yield* Effect.scoped(Effect.gen(function*() {
        const { to } = yield* opened(path)
        yield* to.open(START)
        yield* to.writeAt(batch(0, 20), 20, keep)
        const place = yield* to.open(START)
        yield* to.sync
        for (const n of [1, 2]) yield* to.writeAt(batch(n * 20, 20), (n + 1) * 20, keep)
        return place
      }))
      // A power cut may keep the records and lose what they are about.
      fs.truncateSync(`${path}.partial`, readGroups(path)!.finished[1]!.end - 10)
      fs.truncateSync(`${path}.partial`, 1_000_000)
      yield* Effect.scoped(Effect.gen(function*() {
        const { to } = yield* opened(path, "append")
        const { through } = yield* to.open({ ...START, place })
        assert.strictEqual(through, 20)
        for (let n = through; n < 80; n += 20) yield* to.writeAt(batch(n, 20), n + 20, keep)
        yield* to.finish(80)
      }))
      assert.strictEqual(yield* countParquet(path), 80)
    }))

  it.live("is not there after a run without samples, and takes no part in its journal any more", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const event = { _tag: "Marker", runId: "run-1", at: 1, text: "hello" } as const
      const place = yield* Effect.scoped(Effect.gen(function*() {
        const { to } = yield* opened(path)
        yield* to.open(START)
        yield* to.writeAt([event], 1, keep)
        return yield* to.finish(1)
      }))
      assert.deepStrictEqual(namesBeside(path), [])
      const { to } = yield* opened(path, "append")
      assert.strictEqual((yield* to.open({ ...START, place })).through, 1)
      assert.strictEqual((yield* to.finish(1)).through, 1)
      assert.deepStrictEqual(namesBeside(path), [])
    }))

  it.live("replaces a file only when it is complete, also after a crash, if its run was to replace it", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      fs.writeFileSync(path, "old")
      const place = yield* Effect.scoped(Effect.gen(function*() {
        const to = (yield* ParquetSink.make({ path, mode: "overwrite", rowGroupSize: 20 })).resumable!
        yield* to.open(START)
        yield* to.writeAt(batch(0, 20), 20, keep)
        return yield* to.open(START)
      }))
      assert.strictEqual(fs.readFileSync(path, "utf8"), "old")
      const { to } = yield* opened(path, "append")
      yield* to.open({ ...START, place })
      yield* to.finish(20)
      assert.strictEqual(yield* countParquet(path), 20)
    }))

  it.live("goes to the next free name if there is a file, and is found there again", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      fs.writeFileSync(path, "another's")
      fs.writeFileSync(path.replace(".parquet", "-2.parquet.partial"), "another's")
      const place = yield* Effect.scoped(Effect.gen(function*() {
        const { to } = yield* opened(path, "append")
        yield* to.open(START)
        yield* to.writeAt(batch(0, 20), 20, keep)
        return yield* to.open(START)
      }))
      const { to } = yield* opened(path, "append")
      assert.strictEqual((yield* to.open({ ...START, place })).through, 20)
      yield* to.finish(20)
      yield* to.forget
      assert.strictEqual(yield* countParquet(path.replace(".parquet", "-3.parquet")), 20)
      assert.deepStrictEqual(namesBeside(path), ["run-2.parquet.partial", "run-3.parquet", "run.parquet"])
    }))
})

/** What a recording without a journal leaves if it is killed: 80 rows in four row groups. */
const killed = Effect.gen(function*() {
  const [running, path] = [yield* tempFile("run.parquet"), yield* tempFile("run.parquet")]
  yield* Effect.scoped(Effect.gen(function*() {
    const { sink } = yield* opened(running)
    for (const n of [0, 1, 2, 3, 4]) yield* sink.write(batch(n * 20, 20))
    for (const end of [".partial", ".partial-groups"]) fs.copyFileSync(`${running}${end}`, `${path}${end}`)
  }))
  const { finished } = readGroups(path)!
  assert.isAtLeast(finished.length, 4)
  return { path, finished: finished.slice(0, 4) }
})

const append = (path: string) => logged(writeTo(ParquetSink.layer({ path, mode: "append" }), samplesFrom(0, 5)))

describe("a Parquet file that a killed recording without a journal has left", () => {
  it.live("loses no more than the row groups that had not reached the disk", () =>
    Effect.gen(function*() {
      const { finished, path } = yield* killed
      fs.truncateSync(`${path}.partial`, finished[3]!.end - 1)
      const lines = yield* append(path)
      assert.isTrue(lines.some((line) => line.startsWith("Warn") && /(20|40) rows had not reached the disk/.test(line)))
      assert.strictEqual(yield* countParquet(path), 60)
      assert.strictEqual(yield* countParquet(path.replace(".parquet", "-2.parquet")), 5)
      assert.deepStrictEqual(namesBeside(path), ["run-2.parquet", "run.parquet"])
    }))

  it.live("stays byte for byte as it is if someone has changed it, and holds up no recording", () =>
    Effect.gen(function*() {
      const { finished, path } = yield* killed
      const changed = fs.readFileSync(`${path}.partial`)
      changed[finished[1]!.end + 5]! ^= 1
      fs.writeFileSync(`${path}.partial`, changed)
      const groups = fs.readFileSync(`${path}.partial-groups`)
      const lines = yield* append(path)
      assert.isTrue(lines.some((line) => line.startsWith("Warn") && line.includes("someone has changed it")))
      assert.isTrue(changed.equals(fs.readFileSync(`${path}.partial`)))
      assert.isTrue(groups.equals(fs.readFileSync(`${path}.partial-groups`)))
      assert.strictEqual(yield* countParquet(path.replace(".parquet", "-2.parquet")), 5)
    }))

  it.live("is not taken for one while its recorder still runs", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const { sink } = yield* opened(path)
      yield* sink.write(batch(0, 20))
      const busy = yield* Effect.flip(Effect.scoped(ParquetSink.make({ path, mode: "append" })))
      assert.include(busy.message, "another recorder")
      assert.strictEqual((yield* Effect.flip(ParquetSink.check({ path, mode: "append" }))).message, busy.message)
    }))
})

it.live.runIf(canMountDisk)(
  "a Parquet file that a journal writes has all its samples when a full disk has room again",
  () =>
    Effect.gen(function*() {
      const file = yield* tempFile("run.parquet")
      const program = fileURLToPath(new URL("makeRoom.ts", import.meta.url))
      assert.strictEqual(onSmallDisk(program, ["journal"], file).split("\n").at(-1), "2500")
      const rows = yield* queryDuckDb(`SELECT Mass_Flow FROM '${file}'`)
      assert.deepStrictEqual(rows.map((row) => row["Mass_Flow"]), Array.makeBy(2500, (n) => n / 4))
    })
)
