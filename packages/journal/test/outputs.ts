/**
 * The outputs of a recorder that is killed, and what they hold, read by other readers than those of the sinks.
 *
 * A module of your own with an `outputs` like this one is tested by `npm run crash-test -- --module FILE`.
 */
import { SampleSink } from "@sampleline/core"
import { CsvSink, JsonlSink, ParquetSink, SqliteSink } from "@sampleline/sinks"
import { parse } from "csv-parse/sync"
import { Array, Effect, Layer, Logger } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as KillPoints from "./killPoints.ts"
import { inserter, postgres } from "./postgresOutputs.ts"

export interface Output {
  /** The sink, whose files are in the folder. A second start appends. */
  readonly layer: (folder: string, mode: "create" | "append") => Layer.Layer<SampleSink, unknown>
  /** By another reader than the sink's own. Dies if it cannot be read. */
  readonly read: (folder: string) => Effect.Effect<Content>
  /** Where a recorder is killed in its work on this output. Default: nowhere. */
  readonly points?: KillPoints.Points
  /** What all recordings share, such as a server. It is built once, and tells the recorders of itself by the environment. */
  readonly shared?: Layer.Layer<never>
  /** Called before a recording. Default: nothing. */
  readonly prepare?: (folder: string) => Effect.Effect<void>
}

/** What an output holds, in its order. */
export interface Content {
  readonly samples: ReadonlyArray<{ readonly sequence: number; readonly Count: number }>
  /** The names of the events; null if the output keeps none. */
  readonly events: ReadonlyArray<string> | null
  /** Changes with anything that must not change once a run is complete. */
  readonly digest: string
}

export type Outputs = { readonly [name: string]: Output }

/** Some of the outputs. Throws if there is none of a name. */
export const pick = (outputs: Outputs, names: ReadonlyArray<string>): Outputs =>
  Object.fromEntries(names.map((name) => {
    const output = outputs[name]
    if (output === undefined) {
      throw new Error(`there is no output ${name}; there are ${Object.keys(outputs).join(", ")}`)
    }
    return [name, output]
  }))

export const journalIn = (folder: string): string => path.join(folder, "run.journal")

const text = (folder: string, name: string) => fs.readFileSync(path.join(folder, name), "utf8")

const linesOf = (text: string): ReadonlyArray<any> => text.split("\n").slice(0, -1).map((line) => JSON.parse(line))

const digestOf = (parts: ReadonlyArray<string | Buffer>): string => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return hash.digest("hex")
}

const textContent = (folder: string, name: string, rows: (text: string) => ReadonlyArray<any>): Content => ({
  samples: rows(text(folder, name)).map(({ Count, sequence }) => ({
    sequence: Number(sequence),
    Count: Number(Count)
  })),
  events: linesOf(text(folder, `${name}-events.jsonl`)).map(({ event }) => String(event)),
  // The lock beside an output is no part of it.
  digest: digestOf(
    fs.readdirSync(folder).filter((file) => file.startsWith(name)).toSorted().map((file) =>
      fs.readFileSync(path.join(folder, file))
    )
  )
})

const databaseContent = (folder: string): Content => {
  const database = new DatabaseSync(path.join(folder, "run.db"), { readOnly: true })
  const all = (table: string): ReadonlyArray<any> => database.prepare(`SELECT * FROM ${table} ORDER BY rowid`).all()
  const tables = ["samples", "samples_events", "samples_runs", "samples_columns"].map(all)
  const [samples = [], events = []] = tables
  const positions = all("sampleline_positions")
  database.close()
  return {
    samples: samples.map(({ Count, sequence }) => ({ sequence, Count })),
    events: events.map(({ event }) => String(event)),
    digest: digestOf([JSON.stringify([tables, positions])])
  }
}

/** Loaded when it is needed: a recorder does not read. */
const duckDb = Effect.promise(() => import("../../sinks/test/duckdb.ts"))

const parquetContent = Effect.fnUntraced(function*(file: string) {
  const { queryDuckDb } = yield* duckDb
  const rows = yield* queryDuckDb(`SELECT sequence, "Count" FROM '${file}'`)
  const [events] = yield* queryDuckDb(
    `SELECT decode(value) AS json FROM parquet_kv_metadata('${file}') WHERE decode(key) = 'events'`
  )
  return {
    samples: rows.map(({ Count, sequence }) => ({ sequence: Number(sequence), Count: Number(Count) })),
    events: (JSON.parse(String(events!["json"])) as ReadonlyArray<any>).map(({ event }) => String(event)),
    digest: digestOf([fs.readFileSync(file)])
  }
})

export const outputs: Outputs = {
  csv: {
    layer: (folder, mode) => CsvSink.layer({ path: path.join(folder, "run.csv"), mode, rowIds: true }),
    read: (folder) => Effect.sync(() => textContent(folder, "run.csv", (text) => parse(text, { columns: true }))),
    points: KillPoints.text
  },
  jsonl: {
    layer: (folder, mode) => JsonlSink.layer({ path: path.join(folder, "run.jsonl"), mode, rowIds: true }),
    read: (folder) => Effect.sync(() => textContent(folder, "run.jsonl", linesOf)),
    // It has no description.
    points: { ...KillPoints.text, resuming: {} }
  },
  db: {
    layer: (folder, mode) => SqliteSink.layer({ path: path.join(folder, "run.db"), mode }),
    read: (folder) => Effect.sync(() => databaseContent(folder)),
    points: KillPoints.sqlite
  },
  parquet: {
    layer: (folder, mode) =>
      ParquetSink.layer({ path: path.join(folder, "run.parquet"), mode, rowIds: true, rowGroupSize: 100 }),
    read: (folder) => parquetContent(path.join(folder, "run.parquet")),
    points: KillPoints.parquet
  },
  postgres,
  inserter
}

/** All outputs as one sink. */
export const layerOf = (
  outputs: Outputs,
  folder: string,
  mode: "create" | "append"
): Layer.Layer<SampleSink, unknown> => {
  const layers = Object.values(outputs).map(({ layer }) => layer(folder, mode))
  if (!Array.isReadonlyArrayNonEmpty(layers)) throw new Error("there are no outputs")
  return Layer.provide(SampleSink.layerAll(layers), Logger.layer([]))
}
