import { assert, describe, it } from "@effect/vitest"
import {
  type Column,
  FrameFormat,
  pipeToSink,
  PollSource,
  Recorder,
  type SampleSink,
  type SinkOpenError
} from "@sampleline/core"
import { conformance, type SinkUnderTest } from "@sampleline/core/testing"
import { CsvSink, JsonlSink, SqliteSink } from "@sampleline/sinks"
import { Effect, Layer, Stream } from "effect"
import * as fs from "node:fs"
import { keepsInSqlite } from "../../sinks/test/sqlite.ts"
import { tempFile } from "../../sinks/test/tempFile.ts"
import { writeTo } from "../../sinks/test/writing.ts"
import { open, runsOf } from "../src/index.ts"
import {
  AnySamples,
  EXPECTED,
  expectedRow,
  expectSuffixes,
  readEvents,
  readRows,
  rowsOf,
  samplesOf
} from "./recordings.ts"

interface Format {
  readonly name: string
  readonly file: string
  readonly layer: (
    options: { readonly path: string; readonly mode?: "create" | "append" }
  ) => Layer.Layer<SampleSink, SinkOpenError>
  readonly keeps: (value: number) => boolean
  /** What the check of the sink's promises must know. */
  readonly promises: Pick<SinkUnderTest, "locked" | "emptyIsNull" | "keeps" | "rowOptions">
}

const ofTable = { locked: true, emptyIsNull: false, keeps: keepsInSqlite, rowOptions: { rowIds: true } }

const FORMATS: ReadonlyArray<Format> = [
  {
    name: "CSV",
    file: "run.csv",
    layer: CsvSink.layer,
    keeps: () => true,
    promises: { locked: true, emptyIsNull: true }
  },
  {
    name: "JSON lines",
    file: "run.jsonl",
    layer: JsonlSink.layer,
    keeps: Number.isFinite,
    promises: { locked: false, emptyIsNull: false, keeps: () => false }
  },
  {
    name: "SQLite",
    file: "run.db",
    layer: (options) => Layer.orDie(SqliteSink.layer(options)),
    keeps: (value) => !Number.isNaN(value),
    promises: ofTable
  },
  {
    name: "SQLite with times as integers",
    file: "run.sqlite",
    layer: (options) => Layer.orDie(SqliteSink.layer({ ...options, timestamps: "integer", journalMode: "DELETE" })),
    keeps: (value) => !Number.isNaN(value),
    promises: ofTable
  }
]

describe.each(FORMATS)("$name", ({ file, keeps, layer, promises }) => {
  const temporary = tempFile(file)
  const { emptyIsNull } = promises

  describe("reads all that the sink promises", () => {
    const read = (path: string) => (columns: ReadonlyArray<Column>) => {
      if (!fs.existsSync(path)) return Effect.succeed([])
      const rows = readRows(path, columns)
      if (promises.locked) return rows
      // The sink's check knows only the keys of each line. The others are null here.
      const lines = fs.readFileSync(path, "utf8").split("\n").slice(0, -1).map((line): object => JSON.parse(line))
      return Effect.map(
        rows,
        (rows) => rows.map((row, at) => Object.fromEntries(Object.keys(lines[at]!).map((key) => [key, row[key]!])))
      )
    }
    const fresh = Effect.map(temporary, (path) => ({
      ...promises,
      layer: layer({ path }),
      read: read(path),
      readEvents: readEvents(path)
    }))
    for (const { check, promise } of conformance(fresh)) it.live(promise, () => check)
  })

  it.live.prop(
    "gives the samples that were written, and from any position those behind it",
    [AnySamples],
    ([any]) =>
      Effect.scoped(Effect.gen(function*() {
        const path = yield* temporary
        // Both devices are in the first batch: it fixes the columns of CSV.
        const samples = [...samplesOf([{ flow: 1, note: "a" }, { temperature: 1, count: 1 }]), ...samplesOf(any)]
        yield* writeTo(layer({ path }), samples)
        const recorded = yield* open(path)
        assert.deepStrictEqual(
          yield* rowsOf(recorded, { columns: EXPECTED }),
          samples.map((sample) => expectedRow(sample, keeps, emptyIsNull))
        )
        yield* expectSuffixes(recorded)
      })),
    { arbitrary: { runs: 30 } }
  )

  it.live("tells two runs apart, with their devices, units and marks, and takes up the second where the first ended", () =>
    Effect.gen(function*() {
      const path = yield* temporary
      const record = (operator: string, unit: string, mode: "create" | "append") =>
        Recorder.record({ rateHz: 100, duration: "20 millis", metadata: { operator } }).pipe(
          pipeToSink(),
          Effect.provide([
            layer({ path, mode }),
            PollSource.layer({
              devices: { fuel: { format: FrameFormat.make([{ name: "Flow", unit }]) } },
              poll: () => Effect.succeed({ Flow: 1.5 })
            })
          ])
        )
      yield* record("Ada", "SCCM", "create")
      const recorded = yield* open(path)
      const { end } = yield* recorded.extent
      const first = yield* rowsOf(recorded, { columns: ["requested_at"] })
      yield* record("Grace", "SLPM", "append")

      const runs = runsOf(yield* Stream.runCollect(recorded.events))
      assert.deepStrictEqual(
        runs.map((
          { cause, devices, metadata, rateHz }
        ) => [metadata["operator"], devices[0]?.fields[0]?.unit, rateHz, cause]),
        [["Ada", "SCCM", 100, "completed"], ["Grace", "SLPM", 100, "completed"]]
      )
      const flow = (yield* recorded.columns).filter(({ field }) => field === "Flow")
      assert.deepStrictEqual(flow, [{ name: "Flow", type: "number", field: "Flow", units: { fuel: "SLPM" } }])
      const later = yield* rowsOf(recorded, { from: end, columns: ["requested_at"] })
      assert.deepStrictEqual(yield* rowsOf(recorded, { columns: ["requested_at"] }), [...first, ...later])
      assert.isAbove(later.length, 0)
      for (const row of later) assert.isAtLeast(Number(row["requested_at"]), runs[1]!.startedAt)
    }))
})
