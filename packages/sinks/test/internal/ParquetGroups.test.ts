import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as fs from "node:fs"
import { type FinishedGroup, GroupsFile, groupsOf, readGroups } from "../../src/internal/ParquetGroups.ts"
import { tempFile } from "../tempFile.ts"

const header = {
  version: 1,
  journal: "journal-1",
  replaces: false,
  settings: { columns: [], compression: "zstd", dictionary: true, units: {}, metadata: { run_id: "run-1" } }
} as const

/** A time in microseconds, which a reader of Parquet would cut to milliseconds. */
const groupOf = (at: number): FinishedGroup => ({
  group: {
    columns: [{
      file_offset: BigInt(at),
      meta_data: {
        type: "INT64",
        encodings: ["DELTA_BINARY_PACKED"],
        path_in_schema: ["received_at"],
        codec: "ZSTD",
        num_values: 1n,
        total_compressed_size: 1n,
        total_uncompressed_size: 1n,
        data_page_offset: 4n,
        statistics: { min_value: BigInt(at), max_value: BigInt(at), null_count: 0n }
      }
    }],
    total_byte_size: 1n,
    num_rows: BigInt(at)
  },
  end: at,
  sum: at,
  through: at,
  events: []
})

describe("a groups file", () => {
  it.effect.prop("gives its whole records, wherever it is cut off", {
    times: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 52 }))),
    cut: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5000 }))
  }, ({ cut, times }) =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const fd = fs.openSync(groupsOf(path), "w+")
      const file = new GroupsFile(fd)
      const ends: Array<number> = []
      const add = (record: Parameters<GroupsFile["append"]>[0]) => {
        file.append(record)
        ends.push(fs.fstatSync(fd).size)
      }
      add({ header })
      for (const at of times) add({ finished: groupOf(at) })
      const complete = { bytes: 1, sum: 2, through: 3 }
      add({ complete })
      assert.deepStrictEqual(readGroups(path), { header, finished: times.map(groupOf), complete })
      fs.ftruncateSync(fd, cut)
      fs.closeSync(fd)
      const whole = ends.filter((end) => end <= cut).length
      assert.deepStrictEqual(
        readGroups(path),
        whole === 0 ? null : {
          header,
          finished: times.slice(0, whole - 1).map(groupOf),
          complete: whole === ends.length ? complete : null
        }
      )
    }), { arbitrary: { runs: 50 } })

  it.live("counts no record that was changed, and none behind it", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const fd = fs.openSync(groupsOf(path), "w+")
      const file = new GroupsFile(fd)
      file.append({ header })
      const second = fs.fstatSync(fd).size
      for (const at of [1, 2]) file.append({ finished: groupOf(at) })
      fs.writeSync(fd, Buffer.from("x"), 0, 1, second + 20)
      fs.closeSync(fd)
      assert.deepStrictEqual(readGroups(path), { header, finished: [], complete: null })
      assert.isNull(readGroups(`${path}.missing`))
    }))
})
