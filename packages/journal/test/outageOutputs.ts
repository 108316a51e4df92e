/**
 * The outputs that are disturbed in `outageTest.ts`, beside a CSV that is not.
 */
import { SampleSink } from "@sampleline/core"
import { ParquetSink, PostgresSink } from "@sampleline/sinks"
import { Effect, type Layer, Redacted } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { queryDuckDb } from "../../sinks/test/duckdb.ts"
import { eventsInParquet } from "../../sinks/test/events.ts"
import { type Outputs, outputs as textsAndDatabase } from "./outputs.ts"

const parquetIn = (folder: string) => path.join(folder, "run.parquet")

/** Takes a second for a batch, and cannot resume. */
const slowSink = (file: string) =>
  SampleSink.layer({
    name: "SlowSink",
    target: file,
    write: (batch) =>
      Effect.map(Effect.sleep("1 second"), () => {
        const lines = batch.map(({ frame, sequence }) => JSON.stringify({ sequence, Count: frame.values[0] }))
        fs.appendFileSync(file, `${lines.join("\n")}\n`)
      })
  })

const slowIn = (folder: string) => path.join(folder, "run.slow")

/** Files, for `recorder.ts` too. */
export const outputs = {
  csv: textsAndDatabase["csv"]!,
  jsonl: textsAndDatabase["jsonl"]!,
  db: textsAndDatabase["db"]!,
  parquet: {
    layer: (folder, mode) => ParquetSink.layer({ path: parquetIn(folder), mode, rowIds: true, rowGroupSize: 500 }),
    read: Effect.fnUntraced(function*(folder) {
      const rows = yield* queryDuckDb(`SELECT sequence, "Count" FROM '${parquetIn(folder)}'`)
      return {
        samples: rows.map((row) => ({ sequence: Number(row["sequence"]), Count: Number(row["Count"]) })),
        events: (yield* eventsInParquet(parquetIn(folder))).map(({ event }) => event),
        digest: ""
      }
    })
  },
  slow: {
    layer: (folder) => slowSink(slowIn(folder)),
    read: (folder) =>
      Effect.sync(() => {
        const lines = fs.readFileSync(slowIn(folder), "utf8").split("\n").slice(0, -1)
        return { samples: lines.map((line) => JSON.parse(line)), events: null, digest: "" }
      })
  }
} satisfies Outputs

/** A user who may only insert. */
export const INSERTER = { user: "inserter", password: "x", table: "plain" }

/** Tables. Their server stands in the environment, as libpq reads it. */
const tables = {
  postgres: PostgresSink.layer({ createTable: true, rowIds: true }),
  inserter: PostgresSink.layer({ ...INSERTER, password: Redacted.make(INSERTER.password), rowIds: true })
}

export type FileName = keyof typeof outputs
export type TableName = keyof typeof tables

export const layerOf = (
  name: FileName | TableName,
  folder: string,
  mode: "create" | "append"
): Layer.Layer<SampleSink, unknown> =>
  name === "postgres" || name === "inserter" ? tables[name] : outputs[name].layer(folder, mode)
