import { assert, describe, it } from "@effect/vitest"
import { eventToRow, formatTimestamp, type RunEvent, type Sample, SampleSink } from "@sampleline/core"
import { ParquetSink, type ParquetSinkOptions } from "@sampleline/sinks"
import { Effect, Logger, Schedule, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DEFAULT_MODULE, runUntil } from "../../journal/test/crash.ts"
import { at, LARGE } from "../../journal/test/crashes.ts"
import { pathIn } from "../../journal/test/folder.ts"
import { parquet as killPoints } from "../../journal/test/killPoints.ts"
import { readGroups } from "../../sinks/src/internal/ParquetGroups.ts"
import { queryDuckDb, readWithDuckDb } from "../../sinks/test/duckdb.ts"
import { nonEmpty, writeAll, writeTo } from "../../sinks/test/writing.ts"
import { open, type ReadError, type Recorded } from "../src/index.ts"
import { AnySamples, EXPECTED, expectedRow, expectSuffixes, rowsOf, samplesOf } from "./recordings.ts"
import { expectedRows, markerAt, samplesFrom } from "./samples.ts"

const quietly = Effect.provide(Logger.layer([]))

/** Writes samples, in row groups of ten, and events; then reads while the sink is still open. */
const recording = <A, E, R>(
  file: string,
  samples: ReadonlyArray<Sample>,
  events: ReadonlyArray<RunEvent>,
  meanwhile: Effect.Effect<A, E, R>,
  options: Partial<ParquetSinkOptions> = {}
) =>
  Effect.gen(function*() {
    const sink = yield* SampleSink
    for (let at = 0; at < samples.length; at += 10) yield* sink.write(nonEmpty(samples.slice(at, at + 10)))
    for (const event of events) yield* sink.event(event)
    return yield* meanwhile
  }).pipe(Effect.provide(ParquetSink.layer({ path: file, rowGroupSize: 10, rowIds: true, ...options })), quietly)

const record = (file: string, samples: ReadonlyArray<Sample>, options: Partial<ParquetSinkOptions> = {}) =>
  recording(file, samples, [markerAt(0)], Effect.void, options)

/** A row group is written in the background. */
const reaches = (recorded: Recorded, end: number) =>
  Effect.repeat(recorded.extent, { until: (extent) => extent.end === end, schedule: Schedule.spaced("2 millis") })

const eventsOf = (recorded: { readonly events: Stream.Stream<unknown, ReadError> }) =>
  Stream.runCollect(recorded.events)

