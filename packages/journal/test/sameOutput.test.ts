/**
 * What comes through a journal is what comes without one: from memory while it is recorded, and from disk when it is resumed.
 */
import { assert, describe, it } from "@effect/vitest"
import { FrameFormat, pipeToSink, type Run, Sample, SampleSink, type Tick } from "@sampleline/core"
import { CsvSink, JsonlSink, SqliteSink } from "@sampleline/sinks"
import { Effect, Logger, Stream } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { Journal } from "../src/index.ts"
import { pathIn } from "./folder.ts"

const strange = FrameFormat.make([
  { name: "Flow" },
  { name: "Flow" },
  { name: "flow", kind: "int" },
  { name: "Note, \"quoted\"", kind: "text" },
  { name: "Later", kind: "unknown" },
  { name: "Gas", kind: "text", unit: "°C", statistic: 5, conditional: true }
])

const FIRST_SEEN = FrameFormat.fromRecord({ Level: 1 })

const TEXTS = [
  "",
  "a,b",
  "a\nb\r\nc",
  "say \"x\"",
  "nul \0 here",
  "lone \ud800 half",
  "\udc00",
  " é ",
  "=1+1",
  "\ufeff"
]
const NUMBERS = [0, -0, 1 / 3, 1e300, -1e-300, NaN, Infinity, -Infinity, Number.MAX_SAFE_INTEGER, 5e-324, 100]

const wide = FrameFormat.make(Array.from({ length: 10_000 }, (_, n) => ({ name: `field${n}` })))

const run: Run = {
  id: "0197d000-0000-7000-8000-000000000000",
  startedAt: 1_700_000_000_000_000,
  rateHz: 10,
  host: "rig \ud800",
  metadata: { operator: "Ada \"A\"\n" },
  devices: [
    { name: "fuel", unitId: "A", identity: null, format: strange },
    { name: "not yet known", unitId: "", identity: null, format: null }
  ]
}

const tickOf = (
  index: number,
  samples: ReadonlyArray<Omit<ConstructorParameters<typeof Sample>[0], TimesOf>>
): Tick => {
  const at = run.startedAt + index * 100_000
  return {
    run,
    index,
    at,
    driftMs: 0,
    skipped: index % 50 === 7 ? 2 : 0,
    skipCause: index % 50 === 7 ? "poll" : null,
    dropped: 0,
    clockSteps: [],
    failures: [],
    thinned: [],
    droppedFailures: new Map(),
    isTrailer: false,
    samples: samples.map((sample) =>
      new Sample({
        ...sample,
        run,
        requestedAt: at,
        receivedAt: at + 1234,
        requestedMonotonicNanos: index * 1e8,
        receivedMonotonicNanos: index * 1e8 + 1_234_567
      })
    )
  }
}

type TimesOf = "run" | "requestedAt" | "receivedAt" | "requestedMonotonicNanos" | "receivedMonotonicNanos"

const pick = <A>(all: ReadonlyArray<A>, n: number): A => all[n % all.length]!

/** Any values that a device may give, and a second device whose format nobody knew. */
const strangeTicks = Array.from({ length: 100 }, (_, index) =>
  tickOf(index, [
    {
      device: "fuel",
      unitId: "A",
      sequence: 2 * index,
      tick: index,
      frame: {
        format: strange,
        values: [
          pick(NUMBERS, index),
          index % 3 === 0 ? undefined : null,
          index,
          pick(TEXTS, index),
          index % 2 === 0 ? pick(NUMBERS, index) : pick(TEXTS, index),
          pick(TEXTS, index * 7)
        ],
        status: index % 4 === 0 ? ["MOV", "HLD"] : [],
        ...(index % 5 === 0 ? { fieldFailures: [{ field: "Later", detail: "garbled \0" }] } : {})
      }
    },
    {
      device: "not yet known",
      unitId: "",
      sequence: 2 * index + 1,
      tick: null,
      frame: { format: FIRST_SEEN, values: [index], status: [] }
    }
  ]))

const wideTicks = Array.from({ length: 1 }, (_, index) =>
  tickOf(index, [{
    device: "fuel",
    unitId: "A",
    sequence: index,
    tick: index,
    frame: { format: wide, values: wide.fields.map((_, n) => n / 7 + index), status: [] }
  }]))

const sinks = (folder: string, mode: "create" | "append", hasTable: boolean) =>
  SampleSink.layerAll([
    CsvSink.layer({ path: `${folder}/run.csv`, mode, rowIds: true }),
    JsonlSink.layer({ path: `${folder}/run.jsonl`, mode, rowIds: true }),
    ...(hasTable ? [SqliteSink.layer({ path: `${folder}/run.db`, mode })] : [])
  ])

/** The bytes of the text files, and the rows of the tables. Events tell when they were, so only their other columns are compared. */
const contentOf = (folder: string, hasTable: boolean) => {
  const text = (name: string) => fs.readFileSync(`${folder}/${name}`).toString("latin1")
  const events = (name: string) => text(`${name}-events.jsonl`).split("\n").filter((line) => !line.includes("RunEnded"))
  const tables = () => {
    const database = new DatabaseSync(`${folder}/run.db`)
    const rows = ["samples", "samples_columns"].map((table) => database.prepare(`SELECT * FROM ${table}`).all())
    database.close()
    return rows
  }
  return {
    csv: text("run.csv"),
    jsonl: text("run.jsonl"),
    metadata: text("run.csv-metadata.json"),
    events: [events("run.csv"), events("run.jsonl")],
    tables: hasTable ? tables() : []
  }
}

/** Leaves everything in the journal, and tells nothing. */
const stuck = SampleSink.layer({ name: "stuck", write: () => Effect.never })

const folder = Effect.map(pathIn("outputs"), (folder) => {
  fs.mkdirSync(folder)
  return folder
})

const cases = {
  "any texts and numbers": { ticks: strangeTicks, hasTable: true },
  "ten thousand fields": { ticks: wideTicks, hasTable: false }
}

describe.each(Object.entries(cases))("with %s, an output", (_, { hasTable, ticks }) => {
  const stream = Stream.fromIterable(ticks)
  const options = { batchSize: 1000, flushInterval: "20 millis" } as const
  const silent = Logger.layer([])
  const simple = Effect.gen(function*() {
    const here = yield* folder
    yield* stream.pipe(pipeToSink(options), Effect.provide([sinks(here, "create", hasTable), silent]))
    return contentOf(here, hasTable)
  })

  it.live("is the same as without a journal", () =>
    Effect.gen(function*() {
      const here = yield* folder
      const path = `${here}/run.journal`
      yield* stream.pipe(
        Journal.pipeToSink({ ...options, path }),
        Effect.provide([sinks(here, "create", hasTable), silent])
      )
      assert.deepStrictEqual(contentOf(here, hasTable), yield* simple)
    }).pipe(Effect.scoped))

  it.live("is the same when it is made from the journal later", () =>
    Effect.gen(function*() {
      const here = yield* folder
      const path = `${here}/run.journal`
      yield* stream.pipe(
        Journal.pipeToSink({ ...options, path, stopTimeout: "100 millis" }),
        Effect.provide([stuck, silent]),
        Effect.exit
      )
      // Its own output is not among those that are resumed.
      yield* Effect.exit(
        Journal.resume({ ...options, path }).pipe(Effect.provide([sinks(here, "append", hasTable), silent]))
      )
      assert.deepStrictEqual(contentOf(here, hasTable), yield* simple)
    }).pipe(Effect.scoped))
})
