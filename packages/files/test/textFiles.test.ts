import { assert, describe, it } from "@effect/vitest"
import type { Column, SampleSink, SinkOpenError } from "@sampleline/core"
import { conformance } from "@sampleline/core/testing"
import { CsvSink, JsonlSink } from "@sampleline/sinks"
import { Effect, type Layer } from "effect"
import * as fs from "node:fs"
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

const FORMATS: ReadonlyArray<{
  readonly format: "csv" | "jsonl"
  readonly layer: (
    options: { readonly path: string; readonly mode?: "append" }
  ) => Layer.Layer<SampleSink, SinkOpenError>
  readonly keeps: (value: number) => boolean
}> = [
  { format: "csv", layer: CsvSink.layer, keeps: () => true },
  { format: "jsonl", layer: JsonlSink.layer, keeps: Number.isFinite }
]

describe.each(FORMATS)("$format", ({ format, keeps, layer }) => {
  const temporary = tempFile(`run.${format}`)
  const emptyIsNull = format === "csv"

  describe("reads all that the sink promises", () => {
    const read = (path: string) => (columns: ReadonlyArray<Column>) => {
      if (!fs.existsSync(path)) return Effect.succeed([])
      const rows = readRows(path, columns)
      if (format === "csv") return rows
      // The sink's check knows only the keys of each line. The others are null here.
      const lines = fs.readFileSync(path, "utf8").split("\n").slice(0, -1).map((line): object => JSON.parse(line))
      return Effect.map(
        rows,
        (rows) => rows.map((row, at) => Object.fromEntries(Object.keys(lines[at]!).map((key) => [key, row[key]!])))
      )
    }
    const fresh = Effect.map(temporary, (path) => ({
      layer: layer({ path }),
      read: read(path),
      readEvents: readEvents(path),
      locked: format === "csv",
      emptyIsNull,
      ...(format === "jsonl" ? { keeps: () => false } : {})
    }))
    for (const { check, promise } of conformance(fresh)) it.effect(promise, () => check)
  })

  it.effect.prop(
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
