/**
 * SQLite databases that a journal writes, and whose disk fails.
 */
import { assert, it } from "@effect/vitest"
import type { SinkBatchError } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { SqliteSink } from "../src/SqliteSink.ts"
import { failingCall } from "./failingCall.ts"
import { samplesFrom } from "./samples.ts"
import { tempFile } from "./tempFile.ts"
import { nonEmpty } from "./writing.ts"

const keep = () => Effect.void
const START = { journal: "journal-1", place: null, first: null }
const batch = (start: number, count: number) => nonEmpty(samplesFrom(start, count))

const countIn = (path: string) => {
  const database = new DatabaseSync(path, { readOnly: true })
  const [row] = database.prepare("SELECT count(*) AS n FROM samples").all()
  database.close()
  return row?.["n"]
}

it.live("what could not be forced to disk is written again, into the database", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    const { resumable } = yield* SqliteSink.make({ path })
    const to = resumable!
    yield* to.open(START)
    yield* to.writeAt(batch(0, 5), 5, keep)
    const error = yield* Effect.scoped(Effect.andThen(failingCall("fdatasync", "EIO"), Effect.flip(to.sync)))
    assert.isTrue(error._tag === "SinkWriteError" && error.isRetryable)
    assert.isAbove(fs.statSync(`${path}-wal`).size, 0)
    yield* to.sync
    assert.strictEqual(fs.statSync(`${path}-wal`).size, 0)
    assert.strictEqual((yield* to.open(START)).through, 5)
    yield* to.writeAt(batch(5, 5), 10, keep)
    yield* to.sync
    assert.strictEqual(countIn(path), 10)
  }))

it.live("a database whose disk has failed is opened again by its name, where it was put back", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    const { resumable } = yield* SqliteSink.make({ path, synchronous: "FULL" })
    const to = resumable!
    yield* to.open(START)
    yield* to.writeAt(batch(0, 5), 5, keep)
    yield* Effect.scoped(Effect.andThen(failingCall("fdatasync", "EIO"), Effect.flip(to.sync)))
    // Another file with the same content, as a disk that is back has it.
    for (const suffix of ["", "-wal"]) fs.copyFileSync(`${path}${suffix}`, `${path}${suffix}.copy`)
    for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(`${path}${suffix}`)
    for (const suffix of ["", "-wal"]) fs.renameSync(`${path}${suffix}.copy`, `${path}${suffix}`)
    assert.strictEqual((yield* to.open(START)).through, 5)
    yield* to.writeAt(batch(5, 5), 10, keep)
    yield* to.sync
    assert.strictEqual(countIn(path), 10)
  }))

it.live("a database that was removed stops for good", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    let error: SinkBatchError | undefined
    const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
      const { resumable } = yield* SqliteSink.make({ path })
      const to = resumable!
      yield* to.open(START)
      yield* to.writeAt(batch(0, 5), 5, keep)
      yield* Effect.scoped(Effect.andThen(failingCall("fdatasync", "EIO"), Effect.flip(to.sync)))
      for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(`${path}${suffix}`)
      error = yield* Effect.flip(to.open(START))
    })))
    assert.isFalse(error?._tag === "SinkWriteError" && error.isRetryable)
    assert.include(String(exit), "it was removed or replaced while it was recorded")
    assert.isFalse(fs.existsSync(path))
  }))
