/**
 * A Parquet file read by four readers: DuckDB, hyparquet, and those of the Arrow family, which also show the units.
 */
import { assert, it } from "@effect/vitest"
import { type Cell, formatTimestamp, FrameFormat, type Run, Sample, SchemaLock } from "@sampleline/core"
import { DataType, tableFromIPC } from "apache-arrow"
import { Effect } from "effect"
import { parquetMetadata, parquetReadObjects } from "hyparquet"
import * as fs from "node:fs"
import * as zlib from "node:zlib"
import { readParquet } from "parquet-wasm"
import { ParquetSink } from "../src/ParquetSink.ts"
import { readWithDuckDb } from "./duckdb.ts"
import { deviceOf, sampleOf } from "./samples.ts"
import { tempFile } from "./tempFile.ts"
import { writeTo } from "./writing.ts"

const formatOf = (unit: string) =>
  FrameFormat.make([
    { name: "Mass_Flow", unit },
    { name: "Pressure", unit: "PSIA" },
    { name: "Totalizer", unit: "SLµ", kind: "int" },
    { name: "Gas", kind: "text" },
    { name: "Note", kind: "unknown" }
  ])
const fuel = formatOf("SCCM")
const air = formatOf("SLPM")
const RUN: Run = {
  id: "run-1",
  startedAt: 1_772_366_400_000_001,
  devices: [deviceOf(fuel, "fuel"), deviceOf(air, "air")]
}

const SAMPLES = Array.from({ length: 50 }, (_, n) => {
  const isFuel = n % 3 > 0
  const values = [
    n === 7 ? null : n === 8 ? Number.NaN : n === 9 ? Number.NEGATIVE_INFINITY : n / 8,
    14.7,
    n === 4 ? null : n - 25,
    n % 5 === 0 ? null : n % 2 === 0 ? "N2" : "µ 🧪",
    null
  ]
  const sample = sampleOf(isFuel ? fuel : air, values, n, RUN)
  return new Sample(Object.assign({}, sample, { device: isFuel ? "fuel" : "air", tick: n === 3 ? null : n }))
})

/** The rows as the sink was given them, times as text. */
const { columns, rows } = (() => {
  const lock = SchemaLock.fromBatch(SAMPLES, { rowIds: true }).typed()
  return {
    columns: lock.columns,
    rows: SAMPLES.map((sample) =>
      Object.fromEntries(
        lock.row(sample).map((cell, at): [string, Cell] => {
          const { name, type } = lock.columns[at]!
          return [name, type === "timestamp" && cell !== null ? formatTimestamp(Number(cell)) : cell]
        })
      )
    )
  }
})()

const typed = (name: string, value: unknown): unknown => {
  if (value === null || value === undefined) return null
  const type = columns.find((column) => column.name === name)!.type
  return type === "timestamp" ? formatTimestamp(Number(value)) : type === "int" ? Number(value) : value
}

const arrowTable = (path: string) => tableFromIPC(readParquet(fs.readFileSync(path)).intoIPCStream())

it.live.each(
  [
    {},
    { compression: "snappy", dictionary: false },
    { compression: "gzip", rowGroupSize: 10 },
    { compression: "none", dictionary: false, rowGroupSize: 10 }
  ] as const
)("all readers see the same values with %o", (options) =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.parquet")
    yield* writeTo(ParquetSink.layer({ path, rowIds: true, ...options }), SAMPLES.slice(0, 30), SAMPLES.slice(30))

    assert.deepStrictEqual(yield* readWithDuckDb(`'${path}'`, columns), rows)

    const bytes = fs.readFileSync(path)
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
    const read = yield* Effect.promise(() =>
      parquetReadObjects({
        file,
        compressors: {
          ZSTD: (input) => zlib.zstdDecompressSync(input),
          GZIP: (input) => zlib.gunzipSync(input)
        },
        parsers: { timestampFromMicroseconds: (micros) => micros }
      })
    )
    assert.deepStrictEqual(
      read.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typed(name, value)]))),
      rows
    )

    const table = arrowTable(path)
    for (const { name, type } of columns) {
      const vector = table.getChild(name)!
      // `get` would give milliseconds.
      const micros = type === "timestamp" ? vector.toArray() as BigInt64Array : undefined
      assert.deepStrictEqual(
        rows.map((_, at) => typed(name, micros === undefined ? vector.get(at) : micros[at])),
        rows.map((row) => row[name]),
        name
      )
    }
  }))

it.live("readers of the Arrow family show the unit of each column, and the file's own types and metadata", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.parquet")
    yield* writeTo(ParquetSink.layer({ path, rowIds: true }), SAMPLES)
    const { schema } = arrowTable(path)
    const units = schema.fields.flatMap(({ metadata, name }) => metadata.size === 0 ? [] : [[name, ...metadata]])
    assert.deepStrictEqual(units, [
      ["Mass_Flow", ["unit", "{\"fuel\":\"SCCM\",\"air\":\"SLPM\"}"]],
      ["Pressure", ["unit", "PSIA"]],
      ["Totalizer", ["unit", "SLµ"]]
    ])
    assert.deepStrictEqual(schema.fields.map(({ nullable }) => nullable), columns.map(({ nullable }) => nullable))
    for (const { name, type } of schema.fields) assert.isFalse(DataType.isDictionary(type), name)
    assert.strictEqual(
      String(schema.fields.find(({ name }) => name === "requested_at")!.type),
      "Timestamp<MICROSECOND, UTC>"
    )

    const bytes = fs.readFileSync(path)
    const { key_value_metadata } = parquetMetadata(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
    )
    const entries = new Map(key_value_metadata!.map(({ key, value }) => [key, value!]))
    entries.delete("ARROW:schema")
    assert.deepStrictEqual(schema.metadata, entries)
    assert.strictEqual(schema.metadata.get("run_id"), "run-1")
  }))
