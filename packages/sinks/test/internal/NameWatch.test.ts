import { assert, describe, it } from "@effect/vitest"
import { type Sample, SampleSink, type SinkOpenError } from "@sampleline/core"
import { Cause, Deferred, Effect, Exit, type Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { CsvSink } from "../../src/CsvSink.ts"
import { idOf, NameWatch } from "../../src/internal/NameWatch.ts"
import { SqliteSink } from "../../src/SqliteSink.ts"
import { silentCall } from "../failingCall.ts"
import { samplesFrom } from "../samples.ts"
import { countRows, execute } from "../sqlite.ts"
import { tempFile } from "../tempFile.ts"
import { textSinks } from "../textSinks.ts"
import { nonEmpty, writeAll } from "../writing.ts"

const textOf = (path: string) => fs.readFileSync(path, "utf8")

const sequences = (rows: ReadonlyArray<{ readonly [column: string]: unknown }>) =>
  rows.map((row) => Number(row["Mass_Flow"]) * 4)

/**
 * Writes three samples, changes the file, and writes two more once the sink has seen the change (`seen` is what it logs then), or
 * closes at once. Gives the log, the report and how it ended.
 */
const recordThrough = Effect.fnUntraced(function*<A>(
  layer: Layer.Layer<A | SampleSink, SinkOpenError>,
  change: () => void,
  { seen }: { readonly seen: string | null }
) {
  const log: Array<string> = []
  const isSeen = yield* Deferred.make<void>()
  const logger = Logger.make(({ logLevel, message }) => {
    log.push(`${logLevel} ${String(message)}`)
    if (seen !== null && String(message).includes(seen)) Deferred.doneUnsafe(isSeen, Exit.void)
  })
  let sink: SampleSink["Service"] | undefined
  const write = (samples: ReadonlyArray<Sample>) => sink!.write(nonEmpty(samples))
  const exit = yield* Effect.gen(function*() {
    sink = yield* SampleSink
    sink.began()
    yield* write(samplesFrom(0, 3))
    change()
    if (seen === null) return
    yield* TestClock.adjust("1 second")
    yield* Deferred.await(isSeen)
    yield* write(samplesFrom(3, 2))
  }).pipe(Effect.provide(layer), Effect.exit, Effect.provide(Logger.layer([logger])))
  return {
    log: log.join("\n"),
    report: sink!.report()[0]!,
    problem: Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : ""
  }
})

it.live("a look finds a file under its name, under another name, or not at all", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.csv")
    const fd = fs.openSync(path, "w")
    const watch = new NameWatch(path, idOf(fd))
    watch.unseen = 3
    assert.isNull(yield* watch.look)
    assert.strictEqual(watch.unseen, 0)
    watch.unseen = 2
    fs.renameSync(path, `${path}.1`)
    assert.deepStrictEqual(yield* watch.look, { movedTo: `${path}.1` })
    fs.writeFileSync(path, "")
    assert.deepStrictEqual(yield* watch.look, { movedTo: `${path}.1` })
    fs.rmSync(`${path}.1`)
    assert.deepStrictEqual(yield* watch.look, { movedTo: null })
    fs.rmSync(nodePath.dirname(path), { recursive: true })
    assert.deepStrictEqual(yield* watch.look, { movedTo: null })
    assert.strictEqual(watch.unseen, 2)
    fs.mkdirSync(nodePath.dirname(path))
    fs.closeSync(fd)
  }))

it.effect("a disk that does not answer is asked once, and stops neither the recording nor its end", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.csv")
    const calls = yield* silentCall("stat")
    const recording = Effect.gen(function*() {
      yield* writeAll(samplesFrom(0, 3))
      yield* TestClock.adjust("10 seconds")
      return yield* writeAll(samplesFrom(3, 3))
    })
    const report = yield* Effect.provide(recording, CsvSink.layer({ path }))
    assert.deepInclude(report, { rows: 6, error: null })
    assert.strictEqual(calls(), 1)
  }))

