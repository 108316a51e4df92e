/**
 * A source without formats whose first readings have nothing but null in a field. Every sink, read by another reader.
 */
import { assert, describe, it } from "@effect/vitest"
import { type FrameValue, pipeToSink, PollSource, Recorder, type Run, Sample, type SampleSink } from "@sampleline/core"
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import { CsvSink } from "../src/CsvSink.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { ParquetSink } from "../src/ParquetSink.ts"
import { PostgresSink } from "../src/PostgresSink.ts"
import { SqliteSink } from "../src/SqliteSink.ts"
import { SqlSink } from "../src/SqlSink.ts"
import { queryDuckDb } from "./duckdb.ts"
import { PostgresServer, prepared } from "./postgres.ts"
import { query } from "./sqlite.ts"
import { sqliteClient } from "./sqliteClient.ts"
import { tempFile } from "./tempFile.ts"
import { readCsv, readJsonl } from "./textReaders.ts"
import { writeTo } from "./writing.ts"

const RUN: Run = { id: "run-1", startedAt: 0, devices: [] }

/** One batch for each reading of a source that says nothing of its fields. */
const batchesOf = (values: ReadonlyArray<FrameValue>) =>
  Effect.gen(function*() {
    const left = [...values]
    const source = yield* PollSource.make({
      devices: ["oven"],
      poll: () => Effect.sync(() => ({ Door: left.shift() }))
    })
    return yield* Effect.forEach(values, (_, sequence) =>
      Effect.map(
        source.poll(["oven"]),
        ({ readings }) => readings.map((reading) => new Sample({ ...reading, run: RUN, sequence }))
      ))
  })

const doors = Effect.fnUntraced(function*<A, E>(
  layer: Layer.Layer<A | SampleSink, E>,
  values: ReadonlyArray<FrameValue>,
  read: Effect.Effect<ReadonlyArray<{ readonly [column: string]: unknown }>>
) {
  const report = yield* writeTo(layer, ...(yield* batchesOf(values)))
  return { stored: (yield* read).map((row) => row["Door"] ?? null), dropped: report.columnsDropped }
})

const FIRST_NULL: ReadonlyArray<FrameValue> = [null, undefined, "open", 2.5, null, "closed"]
const AS_TEXT = { stored: [null, null, "open", "2.5", null, "closed"], dropped: {} }

describe("a field that had no value in the first batch", () => {
  it.live("is counted in the summary where Parquet cannot hold its values, although its type is fixed at the end", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const left = [{ Door: null, Temp: 1 }, { Door: 7, Temp: 2 }, { Door: 8, Temp: "OVER" }]
      const summary = yield* Recorder.record({ rateHz: 25, duration: "120 millis" }).pipe(
        pipeToSink({ batchSize: 1 }),
        Effect.provide([
          ParquetSink.layer({ path }),
          PollSource.layer({ devices: ["oven"], poll: () => Effect.sync(() => left.shift()!) })
        ])
      )
      assert.deepStrictEqual(summary.sinks[0]!.columnsDropped, { Temp: 1 })
    }))

  it.live("takes what comes in CSV, and in JSON lines", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.csv")
      const csv = Effect.sync(() => readCsv(path, []))
      assert.deepStrictEqual(yield* doors(CsvSink.layer({ path }), FIRST_NULL, csv), AS_TEXT)
      const metadata = JSON.parse(fs.readFileSync(`${path}-metadata.json`, "utf8"))
      assert.deepInclude(metadata.tableSchema.columns[6], { titles: "Door", datatype: "any" })
      const lines = Effect.sync(() => readJsonl(`${path}.jsonl`))
      assert.deepStrictEqual(yield* doors(JsonlSink.layer({ path: `${path}.jsonl` }), FIRST_NULL, lines), {
        stored: [null, null, "open", 2.5, null, "closed"],
        dropped: {}
      })
    }))

  it.live("is text in a new SQLite table", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      const rows = (table: string) => Effect.sync(() => query(path, `SELECT Door FROM ${table}`))
      assert.deepStrictEqual(yield* doors(SqliteSink.layer({ path }), FIRST_NULL, rows("samples")), AS_TEXT)
      const sql = SqlSink.layer({ table: "sql", createTable: true }).pipe(Layer.provide(sqliteClient(path)))
      assert.deepStrictEqual(yield* doors(sql, FIRST_NULL, rows("sql")), AS_TEXT)
    }))

  it.live("has the type of the first row group's values in Parquet, and later values that do not fit are counted", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const read = (path: string) => queryDuckDb(`SELECT Door FROM '${path}'`)
      const group = (rowGroupSize: number) =>
        ParquetSink.layer({ path: `${path}.${rowGroupSize}.parquet`, rowGroupSize })
      assert.deepStrictEqual(yield* doors(group(3), FIRST_NULL, read(`${path}.3.parquet`)), AS_TEXT)
      assert.deepStrictEqual(yield* doors(group(6), FIRST_NULL, read(`${path}.6.parquet`)), AS_TEXT)
      assert.deepStrictEqual(yield* doors(group(7), FIRST_NULL, read(`${path}.7.parquet`)), AS_TEXT)
      assert.deepStrictEqual(yield* doors(group(2), [null, 2.5, "open", 3], read(`${path}.2.parquet`)), {
        stored: [null, 2.5, null, 3],
        dropped: { Door: 1 }
      })
      assert.deepStrictEqual(yield* doors(group(10), [null, null], read(`${path}.10.parquet`)), {
        stored: [null, null],
        dropped: {}
      })
    }))
})

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("in Postgres", (it) => {
  it.effect.each([{ useCopy: true }, { useCopy: false }])(
    "it is text in a new table, with %o",
    ({ useCopy }) =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const layer = PostgresSink.layer({ ...options, useCopy, createTable: true })
        assert.deepStrictEqual(yield* doors(layer, FIRST_NULL, rows("SELECT \"Door\" FROM samples")), AS_TEXT)
      })
  )

  it.effect.each([{ useCopy: true }, { useCopy: false }])(
    "a text in a column of numbers is null and counted, with %o",
    ({ useCopy }) =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const layer = PostgresSink.layer({ ...options, useCopy, createTable: true })
        assert.deepStrictEqual(yield* doors(layer, [2.5, "OVER", 3], rows("SELECT \"Door\" FROM samples")), {
          stored: [2.5, null, 3],
          dropped: { Door: 1 }
        })
      })
  )
})

describe("a field that had a number in the first batch", () => {
  const VALUES: ReadonlyArray<FrameValue> = [2.5, "OVER", 3]
  const COUNTED = { stored: [2.5, null, 3], dropped: { Door: 1 } }

  it.live("keeps a later text in CSV, and counts it where columns have types", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run")
      const csv = yield* doors(
        CsvSink.layer({ path: `${path}.csv` }),
        VALUES,
        Effect.sync(() => readCsv(`${path}.csv`, []))
      )
      assert.deepStrictEqual([csv.stored[1], csv.dropped], ["OVER", {}])
      const sqlite = Effect.sync(() => query(`${path}.db`, "SELECT Door FROM samples"))
      assert.deepStrictEqual(yield* doors(SqliteSink.layer({ path: `${path}.db` }), VALUES, sqlite), COUNTED)
      const parquet = queryDuckDb(`SELECT Door FROM '${path}.parquet'`)
      assert.deepStrictEqual(yield* doors(ParquetSink.layer({ path: `${path}.parquet` }), VALUES, parquet), COUNTED)
    }))
})
