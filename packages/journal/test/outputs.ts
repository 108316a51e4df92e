/**
 * The outputs of the recorder that is killed, and what they hold, read by other readers than those of the sinks.
 */
import { SampleSink } from "@sampleline/core"
import { CsvSink, JsonlSink, SqliteSink } from "@sampleline/sinks"
import { parse } from "csv-parse/sync"
import { Layer, Logger } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"

export const journalIn = (folder: string): string => path.join(folder, "run.journal")

const OUTPUTS = ["run.csv", "run.jsonl"]

export const outputs = (folder: string, mode: "create" | "append") =>
  Layer.provide(
    SampleSink.layerAll([
      CsvSink.layer({ path: path.join(folder, "run.csv"), mode, rowIds: true }),
      JsonlSink.layer({ path: path.join(folder, "run.jsonl"), mode, rowIds: true }),
      SqliteSink.layer({ path: path.join(folder, "run.db"), mode })
    ]),
    Logger.layer([])
  )

/** The sequence numbers in each output, in the order of its rows. */
export const sequencesIn = (folder: string): { readonly [output: string]: ReadonlyArray<number> } => {
  const text = (name: string) => fs.readFileSync(path.join(folder, name), "utf8")
  return {
    csv: parse<{ sequence: string }>(text("run.csv"), { columns: true }).map(({ sequence }) => Number(sequence)),
    db: allIn(path.join(folder, "run.db"), "samples").map(({ sequence }) => Number(sequence)),
    jsonl: text("run.jsonl").split("\n").slice(0, -1).map((line) => JSON.parse(line).sequence)
  }
}

/** A digest of each text output and the files beside it, and of all rows of each table. */
export const contentOf = (folder: string): { readonly [name: string]: string } => {
  const files = fs.readdirSync(folder).filter((name) => OUTPUTS.some((output) => name.startsWith(output)))
  const tables = ["samples", "samples_events", "samples_runs", "samples_columns"]
  return Object.fromEntries([
    ...files.map((name) => [name, digest(fs.readFileSync(path.join(folder, name)))] as const),
    ...tables.map((table) => [table, digest(JSON.stringify(allIn(path.join(folder, "run.db"), table)))] as const)
  ])
}

const digest = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex")

const allIn = (file: string, table: string) => {
  const database = new DatabaseSync(file, { readOnly: true })
  const rows = database.prepare(`SELECT * FROM ${table} ORDER BY rowid`).all()
  database.close()
  return rows
}
