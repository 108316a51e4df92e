/**
 * The outputs of the recorder that is killed, and what they hold, read by other readers than those of the sinks.
 */
import { SampleSink } from "@sampleline/core"
import { CsvSink, JsonlSink } from "@sampleline/sinks"
import { parse } from "csv-parse/sync"
import { Layer, Logger } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"

export const journalIn = (folder: string): string => path.join(folder, "run.journal")

const OUTPUTS = ["run.csv", "run.jsonl"]

export const outputs = (folder: string, mode: "create" | "append") =>
  Layer.provide(
    SampleSink.layerAll([
      CsvSink.layer({ path: path.join(folder, "run.csv"), mode, rowIds: true }),
      JsonlSink.layer({ path: path.join(folder, "run.jsonl"), mode, rowIds: true })
    ]),
    Logger.layer([])
  )

/** The sequence numbers in each output, in the order of its rows. */
export const sequencesIn = (folder: string): { readonly [output: string]: ReadonlyArray<number> } => {
  const text = (name: string) => fs.readFileSync(path.join(folder, name), "utf8")
  return {
    csv: parse<{ sequence: string }>(text("run.csv"), { columns: true }).map(({ sequence }) => Number(sequence)),
    jsonl: text("run.jsonl").split("\n").slice(0, -1).map((line) => JSON.parse(line).sequence)
  }
}

/** All bytes of the outputs and of the files beside them. */
export const bytesIn = (folder: string): ReadonlyMap<string, string> =>
  new Map(
    fs.readdirSync(folder).filter((name) => OUTPUTS.some((output) => name.startsWith(output))).map((name) => [
      name,
      fs.readFileSync(path.join(folder, name)).toString("base64")
    ])
  )
