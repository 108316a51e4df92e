/**
 * The outputs of a recorder that is killed, and what they hold, read by other readers than those of the sinks.
 *
 * A module of your own with an `outputs` like this one is tested by `npm run crash-test -- --module FILE`.
 */
import { SampleSink } from "@sampleline/core"
import { CsvSink, JsonlSink, SqliteSink } from "@sampleline/sinks"
import { parse } from "csv-parse/sync"
import { Array, Effect, Layer, Logger } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"

interface Output {
  /** The sink, whose files are in the folder. A second start appends. */
  readonly layer: (folder: string, mode: "create" | "append") => Layer.Layer<SampleSink, unknown>
  /** By another reader than the sink's own. Dies if it cannot be read. */
  readonly read: (folder: string) => Effect.Effect<Content>
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

export const outputs: Outputs = {
  csv: {
    layer: (folder, mode) => CsvSink.layer({ path: path.join(folder, "run.csv"), mode, rowIds: true }),
    read: (folder) => Effect.sync(() => textContent(folder, "run.csv", (text) => parse(text, { columns: true })))
  },
  jsonl: {
    layer: (folder, mode) => JsonlSink.layer({ path: path.join(folder, "run.jsonl"), mode, rowIds: true }),
    read: (folder) => Effect.sync(() => textContent(folder, "run.jsonl", linesOf))
  },
  db: {
    layer: (folder, mode) => SqliteSink.layer({ path: path.join(folder, "run.db"), mode }),
    read: (folder) => Effect.sync(() => databaseContent(folder))
  }
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
