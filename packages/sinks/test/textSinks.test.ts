import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import {
  type Cell,
  FrameFormat,
  pipeToSink,
  PollSource,
  Recorder,
  type Sample,
  SampleSink,
  sampleToRow,
  SchemaLock,
  type SinkBatchError,
  type SinkOpenError,
  SourceOpenError
} from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { type Array, Cause, Effect, Fiber, FileSystem, Layer, Logger, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { CsvSink } from "../src/CsvSink.ts"
import type { TextFileOptions } from "../src/internal/TextFile.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { readCsv, readJsonl } from "./files.ts"
import { flow, sampleOf, samplesFrom } from "./samples.ts"

const tempFile = (name: string) =>
  Effect.map(
    Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped()),
    (folder) => `${folder}/${name}`
  )

const writeTo = <E>(layer: Layer.Layer<SampleSink, E>, ...batches: ReadonlyArray<ReadonlyArray<Sample>>) =>
  Effect.gen(function*() {
    const sink = yield* SampleSink
    for (const batch of batches) yield* sink.write(batch as Array.NonEmptyReadonlyArray<Sample>)
  }).pipe(Effect.provide(layer))

/** A run that begins and gets no sample. */
const runWithoutSamples = <E>(layer: Layer.Layer<SampleSink, E>) =>
  Effect.provide(Effect.map(SampleSink, (sink) => sink.began()), layer)

const contentOf = (path: string) => Effect.sync(() => fs.readFileSync(path, "utf8"))

const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  return Effect.map(
    Effect.provide(
      effect,
      Logger.layer([Logger.make(({ logLevel, message }) => lines.push(`${logLevel} ${String(message)}`))])
    ),
    () => lines
  )
}

const csv = Effect.gen(function*() {
  const path = yield* tempFile("run.csv")
  const context = yield* Effect.context<FileSystem.FileSystem>()
  return {
    layer: CsvSink.layer({ path }),
    read: (columns: Parameters<typeof readCsv>[1]) => Effect.provideContext(readCsv(path, columns), context),
    locked: true,
    emptyIsNull: true
  }
})

const jsonl = Effect.gen(function*() {
  const path = yield* tempFile("run.jsonl")
  const context = yield* Effect.context<FileSystem.FileSystem>()
  return {
    layer: JsonlSink.layer({ path }),
    read: () => Effect.provideContext(readJsonl(path), context),
    locked: false,
    emptyIsNull: false
  }
})

describe("conformance", () => {
  it.layer(NodeServices.layer)("CsvSink", (it) => {
    for (const { check, promise } of conformance(csv)) it.effect(promise, () => check)
  })
  it.layer(NodeServices.layer)("JsonlSink", (it) => {
    for (const { check, promise } of conformance(jsonl)) it.effect(promise, () => check)
  })
})

const Rows = Schema.Array(Schema.Struct({
  // @effect-diagnostics-next-line schemaNumber:off
  flow: Schema.NullOr(Schema.Number),
  note: Schema.NullOr(Schema.String)
}))

describe("what is written is read back equal by another reader", () => {
  const format = FrameFormat.fromRecord({ Flow: 0, Note: "" })
  const samplesOf = (rows: typeof Rows.Type) => rows.map((row, n) => sampleOf(format, [row.flow, row.note], n))

  it.layer(NodeServices.layer)((it) => {
    it.effect.prop("CSV, any doubles and texts", [Rows], ([rows]) =>
      Effect.scoped(Effect.gen(function*() {
        const path = yield* tempFile("run.csv")
        const samples = samplesOf(rows)
        yield* writeTo(CsvSink.layer({ path }), ...(samples.length > 0 ? [samples] : []))
        const read = yield* readCsv(path, SchemaLock.fromFormats([format]).columns)
        assert.deepStrictEqual(
          read,
          samples.map((sample) => {
            const row = sampleToRow(sample)
            return { ...row, Note: row["Note"] === "" ? null : row["Note"]!, status: null }
          })
        )
      })))

    it.effect.prop("JSONL, any doubles and texts", [Rows], ([rows]) =>
      Effect.scoped(Effect.gen(function*() {
        const path = yield* tempFile("run.jsonl")
        const samples = samplesOf(rows)
        yield* writeTo(JsonlSink.layer({ path }), ...(samples.length > 0 ? [samples] : []))
        assert.deepStrictEqual(yield* readJsonl(path), samples.map((sample) => sampleToRow(sample)))
      })))
  })
})

