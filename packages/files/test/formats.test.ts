import { assert, describe, it } from "@effect/vitest"
import type { Column, SampleSink, SinkOpenError } from "@sampleline/core"
import { conformance, type SinkUnderTest } from "@sampleline/core/testing"
import { CsvSink, JsonlSink, SqliteSink } from "@sampleline/sinks"
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import { keepsInSqlite } from "../../sinks/test/sqlite.ts"
import { tempFile } from "../../sinks/test/tempFile.ts"
import { writeTo } from "../../sinks/test/writing.ts"
import { open } from "../src/index.ts"
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
    options: { readonly path: string; readonly mode?: "append" }
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
      }))
  )
})
