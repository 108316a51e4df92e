import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "@sampleline/core"
import { Effect } from "effect"
import { queryDuckDb } from "./duckdb.ts"
import { flow, sampleOf } from "./samples.ts"
import { tempFile } from "./tempFile.ts"
import { textSinks } from "./textSinks.ts"
import { writeTo } from "./writing.ts"

/** More rows than a reader looks at to infer a type, all with the same whole number. Then half a unit less. */
const wholeThenHalf = (format: FrameFormat) =>
  Array.from({ length: 25_001 }, (_, n) => sampleOf(format, [n < 25_000 ? 100 : 99.5, n], n))

describe.each(textSinks)("types that DuckDB infers from a file of $name", ({ file, layer, name }) => {
  it.live("a column of floats is DOUBLE however many whole numbers begin it, and integers are BIGINT", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const format = FrameFormat.make([{ name: "Setpoint" }, { name: "Count", kind: "int" }])
      yield* writeTo(layer({ path }), wholeThenHalf(format))
      const [row] = yield* queryDuckDb(
        `SELECT any_value(typeof(Setpoint)) AS float, any_value(typeof(Count)) AS int, count(*) AS n,
          count(*) FILTER (Setpoint = 100) AS whole, last(Setpoint ORDER BY Count) AS last FROM '${path}'`
      )
      assert.deepStrictEqual(row, { float: "DOUBLE", int: "BIGINT", n: 25_001n, whole: 25_000n, last: 99.5 })
    }))

  it.live("a column of numbers and texts has floats with a decimal point", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const numbers = FrameFormat.make([{ name: "Setpoint" }, { name: "Count", kind: "int" }])
      const texts = FrameFormat.make([{ name: "Setpoint", kind: "text" }, { name: "Count", kind: "int" }])
      const [first, ...others] = wholeThenHalf(numbers)
      yield* writeTo(layer({ path }), [first!, sampleOf(texts, [null, -1], -1)], others)
      const [row] = yield* queryDuckDb(
        `SELECT any_value(typeof(Setpoint)) AS type, last(Setpoint ORDER BY Count) AS last FROM '${path}'`
      )
      assert.deepStrictEqual(row, { type: "DOUBLE", last: 99.5 })
    }))

  it.live("a fraction among integers is null, so that no reader rounds it", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const counts = FrameFormat.make([{ name: "Count", kind: "int" }])
      const report = yield* writeTo(layer({ path }), [1, 1.5, 2].map((value, n) => sampleOf(counts, [value], n)))
      const rows = yield* queryDuckDb(`SELECT Count FROM '${path}'`)
      assert.deepStrictEqual(rows.map((row) => row["Count"]), [1n, null, 2n])
      assert.deepStrictEqual(report.columnsDropped, { Count: 1 })
    }))

  it.live("a latency of no time is DOUBLE", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      yield* writeTo(layer({ path }), [sampleOf(flow, [1, "N2"], 0, undefined, 0)])
      const [row] = yield* queryDuckDb(`SELECT typeof(latency_s) AS type, latency_s AS value FROM '${path}'`)
      assert.deepStrictEqual(row, { type: "DOUBLE", value: 0 })
    }))

  it.live("NaN and infinities leave a column DOUBLE", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, null, 100]
      yield* writeTo(layer({ path }), values.map((value, n) => sampleOf(flow, [value, "N2"], n)))
      const rows = yield* queryDuckDb(`SELECT typeof(Mass_Flow) AS type, Mass_Flow AS value FROM '${path}'`)
      assert.deepStrictEqual(rows.map((row) => row["type"]), values.map(() => "DOUBLE"))
      assert.deepStrictEqual(
        rows.map((row) => row["value"]),
        name === "CsvSink" ? values : [null, null, null, null, 100]
      )
    }))

  it.live("times are UTC in any time zone, in JSON lines after the cast that the README gives", () =>
    Effect.gen(function*() {
      const path = yield* tempFile(file)
      const samples = [sampleOf(flow, [1, "N2"], 7)]
      yield* writeTo(layer({ path }), samples)
      const time = name === "CsvSink" ? "received_at" : "received_at AT TIME ZONE 'UTC'"
      const rows = yield* queryDuckDb(
        `SELECT typeof(${time}) AS type, epoch_us(${time}) AS micros FROM '${path}'`,
        "SET TimeZone = 'America/New_York'"
      )
      assert.deepStrictEqual(rows, [{ type: "TIMESTAMP WITH TIME ZONE", micros: BigInt(samples[0]!.receivedAt) }])
    }))
})
