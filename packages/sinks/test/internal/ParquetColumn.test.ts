import { assert, describe, it } from "@effect/vitest"
import type { Column } from "@sampleline/core"
import { Effect, Schema } from "effect"
import { parquetReadObjects } from "hyparquet"
import { ByteWriter, ParquetWriter } from "hyparquet-writer"
import * as fs from "node:fs"
import * as zlib from "node:zlib"
import { type ChunkOptions, writeColumnChunk } from "../../src/internal/ParquetColumn.ts"
import type { ColumnValues } from "../../src/internal/RowGroup.ts"
import { queryDuckDb } from "../duckdb.ts"
import { tempFile } from "../tempFile.ts"

type Value = number | string | null
type Kind = "float" | "int" | "timestamp" | "text"

const TYPES = {
  float: { type: "DOUBLE" },
  int: { type: "INT64" },
  timestamp: { type: "INT64" },
  text: { type: "BYTE_ARRAY", converted_type: "UTF8" }
} as const

const columnOf = (kind: Kind, nullable: boolean): Column => ({ name: kind, type: kind, nullable })

const packed = (kind: Kind, values: ReadonlyArray<Value>): ColumnValues => {
  if (kind !== "text") {
    return {
      numbers: Float64Array.from(values, (value) => value === null ? 0 : value as number),
      nulls: Uint8Array.from(values, (value) => value === null ? 1 : 0)
    }
  }
  const texts = [...new Set(values.filter((value) => value !== null))] as Array<string>
  return { places: Int32Array.from(values, (value) => value === null ? -1 : texts.indexOf(value as string)), texts }
}

const COMPRESSED: ChunkOptions = { codec: "ZSTD", compress: (bytes) => zlib.zstdCompressSync(bytes), dictionary: true }
const PLAIN: ChunkOptions = { codec: "UNCOMPRESSED", compress: (bytes) => bytes, dictionary: false }

/** A file of one column, in these row groups. */
const fileOf = (column: Column, groups: ReadonlyArray<ReadonlyArray<Value>>, options: ChunkOptions) => {
  const bytes = new ByteWriter()
  const writer = new ParquetWriter({
    writer: bytes,
    codec: options.codec,
    schema: [
      { name: "root", num_children: 1 },
      { name: column.name, repetition_type: column.nullable ? "OPTIONAL" : "REQUIRED", ...TYPES[column.type as Kind] }
    ]
  })
  for (const values of groups) {
    const chunk = writeColumnChunk(bytes, column, packed(column.type as Kind, values), options)
    const { num_values: rows, total_compressed_size, total_uncompressed_size } = chunk.meta_data!
    writer.num_rows += rows
    writer.row_groups.push({
      columns: [chunk],
      num_rows: rows,
      total_byte_size: total_uncompressed_size,
      total_compressed_size
    })
  }
  void writer.finish()
  return { bytes: bytes.getBytes().slice(), chunks: writer.row_groups.map(({ columns }) => columns[0]!.meta_data!) }
}

/** The values by hyparquet. */
const read = (bytes: Uint8Array, name: string) =>
  Effect.promise(() =>
    parquetReadObjects({
      file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer,
      compressors: { ZSTD: (input) => zlib.zstdDecompressSync(input) }
    })
  ).pipe(Effect.map((rows) =>
    rows.map((row): Value => {
      const value = row[name] ?? null
      return typeof value === "bigint" ? Number(value) : value as Value
    })
  ))

const Pools = {
  // @effect-diagnostics-next-line schemaNumber:off
  float: Schema.Array(Schema.Number),
  int: Schema.Array(Schema.Int),
  timestamp: Schema.Array(Schema.Int),
  text: Schema.Array(Schema.String)
}
/** A value of the pool, or null, and how often it follows itself. */
const Runs = Schema.Array(Schema.Struct({
  value: Schema.Int.check(Schema.isBetween({ minimum: -2, maximum: 9 })),
  times: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))
})).check(Schema.isMaxLength(40))

/** Texts have no half characters, and whole numbers no sign of 0. */
const stored = (kind: Kind, value: number | string): Value =>
  typeof value === "string" ? value.toWellFormed() : kind === "float" ? value : value + 0

const valuesOf = (pool: ReadonlyArray<Value>, runs: typeof Runs.Type): ReadonlyArray<Value> =>
  runs.flatMap(({ times, value }) => Array.from({ length: times }, (): Value => pool[value % pool.length] ?? null))