describe.each(textSinks)("a file of $name that loses its name while it is recorded", ({ file, layer, name, read }) => {
  it.effect.each([false, true])(
    "is begun anew after it was moved, also if an empty file was made: %s",
    (isMade) =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        const rotate = () => {
          fs.renameSync(path, `${path}.1`)
          if (isMade) fs.writeFileSync(path, "")
        }
        const { log, problem, report } = yield* recordThrough(layer({ path }), rotate, { seen: "later samples" })
        assert.strictEqual(problem, "")
        assert.include(
          log,
          `Warn ${name} ${path}: it was moved to ${path}.1, with its last 3 samples; later samples go to`
        )
        assert.deepStrictEqual(sequences(read(`${path}.1`)), [0, 1, 2])
        assert.deepStrictEqual(sequences(read(path)), [3, 4])
        assert.deepInclude(report, { rows: 5, error: null })
      })
  )

  it.effect.each(["file", "folder"])(
    "is begun anew after the %s was removed, and what is lost is counted",
    (what) =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        const remove = () => fs.rmSync(what === "file" ? path : nodePath.dirname(path), { recursive: true })
        const { log, problem, report } = yield* recordThrough(layer({ path }), remove, { seen: "later samples" })
        assert.include(log, "Error")
        assert.include(problem, "it was removed while it was recorded")
        assert.deepStrictEqual(sequences(read(path)), [3, 4])
        assert.isTrue(fs.existsSync(`${path}-metadata.json`))
        assert.strictEqual(report.rows, 2)
        assert.deepInclude(report.error, { _tag: "SinkWriteError", samples: 3 })
      })
  )

  it.effect("is appended to if an editor has saved it", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const save = () => {
        fs.copyFileSync(path, `${path}.new`)
        fs.renameSync(`${path}.new`, path)
      }
      yield* recordThrough(layer({ path }), save, { seen: "later samples" })
      assert.deepStrictEqual(sequences(read(path)), [0, 1, 2, 3, 4])
      assert.strictEqual(JSON.parse(textOf(`${path}-metadata.json`)).notes.length, 1)
    }))

  it.effect.each(["a note\n", "{}\n", "cut"])(
    "does not touch %j in its place, and fails",
    (theirs) =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        const replace = () => {
          const whole = textOf(path)
          fs.renameSync(path, `${path}.1`)
          fs.writeFileSync(path, theirs === "cut" ? whole.slice(0, -5) : theirs)
        }
        const { problem, report } = yield* recordThrough(layer({ path }), replace, { seen: "later samples" })
        assert.include(problem, "something else was put in its place, which was not changed")
        if (theirs !== "cut") assert.strictEqual(textOf(path), theirs)
        assert.deepStrictEqual(sequences(read(`${path}.1`)), [0, 1, 2])
        assert.strictEqual(report.rows, 3)
      })
  )

  it.effect("is missed at the end too", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const removed = yield* recordThrough(layer({ path }), () => fs.rmSync(path), { seen: null })
      assert.include(removed.problem, "did not accept 3 samples")
      assert.strictEqual(removed.report.rows, 0)
      const moved = yield* recordThrough(layer({ path }), () => fs.renameSync(path, `${path}.1`), { seen: null })
      assert.strictEqual(moved.problem, "")
      assert.include(moved.log, `it was moved to ${path}.1, with its last 3 samples`)
      assert.isFalse(fs.existsSync(path))
    }))
})

it.effect("a file of CsvSink is not appended to if its columns are others", () =>
  Effect.gen(function*() {
    const { file, layer } = textSinks[0]!
    const path = yield* tempFile(file)
    const replace = () => {
      const whole = textOf(path)
      fs.rmSync(path)
      fs.writeFileSync(path, whole.replaceAll(",Gas,", ",Fluid,"))
    }
    const { problem } = yield* recordThrough(layer({ path }), replace, { seen: "later samples" })
    assert.include(problem, "something else was put in its place")
  }))

describe("a database of SqliteSink that loses its name while it is recorded", () => {
  const remove = (path: string) => fs.rmSync(path)
  const removeFolder = (path: string) => fs.rmSync(nodePath.dirname(path), { recursive: true })
  const replace = (path: string) => {
    execute(`${path}.new`, "CREATE TABLE theirs (a)")
    fs.renameSync(`${path}.new`, path)
  }

  it.live.each([{ change: remove }, { change: removeFolder }, { change: replace }])(
    "ends that output, and what is lost is counted: $change.name",
    ({ change }) =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.db")
        let sink: SampleSink["Service"] | undefined
        const exit = yield* Effect.exit(Effect.provide(
          Effect.gen(function*() {
            sink = yield* SampleSink
            yield* sink.write(nonEmpty(samplesFrom(0, 3)))
            change(path)
            const write = Effect.suspend(() => sink!.write(nonEmpty(samplesFrom(3, 1))))
            return yield* Effect.forever(Effect.andThen(write, Effect.sleep(20)))
          }),
          SqliteSink.layer({ path })
        ))
        assert.include(String(Exit.isFailure(exit) && exit.cause), "it was removed or replaced while it was recorded")
        assert.strictEqual(sink!.report()[0]!.rows, 0)
        if (change === replace) assert.strictEqual(countRows(path, "theirs"), 0)
        else if (change === remove) assert.isFalse(fs.existsSync(path))
        else fs.mkdirSync(nodePath.dirname(path))
      })
  )

  it.live("keeps the samples of a database that was moved, and says where they are", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      let sink: SampleSink["Service"] | undefined
      const exit = yield* Effect.exit(Effect.provide(
        Effect.gen(function*() {
          sink = yield* SampleSink
          yield* sink.write(nonEmpty(samplesFrom(0, 3)))
          fs.renameSync(path, `${path}.moved`)
        }),
        SqliteSink.layer({ path })
      ))
      assert.include(String(Exit.isFailure(exit) && exit.cause), `it was moved to ${path}.moved`)
      assert.strictEqual(countRows(`${path}.moved`), 3)
      assert.strictEqual(sink!.report()[0]!.rows, 3)
    }))
})
