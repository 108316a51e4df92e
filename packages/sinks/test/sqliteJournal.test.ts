/**
 * SQLite databases that a journal writes, and whose disk fails.
 */
import { assert, it } from "@effect/vitest"
import type { RunEvent, SinkBatchError } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { SqliteSink } from "../src/SqliteSink.ts"
import { failingCall } from "./failingCall.ts"
import { samplesFrom } from "./samples.ts"
import { tempFile } from "./tempFile.ts"
import { nonEmpty, writeTo } from "./writing.ts"

const keep = () => Effect.void
const START = { journal: "journal-1", place: null, first: null }
const batch = (start: number, count: number) => nonEmpty(samplesFrom(start, count))

const countIn = (path: string) => {
  const database = new DatabaseSync(path, { readOnly: true })
  const [row] = database.prepare("SELECT count(*) AS n FROM samples").all()
  database.close()
  return row?.["n"]
}

/** Five rows, which could not be forced to disk. */
const notForced = Effect.fnUntraced(function*(options: Parameters<typeof SqliteSink.make>[0]) {
  const { resumable } = yield* SqliteSink.make(options)
  const to = resumable!
  yield* to.open(START)
  yield* to.writeAt(batch(0, 5), 5, keep)
  const error = yield* Effect.scoped(Effect.andThen(failingCall("fdatasync", "EIO"), Effect.flip(to.sync)))
  return { to, error }
})

/** It has the five rows, and takes five more. */
const goesOn = Effect.fnUntraced(function*(to: Effect.Success<ReturnType<typeof notForced>>["to"], path: string) {
  assert.strictEqual((yield* to.open(START)).through, 5)
  yield* to.writeAt(batch(5, 5), 10, keep)
  yield* to.sync
  assert.strictEqual(countIn(path), 10)
})

it.live("what could not be forced to disk is written again, into the database", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    const { error, to } = yield* notForced({ path })
    assert.isTrue(error._tag === "SinkWriteError" && error.isRetryable)
    assert.isAbove(fs.statSync(`${path}-wal`).size, 0)
    yield* to.sync
    assert.strictEqual(fs.statSync(`${path}-wal`).size, 0)
    yield* goesOn(to, path)
  }))

it.live("a database whose disk has failed is opened again by its name, where it was put back", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    const { to } = yield* notForced({ path, synchronous: "FULL" })
    // Another file with the same content, as a disk that is back has it.
    for (const suffix of ["", "-wal"]) fs.copyFileSync(`${path}${suffix}`, `${path}${suffix}.copy`)
    for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(`${path}${suffix}`)
    for (const suffix of ["", "-wal"]) fs.renameSync(`${path}${suffix}.copy`, `${path}${suffix}`)
    yield* goesOn(to, path)
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

it.live("a table that was dropped is not made again with the rest only, and one that never was is made", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    const marker: RunEvent = { _tag: "Marker", runId: "run", at: 0, text: "begin" }
    const first = { ...START, first: batch(0, 1), firstAt: 1 }
    yield* Effect.scoped(Effect.gen(function*() {
      const to = (yield* SqliteSink.make({ path })).resumable!
      yield* to.open(START)
      yield* to.writeAt([marker], 1, keep)
    }))
    yield* Effect.scoped(Effect.gen(function*() {
      const to = (yield* SqliteSink.make({ path, mode: "append" })).resumable!
      assert.strictEqual((yield* to.open({ ...first, place: { through: 1, token: "" } })).through, 1)
      yield* to.writeAt(batch(0, 5), 6, keep)
    }))
    const database = new DatabaseSync(path)
    database.exec("DROP TABLE samples")
    database.close()
    const to = (yield* SqliteSink.make({ path, mode: "append" })).resumable!
    const error = yield* Effect.flip(to.open({ ...first, place: { through: 6, token: "" } }))
    assert.include(error.message, "the table samples is gone, with what the journal has written to it")
    assert.isFalse(error._tag === "SinkWriteError" && error.isRetryable)
  }))

it.live("a batch that is refused counts its samples, and not its events", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    const to = (yield* SqliteSink.make({ path })).resumable!
    yield* to.open(START)
    yield* to.writeAt(batch(0, 5), 5, keep)
    const database = new DatabaseSync(path)
    database.exec("UPDATE sampleline_positions SET through = 7")
    database.close()
    const marker: RunEvent = { _tag: "Marker", runId: "run", at: 0, text: "more" }
    const error = yield* Effect.flip(to.writeAt([marker, ...batch(5, 3), marker], 10, keep))
    assert.strictEqual(error._tag === "SinkWriteError" ? error.samples : -1, 3)
  }))

it.live("a table that another recorder overwrites takes no more rows of a journal, now or when that is resumed", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.db")
    const { resumable } = yield* SqliteSink.make({ path })
    const to = resumable!
    yield* to.open(START)
    yield* to.writeAt(batch(0, 5), 5, keep)
    yield* writeTo(SqliteSink.layer({ path, mode: "overwrite" }), samplesFrom(0, 3))
    const live = yield* Effect.flip(to.writeAt(batch(5, 5), 10, keep))
    assert.include(live.message, "its table was overwritten")
    const resumed = yield* Effect.scoped(Effect.gen(function*() {
      const { resumable } = yield* SqliteSink.make({ path, mode: "append" })
      return yield* Effect.flip(resumable!.open({ ...START, place: { through: 5, token: "" } }))
    }))
    assert.include(resumed.message, "its table was overwritten")
    assert.strictEqual(countIn(path), 3)
  }))