interface TextSink {
  readonly name: string
  readonly layer: (options: TextFileOptions) => Layer.Layer<SampleSink, SinkOpenError>
  readonly file: string
  readonly read: (path: string) => Effect.Effect<
    ReadonlyArray<{ readonly [column: string]: Cell }>,
    unknown,
    FileSystem.FileSystem
  >
}

const sinks: ReadonlyArray<TextSink> = [
  {
    name: "CsvSink",
    layer: CsvSink.layer,
    file: "run.csv",
    read: (path: string) => readCsv(path, SchemaLock.fromFormats([flow]).columns)
  },
  { name: "JsonlSink", layer: JsonlSink.layer, file: "run.jsonl", read: readJsonl }
]

describe.each(sinks)("$name", ({ file, layer, name, read }) => {
  it.layer(NodeServices.layer)((it) => {
    const sequences = (rows: ReadonlyArray<{ readonly [column: string]: unknown }>) =>
      rows.map((row) => Number(row["Mass_Flow"]) * 4)

    it.effect("describes columns, units, runs and devices in a file beside it", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        const metadataFile = `${path}-metadata.json`
        const format = FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM" }, { name: "Gas", kind: "text" }])
        const ofRun = (id: string) => {
          const devices = [{ name: "fuel", unitId: "A", identity: null, format }]
          return [sampleOf(format, [1, "N2"], 0, { id, startedAt: 1_772_366_400_000_000, devices })]
        }
        yield* writeTo(layer({ path }))
        assert.isFalse(fs.existsSync(metadataFile))
        yield* writeTo(layer({ path, mode: "append" }), ofRun("run-1"))
        yield* writeTo(layer({ path, mode: "append" }), ofRun("run-2"), ofRun("run-2"))
        const metadata = JSON.parse(fs.readFileSync(metadataFile, "utf8"))
        assert.deepInclude(metadata, { "@context": "http://www.w3.org/ns/csvw", "url": file })
        const columns = [
          { titles: "device", datatype: "string", required: false },
          { titles: "unit_id", datatype: "string", required: false },
          { titles: "requested_at", datatype: "dateTimeStamp", required: true },
          { titles: "received_at", datatype: "dateTimeStamp", required: true },
          { titles: "midpoint_at", datatype: "dateTimeStamp", required: true },
          { titles: "latency_s", datatype: "double", required: true },
          { titles: "Mass_Flow", datatype: "double", required: false, "schema:unitText": "SCCM" },
          { titles: "Gas", datatype: "string", required: false },
          { titles: "status", datatype: "string", required: false }
        ]
        assert.deepStrictEqual(metadata.tableSchema.columns, columns)
        assert.deepStrictEqual(
          metadata.notes.map((
            run: { readonly run_id: string; readonly started_at: string }
          ) => [run.run_id, run.started_at]),
          [["run-1", "2026-03-01T12:00:00.000000Z"], ["run-2", "2026-03-01T12:00:00.000000Z"]]
        )
        assert.deepStrictEqual(metadata.notes[0].devices[0].columns.Mass_Flow, { unit: "SCCM", statistic: null })

        fs.writeFileSync(metadataFile, "{\"mine\": true}")
        const lines = yield* logged(writeTo(layer({ path, mode: "append" }), ofRun("run-3")))
        assert.strictEqual(fs.readFileSync(metadataFile, "utf8"), "{\"mine\": true}")
        assert.isTrue(
          lines.some((line) => line.startsWith("Warn") && line.includes("another program made the file that is there"))
        )
      }))

    it.effect("makes missing parent folders", () =>
      Effect.gen(function*() {
        const path = (yield* tempFile("a/b")) + `/${file}`
        yield* writeTo(layer({ path }), samplesFrom(0, 3))
        assert.deepStrictEqual(sequences(yield* read(path)), [0, 1, 2])
      }))

    it.effect("refuses to create a file that exists, and says what can be done", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        fs.writeFileSync(path, "precious")
        const error = yield* Effect.flip(writeTo(layer({ path }), samplesFrom(0, 1)))
        assert.deepInclude(error, { _tag: "SinkOpenError", sink: name, reason: "AlreadyExists" })
        assert.include(error.message, "--append")
        assert.include(error.message, "--overwrite")
        assert.strictEqual(yield* contentOf(path), "precious")
      }))

    it.effect("overwrites when told to, but not before the first batch", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        yield* writeTo(layer({ path }), samplesFrom(0, 100))
        yield* Effect.gen(function*() {
          const sink = yield* SampleSink
          assert.strictEqual((yield* read(path)).length, 100)
          yield* sink.write(samplesFrom(7, 1) as [Sample])
        }).pipe(Effect.provide(layer({ path, mode: "overwrite" })))
        assert.deepStrictEqual(sequences(yield* read(path)), [7])
      }))

    it.effect("leaves an output without samples empty", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        yield* runWithoutSamples(layer({ path }))
        assert.strictEqual(yield* contentOf(path), "")
        fs.writeFileSync(path, "old")
        yield* runWithoutSamples(layer({ path, mode: "overwrite" }))
        assert.strictEqual(yield* contentOf(path), "")
      }))

    it.effect("appends to its own file", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        for (const start of [0, 3]) yield* writeTo(layer({ path, mode: "append" }), samplesFrom(start, 3))
        assert.deepStrictEqual(sequences(yield* read(path)), [0, 1, 2, 3, 4, 5])
      }))

    it.effect("appending cuts off an incomplete last record, with a warning, and nothing else", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        yield* writeTo(layer({ path }), samplesFrom(0, 3))
        const complete = yield* contentOf(path)
        const record = complete.split("\n").at(-2)!
        for (const cut of [1, 10, record.length]) {
          fs.writeFileSync(path, complete + record.slice(0, cut))
          const lines = yield* logged(writeTo(layer({ path, mode: "append" }), samplesFrom(3, 1)))
          assert.strictEqual(
            lines.filter((line) => line.startsWith("Warn") && line.includes(`last ${cut} bytes`)).length,
            1
          )
          assert.deepStrictEqual(sequences(yield* read(path)), [0, 1, 2, 3])
        }
      }))

    it.effect("refuses to append to a damaged or foreign file, and leaves it as it is", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        yield* writeTo(layer({ path }), samplesFrom(0, 3))
        const good = yield* contentOf(path)
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
          assert.strictEqual(yield* contentOf(path), damaged)
        }
      }))

    it.effect("leaves no new file behind when another output cannot be opened", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        const other = yield* tempFile("exists.csv")
        fs.writeFileSync(other, "")
        yield* Effect.flip(writeTo(SampleSink.layerAll([layer({ path }), CsvSink.layer({ path: other })])))
        assert.isFalse(fs.existsSync(path))
      }))

    it.effect("leaves no new file behind when the source cannot be opened", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        const source = Layer.effect(
          PollSource,
          Effect.fail(new SourceOpenError({ target: "/dev/ttyUSB0", reason: "NotFound", detail: "no such port" }))
        )
        const error = yield* Recorder.record({ rateHz: 10 }).pipe(
          pipeToSink(),
          Effect.provide([layer({ path }), source]),
          Effect.flip
        )
        assert.strictEqual(error._tag, "SourceOpenError")
        assert.isFalse(fs.existsSync(path))
      }))

    it.effect("after an upstream failure holds every sample that was emitted", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        const fiber = yield* Recorder.record({ period: 100, duration: "1 second" }).pipe(
          Stream.concat(Stream.fail("upstream broke")),
          pipeToSink({ batchSize: 64 }),
          Effect.provide([
            layer({ path }),
            PollSource.layer({ devices: ["probe"], poll: () => Effect.succeed({ Mass_Flow: 1 }) })
          ]),
          Effect.flip,
          Effect.forkChild
        )
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(fiber), "upstream broke")
        assert.strictEqual((yield* read(path)).length, 10)
      }))

    it.effect.each(["never", "interval", "always"] as const)("writes with fsync %s", (fsync) =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        yield* writeTo(layer({ path, fsync }), samplesFrom(0, 3), samplesFrom(3, 3))
        assert.strictEqual((yield* read(path)).length, 6)
      }))

    it.effect("never writes over what another program has added meanwhile", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        const error = yield* Effect.gen(function*() {
          const sink = yield* SampleSink
          yield* sink.write(samplesFrom(0, 3) as unknown as [Sample])
          yield* writeTo(layer({ path, mode: "append" }), samplesFrom(3, 3))
          return yield* Effect.flip(sink.write(samplesFrom(6, 3) as unknown as [Sample]))
        }).pipe(Effect.provide(layer({ path })))
        assert.include(error.message, "another program has written to it;")
        assert.deepStrictEqual(sequences(yield* read(path)), [0, 1, 2, 3, 4, 5])
      }))

    it.effect("cuts nothing off that another program has added since it was opened", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        yield* writeTo(layer({ path }), samplesFrom(0, 1))
        const error = yield* Effect.gen(function*() {
          const sink = yield* SampleSink
          yield* writeTo(layer({ path, mode: "append" }), samplesFrom(1, 2))
          return yield* Effect.flip(sink.write(samplesFrom(3, 1) as unknown as [Sample]))
        }).pipe(Effect.provide(layer({ path, mode: "append" })))
        assert.include(error.message, "another program has written to it;")
        assert.deepStrictEqual(sequences(yield* read(path)), [0, 1, 2])
      }))

    it.effect("writes to a named pipe, for a reader that comes before it", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        execFileSync("mkfifo", [path])
        const refused = yield* Effect.flip(writeTo(layer({ path })))
        assert.deepInclude(refused, { _tag: "SinkOpenError", reason: "ConnectionRefused" })
        const reader = fs.createReadStream(path, "utf8")
        let text = ""
        reader.on("data", (chunk) => text += chunk)
        yield* Effect.callback<void>((resume) => void reader.once("open", () => resume(Effect.void))).pipe(
          Effect.zipWith(
            Effect.retry(writeTo(layer({ path }), samplesFrom(0, 3), samplesFrom(3, 3)), {
              while: (error) => error._tag === "SinkOpenError"
            }),
            () => undefined,
            { concurrent: true }
          )
        )
        yield* Effect.callback<void>((resume) => {
          if (reader.readableEnded) return resume(Effect.void)
          reader.once("end", () => resume(Effect.void))
        })
        assert.strictEqual(text.split("\n").filter((line) => line.includes("fuel")).length, 6)
      }))

    it.effect("fails on a pipe whose reader has gone", () =>
      Effect.gen(function*() {
        const path = yield* tempFile(file)
        execFileSync("mkfifo", [path])
        const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
        const exit = yield* Effect.gen(function*() {
          const sink = yield* SampleSink
          fs.closeSync(reader)
          while (true) {
            yield* sink.write(samplesFrom(0, 1) as [Sample])
            yield* Effect.yieldNow
          }
        }).pipe(Effect.provide(layer({ path })), Effect.exit)
        const error = exit._tag === "Failure" ? Cause.squash(exit.cause) : undefined
        assert.deepInclude(error, { _tag: "SinkWriteError", reason: "ConnectionLost" })
      }))

    it.effect("on a full disk fails with DiskFull", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          writeTo(layer({ path: "/dev/full" }), ...Array_of(50, (n) => samplesFrom(n, 1)))
        ).pipe(
          Effect.catchDefect((defect) => Effect.succeed(defect as SinkBatchError))
        )
        assert.deepInclude(error, { _tag: "SinkWriteError", reason: "DiskFull" })
      }))
  })
})

