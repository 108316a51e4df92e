import { assert, describe, it } from "@effect/vitest"
import { pipeToSink, PollSource, Recorder, SampleSink, SourceOpenError } from "@sampleline/core"
import { Cause, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import { CsvSink } from "../../src/CsvSink.ts"
import { failingCall } from "../failingCall.ts"
import { samplesFrom } from "../samples.ts"
import { filesBeside, tempFile } from "../tempFile.ts"
import { textSinks } from "../textSinks.ts"
import { logged, nonEmpty, runWithoutSamples, writeTo } from "../writing.ts"

const textOf = (path: string) => fs.readFileSync(path, "utf8")

const sequences = (rows: ReadonlyArray<{ readonly [column: string]: unknown }>) =>
  rows.map((row) => Number(row["Mass_Flow"]) * 4)

const missingSource = Layer.effect(
  PollSource,
  Effect.fail(new SourceOpenError({ target: "/dev/ttyUSB0", reason: "NotFound", detail: "no such port" }))
)

/** What another program might add. */
const repeatLastLine = (path: string) =>
  Effect.sync(() => fs.appendFileSync(path, `${fs.readFileSync(path, "utf8").trimEnd().split("\n").at(-1)}\n`))

describe.each(textSinks)("the file of $name", ({ check, file, layer, name, read }) => {
  it.effect("gets its missing parent folders", () =>
    Effect.gen(function*() {
      const path = (yield* tempFile("a/b")) + `/${file}`
      yield* writeTo(layer({ path }), samplesFrom(0, 3))
      assert.deepStrictEqual(sequences(read(path)), [0, 1, 2])
    }))

  it.effect("is not created if it exists, and the error says what to do", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      fs.writeFileSync(path, "precious")
      const error = yield* Effect.flip(writeTo(layer({ path }), samplesFrom(0, 1)))
      assert.deepInclude(error, { _tag: "SinkOpenError", sink: name, reason: "AlreadyExists" })
      assert.include(error.message, "--append")
      assert.include(error.message, "--overwrite")
      assert.strictEqual((yield* Effect.flip(check({ path }))).message, error.message)
      assert.strictEqual(textOf(path), "precious")
    }))

  it.effect("is not created through a broken link", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      fs.symlinkSync(`${path}.nowhere`, path)
      const error = yield* Effect.flip(writeTo(layer({ path })))
      assert.deepInclude(error, { _tag: "SinkOpenError", reason: "AlreadyExists" })
      assert.strictEqual((yield* Effect.flip(check({ path }))).message, error.message)
      assert.isFalse(fs.existsSync(path))
    }))

  it.effect("is overwritten if asked for, but not before the first batch", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), samplesFrom(0, 100))
      yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        assert.strictEqual(read(path).length, 100)
        yield* sink.write(nonEmpty(samplesFrom(7, 1)))
      }).pipe(Effect.provide(layer({ path, mode: "overwrite" })))
      assert.deepStrictEqual(sequences(read(path)), [7])
    }))

  it.effect("is left empty by a run without samples", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* runWithoutSamples(layer({ path }))
      assert.strictEqual(textOf(path), "")
      fs.writeFileSync(path, "old")
      yield* runWithoutSamples(layer({ path, mode: "overwrite" }))
      assert.strictEqual(textOf(path), "")
    }))

  it.effect("stays as it was if an overwriting run without samples fails", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      fs.writeFileSync(path, "old")
      const failing = Effect.andThen(Effect.map(SampleSink, (sink) => sink.began()), Effect.fail("broken"))
      yield* Effect.flip(Effect.provide(failing, layer({ path, mode: "overwrite" })))
      assert.strictEqual(textOf(path), "old")
    }))

  it.effect.each(["create", "overwrite", "append"] as const)(
    "with mode %s: no new file stays and no old one changes if no run begins, however the program ends",
    (mode) =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        for (const program of [Effect.void, Effect.fail("broken"), Effect.interrupt, Effect.die("a defect")]) {
          yield* Effect.exit(Effect.provide(Effect.andThen(SampleSink, program), layer({ path, mode })))
          assert.isFalse(fs.existsSync(path))
          if (mode === "create") continue
          yield* writeTo(layer({ path }), samplesFrom(0, 2))
          const before = filesBeside(path)
          yield* Effect.exit(Effect.provide(Effect.andThen(SampleSink, program), layer({ path, mode })))
          assert.deepStrictEqual(filesBeside(path), before)
          fs.rmSync(path)
        }
      })
  )

  it.effect("stays if no run begins but another program has written to it", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* Effect.provide(Effect.map(SampleSink, () => fs.writeFileSync(path, "theirs")), layer({ path }))
      assert.strictEqual(textOf(path), "theirs")
    }))

  it.effect("does not stay if another output cannot be opened", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const other = yield* tempFile("exists.csv")
      fs.writeFileSync(other, "")
      yield* Effect.flip(writeTo(SampleSink.layerAll([layer({ path }), CsvSink.layer({ path: other })])))
      assert.isFalse(fs.existsSync(path))
    }))

  it.effect.each(["create", "overwrite"] as const)(
    "with mode %s: does not stay, or stays as it was, if the source cannot be opened",
    (mode) =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        if (mode === "overwrite") fs.writeFileSync(path, "old")
        const error = yield* Recorder.record({ rateHz: 10 }).pipe(
          pipeToSink(),
          Effect.provide([layer({ path, mode }), missingSource]),
          Effect.flip
        )
        assert.strictEqual(error._tag, "SourceOpenError")
        if (mode === "overwrite") assert.strictEqual(textOf(path), "old")
        else assert.isFalse(fs.existsSync(path))
      })
  )

  it.effect("stays empty after a run in which no device answered", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const summary = yield* Effect.gen(function*() {
        const fiber = yield* Recorder.record({ period: 100, duration: "1 second" }).pipe(
          pipeToSink(),
          Effect.provide(PollSource.layer({ devices: ["probe"], poll: () => Effect.fail("no reply") })),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 second")
        return yield* Fiber.join(fiber)
      }).pipe(Effect.provide(layer({ path })))
      assert.strictEqual(summary.samplesEmitted, 0)
      assert.strictEqual(textOf(path), "")
    }))

  it.effect("is appended to", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      for (const start of [0, 3]) yield* writeTo(layer({ path, mode: "append" }), samplesFrom(start, 3))
      assert.deepStrictEqual(sequences(read(path)), [0, 1, 2, 3, 4, 5])
    }))

  it.effect("loses only an incomplete last record when it is appended to, with a warning", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), samplesFrom(0, 3))
      const complete = textOf(path)
      const record = complete.split("\n").at(-2)!
      for (const cut of [1, 10, record.length]) {
        fs.writeFileSync(path, complete + record.slice(0, cut))
        yield* check({ path, mode: "append" })
        const lines = yield* logged(writeTo(layer({ path, mode: "append" }), samplesFrom(3, 1)))
        assert.strictEqual(
          lines.filter((line) => line.startsWith("Warn") && line.includes(`last ${cut} bytes are an incomplete record`))
            .length,
          1
        )
        assert.deepStrictEqual(sequences(read(path)), [0, 1, 2, 3])
      }
    }))

  it.effect("is not appended to if it is damaged or foreign, and stays as it was", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), samplesFrom(0, 3))
      const good = textOf(path)
      const lines = good.split("\n")
      const damages = [
        good.replace("N2", "N2\0"),
        [...lines.slice(0, 2), "x", ...lines.slice(2)].join("\n"),
        `PK\u0003\u0004\n${"\0".repeat(20)}\n`
      ]
      for (const damaged of damages) {
        fs.writeFileSync(path, damaged)
        const error = yield* Effect.flip(writeTo(layer({ path, mode: "append" }), samplesFrom(3, 1)))
        assert.deepInclude(error, { _tag: "SinkOpenError", reason: "Foreign" })
        assert.strictEqual((yield* Effect.flip(check({ path, mode: "append" }))).message, error.message)
        assert.strictEqual(textOf(path), damaged)
      }
    }))

  it.effect.each(["{\"my\":\"config\"}", "a note", "\"a note\nof two lines", "{\"device\":\"mine\"}", "device: mine"])(
    "is not appended to if it holds only %j of another program, and stays as it was",
    (theirs) =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        fs.writeFileSync(path, theirs)
        const error = yield* Effect.flip(writeTo(layer({ path, mode: "append" }), samplesFrom(0, 1)))
        assert.deepInclude(error, { _tag: "SinkOpenError", reason: "Foreign" })
        assert.strictEqual((yield* Effect.flip(check({ path, mode: "append" }))).message, error.message)
        assert.strictEqual(textOf(path), theirs)
      })
  )

  it.effect("is appended to if it holds only the beginning of the header or the first record", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), samplesFrom(0, 1))
      const whole = textOf(path)
      for (let cut = 0; cut < whole.length; cut += 4) {
        for (const end of ["", "\0\0"]) {
          fs.writeFileSync(path, whole.slice(0, cut) + end)
          yield* check({ path, mode: "append" })
          yield* writeTo(layer({ path, mode: "append" }), samplesFrom(5, 1))
          assert.deepStrictEqual(sequences(read(path)), [5], `${cut}`)
        }
      }
    }))

  it.effect("holds every emitted sample after an upstream failure", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const error = yield* Effect.gen(function*() {
        const fiber = yield* Recorder.record({ period: 100, duration: "1 second" }).pipe(
          Stream.concat(Stream.fail("upstream broke")),
          pipeToSink({ batchSize: 64 }),
          Effect.provide(PollSource.layer({ devices: ["probe"], poll: () => Effect.succeed({ Mass_Flow: 1 }) })),
          Effect.flip,
          Effect.forkChild
        )
        yield* TestClock.adjust("1 second")
        return yield* Fiber.join(fiber)
      }).pipe(Effect.provide(layer({ path })))
      assert.strictEqual(error, "upstream broke")
      assert.strictEqual(read(path).length, 10)
    }))

  it.effect.each(["never", "interval", "always"] as const)(
    "is written with fsync %s",
    (fsync) =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        yield* writeTo(layer({ path, fsync }), samplesFrom(0, 3), samplesFrom(3, 3))
        assert.strictEqual(read(path).length, 6)
      })
  )

  it.effect("cannot be forced to disk at the end, so the run fails and the report says why", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* failingCall("fdatasync", "EIO")
      let sink: SampleSink["Service"] | undefined
      const exit = yield* Effect.exit(Effect.provide(
        Effect.gen(function*() {
          sink = yield* SampleSink
          yield* sink.write(nonEmpty(samplesFrom(0, 3)))
        }),
        layer({ path, fsync: "interval" })
      ))
      assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "could not be forced to disk: EIO")
      assert.deepInclude(sink!.report()[0]!.error, { _tag: "SinkWriteError", samples: 3, reason: "Unknown" })
    }))

  it.live("cannot be forced to disk while it is recorded, so the report has the error and the next batch fails", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* failingCall("fdatasync", "EIO")
      const exit = yield* Effect.exit(Effect.provide(
        Effect.gen(function*() {
          const sink = yield* SampleSink
          yield* sink.write(nonEmpty(samplesFrom(0, 3)))
          while (sink.report()[0]!.error === null) yield* Effect.sleep(20)
          assert.strictEqual(sink.report()[0]!.rows, 0)
          const error = yield* Effect.flip(sink.write(nonEmpty(samplesFrom(3, 2))))
          assert.deepInclude(error, { _tag: "SinkWriteError", samples: 2, reason: "Unknown" })
          return yield* error
        }),
        layer({ path, fsync: "interval" })
      ))
      assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "could not be forced to disk: EIO")
    }))

  it.effect("cannot be closed, so the run fails and the report says why", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      let isFailing = false
      yield* failingCall("closeSync", "ENOSPC", () => isFailing)
      let sink: SampleSink["Service"] | undefined
      const exit = yield* Effect.exit(Effect.provide(
        Effect.gen(function*() {
          sink = yield* SampleSink
          yield* sink.write(nonEmpty(samplesFrom(0, 3)))
          isFailing = true
        }),
        layer({ path })
      ))
      isFailing = false
      assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "could not be closed: ENOSPC")
      assert.deepInclude(sink!.report()[0]!.error, { _tag: "SinkWriteError", samples: 3, reason: "DiskFull" })
    }))

  it.effect("keeps what another program has added between two batches", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const error = yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        yield* sink.write(nonEmpty(samplesFrom(0, 3)))
        yield* repeatLastLine(path)
        return yield* Effect.flip(sink.write(nonEmpty(samplesFrom(6, 3))))
      }).pipe(Effect.provide(layer({ path })))
      assert.include(error.message, "another program has written to it;")
      assert.deepStrictEqual(sequences(read(path)), [0, 1, 2, 2])
    }))

  it.effect("keeps what another program has added before the first batch", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), samplesFrom(0, 1))
      const error = yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        yield* repeatLastLine(path)
        return yield* Effect.flip(sink.write(nonEmpty(samplesFrom(3, 1))))
      }).pipe(Effect.provide(layer({ path, mode: "append" })))
      assert.include(error.message, "another program has written to it;")
      assert.deepStrictEqual(sequences(read(path)), [0, 0])
    }))
})
