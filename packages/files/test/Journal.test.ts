import { assert, describe, it } from "@effect/vitest"
import { eventToRow, MemorySink, PollSource, Recorder, type RunEvent, type Sample } from "@sampleline/core"
import { Journal } from "@sampleline/journal"
import { Array, Deferred, Duration, Effect, Exit, Fiber, Logger, Result, Schema, Scope, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Store from "../../journal/src/Store.ts"
import { DEFAULT_MODULE, runUntil } from "../../journal/test/crash.ts"
import { SMALL } from "../../journal/test/crashes.ts"
import { pathIn } from "../../journal/test/folder.ts"
import { journalIn } from "../../journal/test/outputs.ts"
import { logged } from "../../sinks/test/writing.ts"
import { open, type Recorded } from "../src/index.ts"
import { rowsOf } from "./recordings.ts"
import { expectedRows, markerAt, run, sampleAt, samplesFrom } from "./samples.ts"

/** A store whose segments are small. */
const storeAt = (folder: string, segmentBytes = 8_000) =>
  Store.create({
    path: folder,
    fsync: "never",
    segmentBytes,
    diskWait: Duration.seconds(1),
    maxBytes: 2 ** 30,
    whenFull: "stop"
  }, { id: "journal-1", settings: null })

const append = (store: Store.Store, items: ReadonlyArray<Sample | RunEvent>, size = 10) =>
  Effect.forEach(Array.chunksOf(items, size), (items) => store.append(items), { discard: true })

const eventsOf = (recorded: Recorded) => Stream.runCollect(recorded.events)

const sequencesOf = (recorded: Recorded, from = 0) =>
  Effect.map(rowsOf(recorded, { columns: ["sequence"], from }), (rows) => rows.map((row) => Number(row["sequence"])))

describe("a journal", () => {
  it.live("gives the samples of all its segments, the columns with their units, and the events between them", () =>
    Effect.gen(function*() {
      const folder = yield* pathIn("run.journal")
      const samples = samplesFrom(0, 300)
      const store = yield* storeAt(folder)
      assert.deepStrictEqual(yield* (yield* open(folder)).extent, { first: 0, end: 0 })
      yield* append(store, [markerAt(0), ...samples.slice(0, 100), markerAt(1), markerAt(2), ...samples.slice(100)], 7)
      const recorded = yield* open(folder)
      const columns = yield* recorded.columns
      assert.deepStrictEqual(
        columns.map(({ field, name, type, units }) => `${name} ${type} ${field} ${Object.entries(units).join(" ")}`),
        [
          "device text null ",
          "unit_id text null ",
          "requested_at timestamp null ",
          "received_at timestamp null ",
          "midpoint_at timestamp null ",
          "latency_s number null ",
          "Mass_Flow number Mass_Flow fuel,SCCM air,SLPM",
          "Gas text Gas ",
          "Counter number Counter fuel,1",
          "Pressure number Pressure air,PSIA",
          "frame_Status number Status ",
          "status text null ",
          "run_id text null ",
          "sequence number null ",
          "tick number null "
        ]
      )
      assert.isAbove(fs.readdirSync(folder).filter((name) => /^segment-\d+\.db$/.test(name)).length, 3)
      assert.deepStrictEqual(yield* recorded.extent, { first: 0, end: 303 })
      assert.deepStrictEqual(yield* rowsOf(recorded), expectedRows(samples, columns))
      const [started, ...events] = yield* eventsOf(recorded)
      assert.deepStrictEqual(events, [0, 1, 2].map((n) => eventToRow(markerAt(n))))
      assert.deepInclude(started, { event: "RunStarted", run_id: run.id, at: "2026-03-01T12:00:00.000000Z" })
      assert.deepStrictEqual(
        (started!.data!["devices"] as ReadonlyArray<any>).map(({ device, fields }) => [device, fields.length]),
        [["fuel", 3], ["air", 3]]
      )
      yield* append(store, [...samplesFrom(300, 10), markerAt(4)])
      assert.lengthOf(yield* rowsOf(recorded), 310)
      assert.deepStrictEqual((yield* eventsOf(recorded)).at(-1), eventToRow(markerAt(4)))
    }).pipe(Effect.scoped))

  it.effect.prop(
    "gives from any position to any other what is there, in batches of any size",
    {
      sizes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 }))),
      from: Schema.Int.check(Schema.isBetween({ minimum: -1, maximum: 120 })),
      count: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })),
      batchRows: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 30 }))
    },
    ({ batchRows, count, from, sizes }) =>
      Effect.gen(function*() {
        const folder = yield* pathIn("run.journal")
        const store = yield* storeAt(folder, 2_000)
        let end = 0
        const items: Array<Sample | RunEvent> = []
        for (const size of sizes) {
          const added = Array.makeBy(size, (n) => (end + n) % 9 === 4 ? markerAt(end + n) : sampleAt(end + n))
          yield* store.append(added)
          items.push(...added)
          end += size
        }
        const recorded = yield* open(folder)
        assert.deepStrictEqual(yield* recorded.extent, { first: 0, end })
        const expected = items.flatMap((item, position) => "_tag" in item ? [] : [{ position, sample: item }])
          .filter(({ position }) => position >= from && position < from + count)
        const columns = yield* recorded.columns
        const options = { from, to: from + count, batchRows }
        assert.deepStrictEqual(
          yield* rowsOf(recorded, options),
          expectedRows(expected.map(({ sample }) => sample), columns)
        )
        const batches = yield* Stream.runCollect(recorded.samples(options))
        let row = 0
        for (const batch of batches) {
          assert.isAtMost(batch.rows, batchRows)
          assert.strictEqual(batch.from, expected[row]!.position)
          row += batch.rows
          assert.isAbove(batch.to, expected[row - 1]!.position)
        }
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 20 } }
  )

  it.live("is read while a recorder appends to it and removes its old segments", () =>
    Effect.gen(function*() {
      const folder = yield* pathIn("run.journal")
      const store = yield* storeAt(folder)
      yield* append(store, samplesFrom(0, 500))
      const recorded = yield* open(folder)
      const halfRead = yield* Deferred.make<void>()
      const read = yield* recorded.samples({ columns: ["sequence"], batchRows: 50 }).pipe(
        Stream.map(({ columns }) => columns.get("sequence")!),
        Stream.flatMap((values) => Stream.fromIterable("numbers" in values ? [...values.numbers] : [])),
        Stream.tap((sequence) => sequence === 120 ? Deferred.succeed(halfRead, undefined) : Effect.void),
        Stream.runCollect,
        Effect.forkChild
      )
      yield* Deferred.await(halfRead)
      yield* append(store, samplesFrom(500, 500))
      yield* store.forget(400)
      const { first } = yield* recorded.extent
      assert.isAbove(first, 200)
      const sequences = yield* Fiber.join(read)
      assert.deepStrictEqual(sequences, sequences.toSorted((a, b) => a - b))
      assert.strictEqual(new Set(sequences).size, sequences.length)
      assert.strictEqual(sequences.at(-1), 499)
      assert.includeMembers(sequences, Array.range(first, 499))
      assert.deepStrictEqual(yield* sequencesOf(recorded), Array.range(first, 999))
      // A reader that comes later finds the devices, though the event of the beginning is gone.
      assert.strictEqual((yield* eventsOf(yield* open(folder)))[0]?.event, "RunStarted")
    }).pipe(Effect.scoped))

  it.live("of a recording in this process grows for a reader, and is not in its way", () =>
    Effect.gen(function*() {
      const folder = yield* pathIn("run.journal")
      let accepted = 0
      const isHalf = yield* Deferred.make<void>()
      const recording = yield* Recorder.record({ rateHz: 500 }).pipe(
        Stream.take(100),
        Journal.pipeToSink({
          path: folder,
          onAccepted: (samples) => {
            accepted = samples
            if (samples >= 50) Deferred.doneUnsafe(isHalf, Effect.void)
          }
        }),
        Effect.provide([
          MemorySink.layer,
          PollSource.layer({ devices: ["a"], poll: () => Effect.succeed({ A: 1 }) }),
          Logger.layer([])
        ]),
        Effect.forkChild
      )
      yield* Deferred.await(isHalf)
      const recorded = yield* open(folder)
      const atLeast = accepted
      const sequences = yield* sequencesOf(recorded)
      assert.deepStrictEqual(sequences, Array.range(0, sequences.length - 1))
      assert.isAtLeast(sequences.length, atLeast)
      assert.strictEqual((yield* eventsOf(recorded))[0]?.event, "RunStarted")
      assert.strictEqual((yield* Fiber.join(recording)).samplesEmitted, 100)
      const gone = Effect.map(Effect.flip(recorded.extent), ({ message, reason }) => `${reason} ${message}`)
      assert.match(yield* gone, /^NotFound .*there is no journal, .*; it is removed when all its outputs have/)
      yield* append(yield* storeAt(folder), samplesFrom(0, 10))
      assert.match(yield* gone, /there is no journal, or another one than before/)
    }).pipe(Effect.scoped))

  it.live("is read beside another process's recorder, and after that is killed; no byte of it is changed", () =>
    Effect.gen(function*() {
      const here = path.dirname(yield* pathIn("x"))
      const folder = journalIn(here)
      const isThere = Effect.sync(() =>
        fs.existsSync(folder) && fs.readdirSync(folder).some((name) => name.startsWith("segment"))
      )
      const scope = yield* Scope.make()
      let live: Recorded | undefined
      const { accepted } = yield* runUntil(
        { does: "record", folder: here, module: DEFAULT_MODULE, names: ["csv"], maxBytes: SMALL },
        {
          when: Effect.gen(function*() {
            yield* Effect.repeat(Effect.delay(isThere, "5 millis"), { until: (isThere) => isThere })
            live = yield* Scope.provide(open(folder), scope)
            yield* Effect.repeat(Effect.delay(live.extent, "5 millis"), { until: ({ end }) => end > 400 })
          }).pipe(Effect.orDie)
        }
      )
      const left = filesIn(folder)
      const sequences = yield* sequencesOf(live!)
      assert.isAtLeast(sequences.length, 400)
      assert.deepStrictEqual(sequences, Array.range(sequences[0]!, sequences.at(-1)!))
      yield* Scope.close(scope, Exit.void)
      // SQLite keeps there who reads a log.
      const isShared = ([name]: readonly [string, ...ReadonlyArray<unknown>]) => name.endsWith("-shm")
      assert.deepStrictEqual(filesIn(folder).filter((file) => !isShared(file)), left.filter((file) => !isShared(file)))

      const before = filesIn(folder)
      const recorded = yield* open(folder)
      const rows = yield* rowsOf(recorded)
      assert.isAtLeast(Number(rows.at(-1)?.["sequence"]), accepted - 1)
      assert.deepStrictEqual(
        rows.map((row) => row["Count"]),
        Array.range(Number(rows[0]?.["sequence"]), Number(rows.at(-1)?.["sequence"]))
      )
      assert.include((yield* eventsOf(recorded)).map(({ event }) => event), "RunStarted")
      assert.deepStrictEqual(filesIn(folder), before)
    }).pipe(Effect.scoped))

  it.live("gives all but the appends that are damaged, with a warning", () =>
    Effect.gen(function*() {
      const folder = yield* pathIn("run.journal")
      yield* Effect.scoped(Effect.flatMap(storeAt(folder, 1 << 20), (store) => append(store, samplesFrom(0, 50))))
      const [segment] = fs.readdirSync(folder).filter((name) => /^segment-\d+\.db$/.test(name))
      const database = new DatabaseSync(path.join(folder, segment!))
      database.exec("UPDATE appends SET sum = sum + 1 WHERE first = 20")
      database.close()
      let sequences: ReadonlyArray<number> = []
      const lines = yield* logged(Effect.gen(function*() {
        sequences = yield* sequencesOf(yield* open(folder))
      }))
      assert.deepStrictEqual(sequences, [...Array.range(0, 19), ...Array.range(30, 49)])
      assert.match(lines.join(), /^Warn journal .*run.journal: 10 items from position 0 on are damaged and left out$/)
    }).pipe(Effect.scoped))

  it.effect.prop(
    "gives no wrong value if a byte of it is wrong",
    {
      place: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 20 })),
      byte: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
    },
    ({ byte, place }) =>
      Effect.gen(function*() {
        const folder = yield* pathIn("run.journal")
        const samples = samplesFrom(0, 20)
        yield* Effect.scoped(Effect.flatMap(storeAt(folder, 1 << 20), (store) => append(store, samples)))
        const { columns, rows } = yield* Effect.scoped(
          Effect.flatMap(open(folder), (recorded) => Effect.all({ columns: recorded.columns, rows: rowsOf(recorded) }))
        )
        assert.deepStrictEqual(rows, expectedRows(samples, columns))
        const [segment] = fs.readdirSync(folder).filter((name) => /^segment-\d+\.db$/.test(name))
        const file = path.join(folder, segment!)
        const bytes = fs.readFileSync(file)
        bytes[place % bytes.length] = byte
        fs.writeFileSync(file, bytes)
        const left = yield* Effect.result(Effect.flatMap(open(folder), (recorded) => rowsOf(recorded)))
        if (Result.isFailure(left)) return assert.include(["Damaged", "Unreadable"], left.failure.reason)
        // A run that cannot be read has no id.
        for (const row of left.success) {
          assert.deepStrictEqual({ ...row, run_id: run.id }, rows.find(({ sequence }) => sequence === row["sequence"]))
        }
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))),
    { arbitrary: { runs: 15 } }
  )

  it.live("that is missing, is another folder, or is of another version is refused with a reason", () =>
    Effect.gen(function*() {
      const folder = yield* pathIn("run.journal")
      const refusal = Effect.scoped(Effect.flatMap(open(folder), ({ columns }) => columns)).pipe(
        Effect.flip,
        Effect.map(({ message, reason }) => `${reason} ${message}`)
      )
      assert.match(yield* refusal, /^NotFound .*run.journal: there is no such file/)
      fs.mkdirSync(folder)
      assert.match(
        yield* refusal,
        /^NotARecording .*run.journal: .* the folder of a journal/
      )
      yield* Effect.scoped(Effect.flatMap(storeAt(folder), (store) => append(store, samplesFrom(0, 1))))
      const [segment] = fs.readdirSync(folder).filter((name) => /^segment-\d+\.db$/.test(name))
      const database = new DatabaseSync(path.join(folder, segment!))
      database.exec("PRAGMA user_version = 7")
      database.close()
      assert.match(yield* refusal, /^Unreadable .*another version of sampleline \(layout 7, this one reads 1\)/)
    }).pipe(Effect.scoped))
})

/** The names, contents and times of all files in a folder. */
const filesIn = (folder: string) =>
  fs.readdirSync(folder).map((name) => {
    const file = path.join(folder, name)
    return [name, fs.readFileSync(file).toString("base64"), fs.statSync(file).mtimeMs] as const
  })