describe("a column chunk", () => {
  for (const kind of ["float", "int", "timestamp", "text"] as const) {
    it.effect.prop(
      `of ${kind} values has them, bit by bit, and statistics that include them`,
      [Pools[kind], Runs, Schema.Boolean],
      ([pool, runs, isPlain]) =>
        Effect.gen(function*() {
          const values = valuesOf(pool.map((value) => stored(kind, value)), runs)
          const present = values.filter((value) => value !== null)
          const column = columnOf(kind, present.length < values.length)
          const { bytes, chunks: [chunk] } = fileOf(column, [values], isPlain ? PLAIN : COMPRESSED)
          const back = yield* read(bytes, kind)
          assert.strictEqual(back.length, values.length)
          assert.isTrue(back.every((value, at) => Object.is(value, values[at])))
          const { max_value, min_value, null_count } = chunk!.statistics!
          assert.strictEqual(Number(null_count), values.length - present.length)
          if (kind === "text") {
            const texts = present.map((text) => Buffer.from(String(text))).toSorted((a, b) => Buffer.compare(a, b))
            assert.deepStrictEqual([min_value, max_value], [texts.at(0)?.toString(), texts.at(-1)?.toString()])
          } else {
            const numbers = present.filter((value) => !Number.isNaN(value)).map(Number)
            assert.deepStrictEqual(
              [min_value, max_value].map((value) => value === undefined ? null : Number(value) + 0),
              numbers.length === 0 ? [null, null] : [Math.min(...numbers) + 0, Math.max(...numbers) + 0]
            )
          }
        }),
      { arbitrary: { runs: 200 } }
    )
  }

  /** Around the sizes of blocks, at the ends of the ranges, and where a dictionary begins to pay. */
  const LENGTHS = [0, 1, 7, 8, 9, 32, 33, 34, 128, 129, 130, 257, 1000]
  const SERIES: ReadonlyArray<readonly [Kind, (n: number) => Value]> = [
    ["float", (n) => n % 2 === 0 ? 14.7 : n % 3 === 0 ? null : -0],
    ["float", (n) => Math.sin(n)],
    ["float", () => null],
    ["int", (n) => n % 2 === 0 ? Number.MAX_SAFE_INTEGER - n : Number.MIN_SAFE_INTEGER + n],
    ["int", (n) => n % 7],
    ["timestamp", (n) => 1_772_366_400_000_000 + n * 10_000 + n * n % 997],
    ["timestamp", (n) => n % 100 === 99 ? null : 1_772_366_400_000_000 - n * 2 ** 40],
    ["timestamp", (n) => n % 2 === 0 ? Number.MAX_SAFE_INTEGER : -(2 ** 52)],
    ["text", (n) => n % 50 === 0 ? "N₂" : "Air"],
    ["text", (n) => n % 10 === 0 ? null : `🧪${n}`],
    ["text", () => null]
  ]

  it.live("is read by DuckDB, which finds rows by statistics", () =>
    Effect.gen(function*() {
      for (const options of [COMPRESSED, PLAIN]) {
        for (const [kind, valueAt] of SERIES) {
          const groups = LENGTHS.map((length) => Array.from({ length }, (_, n) => valueAt(n)))
          const path = yield* tempFile("column.parquet")
          fs.writeFileSync(path, fileOf(columnOf(kind, true), groups, options).bytes)
          const rows = yield* queryDuckDb(`SELECT "${kind}" AS value FROM '${path}'`)
          const given = groups.flat()
          assert.strictEqual(rows.length, given.length)
          const values = rows.map(({ value }): Value =>
            typeof value === "bigint" ? Number(value) : (value ?? null) as Value
          )
          assert.isTrue(values.every((value, at) => Object.is(value, given[at])), kind)
          const wanted = given.find((value) => value !== null)
          if (wanted === undefined) continue
          const literal = typeof wanted === "string" ? `'${wanted}'` : wanted
          const [found] = yield* queryDuckDb(`SELECT count(*) AS n FROM '${path}' WHERE "${kind}" = ${literal}`)
          assert.strictEqual(Number(found!["n"]), given.filter((value) => value === wanted).length, kind)
        }
      }
    }))

  it("keeps a dictionary only where it takes half of the values, or less", () => {
    const encodings = (kind: Kind, values: ReadonlyArray<Value>, options = COMPRESSED) =>
      fileOf(columnOf(kind, false), [values], options).chunks[0]!.encodings
    const few = Array.from({ length: 1000 }, (_, n) => n % 10)
    assert.deepStrictEqual(encodings("float", few), ["PLAIN", "RLE_DICTIONARY"])
    assert.deepStrictEqual(encodings("float", few, PLAIN), ["PLAIN"])
    assert.deepStrictEqual(encodings("float", Array.from({ length: 1000 }, (_, n) => n % 400)), ["PLAIN"])
    assert.deepStrictEqual(encodings("int", few), ["PLAIN", "RLE_DICTIONARY"])
    assert.deepStrictEqual(encodings("timestamp", few), ["DELTA_BINARY_PACKED"])
    assert.deepStrictEqual(encodings("timestamp", [0, Number.MAX_SAFE_INTEGER]), ["PLAIN"])
    assert.deepStrictEqual(encodings("text", few.map(String)), ["PLAIN", "RLE_DICTIONARY"])
    assert.deepStrictEqual(encodings("text", few.map((_, n) => `${n}`)), ["PLAIN"])
  })
})