const Array_of = <A>(length: number, make: (n: number) => A) => globalThis.Array.from({ length }, (_, n) => make(n))

describe("CsvSink", () => {
  it.layer(NodeServices.layer)((it) => {
    it.effect("refuses to append under another header, and leaves the file as it is", () =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.csv")
        yield* writeTo(CsvSink.layer({ path }), samplesFrom(0, 2))
        const before = yield* contentOf(path)
        const oven = FrameFormat.fromRecord({ Temperature: 0, Gas: "" })
        const error = yield* Effect.flip(writeTo(CsvSink.layer({ path, mode: "append" }), [sampleOf(oven, [1, "x"])]))
        assert.strictEqual(error._tag, "SinkSchemaError")
        assert.include(error.message, "its header does not match: Temperature is missing, Mass_Flow is unexpected")
        assert.strictEqual(yield* contentOf(path), before)
      }))

    it.effect("appends by the order of the existing header", () =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.csv")
        yield* writeTo(CsvSink.layer({ path }), samplesFrom(0, 1))
        const swapped = FrameFormat.fromRecord({ Gas: "", Mass_Flow: 0 })
        yield* writeTo(CsvSink.layer({ path, mode: "append" }), [sampleOf(swapped, ["Air", 9])])
        const rows = yield* readCsv(path, SchemaLock.fromFormats([flow]).columns)
        assert.deepStrictEqual(rows.map((row) => [row["Mass_Flow"], row["Gas"]]), [[0, "N2"], [9, "Air"]])
      }))

    it.effect("check tells of another header before anything is opened", () =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.csv")
        yield* writeTo(CsvSink.layer({ path }), samplesFrom(0, 2))
        const device = { name: "fuel", unitId: "A", identity: null }
        yield* CsvSink.check({ path, mode: "append" }, [{ ...device, format: flow }])
        const error = yield* Effect.flip(
          CsvSink.check({ path, mode: "append" }, [{ ...device, format: FrameFormat.fromRecord({ T: 0 }) }])
        )
        assert.strictEqual(error._tag, "SinkSchemaError")
      }))

    it.effect("writes the bytes of RFC 4180", () =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.csv")
        const format = FrameFormat.fromRecord({ Flow: 0, "a,b": "" })
        yield* writeTo(CsvSink.layer({ path, identity: true }), [
          sampleOf(format, [-0.5, "say \"hi\"\n"]),
          sampleOf(format, [null, "=1+1"], 1)
        ])
        assert.strictEqual(
          yield* contentOf(path),
          "device,unit_id,requested_at,received_at,midpoint_at,latency_s,Flow,\"a,b\",status,run_id,sequence\n"
            + "fuel,A,2026-03-01T12:00:00.000000Z,2026-03-01T12:00:00.000500Z,2026-03-01T12:00:00.000250Z,0.0005,-0.5,\"say \"\"hi\"\"\n\",,019a0000-0000-7000-8000-000000000000,0\n"
            + "fuel,A,2026-03-01T12:00:00.001000Z,2026-03-01T12:00:00.001500Z,2026-03-01T12:00:00.001250Z,0.0005,,=1+1,,019a0000-0000-7000-8000-000000000000,1\n"
        )
      }))

    it.effect("tells its columns once they are locked", () =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.csv")
        yield* Effect.gen(function*() {
          const sink = yield* CsvSink
          assert.deepStrictEqual(sink.columns, [])
          yield* sink.write(samplesFrom(0, 1) as [Sample])
          assert.deepStrictEqual(sink.columns.slice(6).map((column) => [column.name, column.type]), [
            ["Mass_Flow", "float"],
            ["Gas", "text"],
            ["status", "text"]
          ])
        }).pipe(Effect.provide(CsvSink.layer({ path })))
      }))

    it.effect.prop("finds the end of the last complete record wherever a file was cut", [
      Schema.Array(Schema.String).check(Schema.isMaxLength(4)),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 }))
    ], ([texts, at]) =>
      Effect.scoped(Effect.gen(function*() {
        const path = yield* tempFile("run.csv")
        const samples = texts.map((text, n) => sampleOf(flow, [n, text], n))
        if (samples.length > 0) yield* writeTo(CsvSink.layer({ path }), samples)
        else fs.writeFileSync(path, "")
        const whole = fs.readFileSync(path)
        fs.writeFileSync(path, whole.subarray(0, at % (whole.length + 1)))
        yield* writeTo(CsvSink.layer({ path, mode: "append" }), [sampleOf(flow, [99, "last"])])
        const rows = yield* readCsv(path, SchemaLock.fromFormats([flow]).columns)
        assert.strictEqual(rows.at(-1)?.["Gas"], "last")
        assert.isTrue(
          whole.toString().startsWith(fs.readFileSync(path, "utf8").split("fuel,A").slice(0, -1).join("fuel,A")) ||
            rows.length === 1
        )
      })))
  })
})