describe("a Parquet file", () => {
  it.live("gives the samples, the columns with their units, and the events of a finished recording", () =>
    Effect.gen(function*() {
      const file = yield* pathIn("run.parquet")
      const samples = samplesFrom(0, 95)
      yield* record(file, samples)
      const recorded = yield* open(file)
      const columns = yield* recorded.columns
      assert.deepStrictEqual(
        columns.map(({ field, name, type }) => `${name} ${type} ${field}`),
        [
          "device text null",
          "unit_id text null",
          "requested_at timestamp null",
          "received_at timestamp null",
          "midpoint_at timestamp null",
          "latency_s number null",
          "Mass_Flow number Mass_Flow",
          "Gas text Gas",
          "Counter number Counter",
          "Pressure number Pressure",
          "frame_Status number Status",
          "status text null",
          "run_id text null",
          "sequence number null",
          "tick number null"
        ]
      )
      assert.deepStrictEqual(columns.find(({ name }) => name === "Mass_Flow")?.units, { fuel: "SCCM", air: "SLPM" })
      assert.deepStrictEqual(columns.find(({ name }) => name === "Pressure")?.units, { air: "PSIA" })
      assert.deepStrictEqual(yield* recorded.extent, { first: 0, end: 95 })
      assert.deepStrictEqual(yield* eventsOf(recorded), [eventToRow(markerAt(0))])

      const rows = yield* rowsOf(recorded)
      assert.deepStrictEqual(rows, expectedRows(samples, columns))
      const typed = columns.map(({ name, type }) => ({
        name,
        type: type === "number" ? "float" as const : type,
        nullable: true
      }))
      const times = new Set(columns.filter(({ type }) => type === "timestamp").map(({ name }) => name))
      assert.deepStrictEqual(
        rows.map((row) =>
          Object.fromEntries(
            Object.entries(row).map(([name, cell]) => [name, times.has(name) ? formatTimestamp(Number(cell)) : cell])
          )
        ),
        yield* readWithDuckDb(`'${file}'`, typed)
      )
    }).pipe(Effect.scoped))

  it.live.prop(
    "gives the samples that were written, and from any position those behind it",
    [AnySamples],
    ([any]) =>
      Effect.scoped(Effect.gen(function*() {
        const file = yield* pathIn("run.parquet")
        // Both devices are in the first batch: it fixes the columns.
        const samples = [...samplesOf([{ flow: 1, note: "a" }, { temperature: 1, count: 1 }]), ...samplesOf(any)]
        yield* quietly(writeTo(ParquetSink.layer({ path: file, rowGroupSize: 10 }), samples))
        const recorded = yield* open(file)
        assert.deepStrictEqual(
          yield* rowsOf(recorded, { columns: EXPECTED }),
          samples.map((sample) => expectedRow(sample, () => true, false))
        )
        yield* expectSuffixes(recorded)
      })),
    // Each starts a thread.
    { arbitrary: { runs: 10 } }
  )

  it.live("gives from any position to any other what is there, in batches of the size that was asked for", () =>
    Effect.gen(function*() {
      const file = yield* pathIn("run.parquet")
      yield* record(file, samplesFrom(0, 57))
      const recorded = yield* open(file)
      const all = yield* rowsOf(recorded, { columns: ["sequence", "Mass_Flow", "nothing"] })
      assert.deepStrictEqual(Object.keys(all[0]!), ["Mass_Flow", "sequence"])
      for (const [from, to] of [[0, 57], [9, 11], [10, 20], [13, 13], [56, 99], [57, 60], [-5, 3]] as const) {
        const options = { from, to, columns: ["sequence", "Mass_Flow"], batchRows: 4 }
        const batches = yield* Stream.runCollect(recorded.samples(options))
        assert.deepStrictEqual(yield* rowsOf(recorded, options), all.slice(Math.max(0, from), to))
        for (const batch of batches) {
          assert.isAtMost(batch.rows, 4)
          assert.strictEqual(batch.to - batch.from, batch.rows)
        }
      }
    }).pipe(Effect.scoped))

  it.live("that still grows gives its finished row groups, by either name, and all when it is complete", () =>
    Effect.gen(function*() {
      const file = yield* pathIn("run.parquet")
      const samples = samplesFrom(0, 25)
      const growing = Effect.gen(function*() {
        const recorded = yield* open(file)
        yield* reaches(recorded, 20)
        assert.deepStrictEqual(yield* eventsOf(recorded), [])
        const columns = yield* recorded.columns
        assert.deepStrictEqual(yield* rowsOf(recorded), expectedRows(samples.slice(0, 20), columns))
        const partial = yield* open(`${file}.partial`)
        yield* writeAll(samplesFrom(25, 5), samplesFrom(30, 5))
        yield* reaches(partial, 30)
        yield* reaches(recorded, 30)
        return recorded
      })
      const recorded = yield* recording(file, samples, [markerAt(3)], growing)
      const columns = yield* recorded.columns
      assert.deepStrictEqual(yield* rowsOf(recorded), expectedRows(samplesFrom(0, 35), columns))
      assert.deepStrictEqual(yield* eventsOf(recorded), [eventToRow(markerAt(3))])
      // Another recording of the same name changes nothing for it.
      yield* recording(
        file,
        samplesFrom(0, 10),
        [],
        Effect.gen(function*() {
          assert.strictEqual((yield* recorded.extent).end, 35)
          assert.lengthOf(yield* rowsOf(recorded, { from: 33 }), 2)
        }),
        { mode: "overwrite" }
      )
      assert.strictEqual((yield* (yield* open(`${file}.partial`)).extent).end, 10)
    }).pipe(Effect.scoped))

  it.live("that a killed recorder has left gives its finished row groups, and stays as it is", () =>
    Effect.gen(function*() {
      const folder = path.dirname(yield* pathIn("run.parquet"))
      yield* runUntil(
        { does: "record without a journal", folder, module: DEFAULT_MODULE, names: ["parquet"], maxBytes: LARGE },
        at(killPoints.writing, "before the record of a row group", 0, 4)
      )
      const before = filesIn(folder)
      const recorded = yield* open(path.join(folder, "run.parquet"))
      const { end } = yield* recorded.extent
      const rows = yield* rowsOf(recorded)
      assert.isAbove(end, 0)
      assert.deepStrictEqual(rows.map((row) => row["Count"]), Array.from({ length: end }, (_, n) => n))
      assert.include((yield* Stream.runCollect(recorded.events)).map(({ event }) => event), "RunStarted")
      assert.deepStrictEqual(filesIn(folder), before)

      // Another recorder completes it, while it is read.
      const copy = yield* pathIn("run.parquet")
      fs.cpSync(folder, path.dirname(copy), { recursive: true })
      const completed = yield* open(copy)
      yield* record(copy, samplesFrom(0, 5), { mode: "append" })
      assert.isFalse(fs.existsSync(`${copy}.partial`))
      assert.deepStrictEqual(yield* rowsOf(completed), rows)
      assert.strictEqual((yield* Stream.runCollect(completed.events)).at(-1)?.reason, "unknown")

      // A power cut: the last row group is lost, and what followed was never written.
      const partial = path.join(folder, "run.parquet.partial")
      fs.truncateSync(partial, readGroups(path.join(folder, "run.parquet"))!.finished.at(-1)!.end - 1)
      const cut = yield* open(partial)
      assert.isBelow((yield* cut.extent).end, end)
      assert.deepStrictEqual(yield* rowsOf(cut), rows.slice(0, (yield* cut.extent).end))

      fs.rmSync(`${partial}-groups`)
      assert.match(String(yield* Effect.flip(open(partial))), /its footer cannot be read .*; use a copy of it/)
    }).pipe(Effect.scoped))

  it.live("of another program is read if it has our columns: other units of time, other compressions", () =>
    Effect.gen(function*() {
      const file = yield* pathIn("foreign.parquet")
      for (const [unit, codec] of [["TIMESTAMP_MS", "snappy"], ["TIMESTAMP_NS", "gzip"], ["TIMESTAMPTZ", "brotli"]]) {
        yield* queryDuckDb(
          `COPY (SELECT 'a' AS device, make_timestamp(1772366400123000 + i * 1000)::${unit} AS requested_at,
            CASE WHEN i % 3 = 0 THEN NULL ELSE i::FLOAT / 2 END AS Flow, i % 2 = 0 AS Valve, i::BIGINT AS n, [i] AS list
            FROM range(5000) t(i)) TO '${file}' (FORMAT parquet, CODEC '${codec}', ROW_GROUP_SIZE 2048)`
        )
        const recorded = yield* open(file)
        const [batch] = yield* Stream.runCollect(recorded.samples({ from: 4097, to: 4100 }))
        assert.deepStrictEqual(
          batch && [...batch.columns].map(([name, values]) => [
            name,
            "numbers" in values ? [...values.numbers] : [...values.places].map((at) => values.texts[at])
          ]),
          [
            ["device", ["a", "a", "a"]],
            ["requested_at", [4097, 4098, 4099].map((n) => 1_772_366_400_123_000 + n * 1000)],
            ["Flow", [2048.5, 0, 2049.5].map((flow, n) => (4097 + n) % 3 === 0 ? 0 : flow)],
            ["Valve", [0, 1, 0]],
            ["n", [4097, 4098, 4099]]
          ]
        )
      }
    }).pipe(Effect.scoped))

  it.live("that is missing, is something else or is cut off is refused with a reason", () =>
    Effect.gen(function*() {
      const file = yield* pathIn("run.parquet")
      const refusal = Effect.map(
        Effect.flip(Effect.scoped(open(file))),
        ({ message, reason }) => `${reason} ${message}`
      )
      assert.match(yield* refusal, /^NotFound .*run.parquet: there is no such file; check its name$/)
      fs.writeFileSync(file, "device,requested_at\n")
      assert.match(yield* refusal, /^NotARecording .*: it is not a Parquet file$/)
      yield* queryDuckDb(`COPY (SELECT 1 AS device) TO '${file}' (FORMAT parquet)`)
      assert.match(yield* refusal, /^NotARecording .*: it is not a recording: of its columns \(device\) none is a time/)
      fs.rmSync(file)
      yield* record(file, samplesFrom(0, 20))
      fs.truncateSync(file, fs.statSync(file).size - 3)
      assert.match(yield* refusal, /^Damaged .*: its footer cannot be read \(.*\); use a copy of it/)
    }))
})

/** The names, contents and times of all files in a folder. */
const filesIn = (folder: string) =>
  fs.readdirSync(folder).map((name) => {
    const file = path.join(folder, name)
    return [name, fs.readFileSync(file).toString("base64"), fs.statSync(file).mtimeMs]
  })
