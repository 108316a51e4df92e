/**
 * The files of a recorder that loses power: those of a recorder that is killed, and a Parquet file, read by DuckDB.
 */
import { ParquetSink } from "@sampleline/sinks"
import { Effect } from "effect"
import * as path from "node:path"
import { queryDuckDb } from "../../sinks/test/duckdb.ts"
import { eventsInParquet } from "../../sinks/test/events.ts"
import { type Outputs, outputs as killed } from "./outputs.ts"

/** If nothing of the first file has come to the disk, there is another one beside it. */
const filesIn = (folder: string) => path.join(folder, "run*.parquet")

export const outputs: Outputs = {
  csv: killed["csv"]!,
  jsonl: killed["jsonl"]!,
  db: killed["db"]!,
  parquet: {
    layer: (folder, mode) =>
      ParquetSink.layer({ path: path.join(folder, "run.parquet"), mode, rowIds: true, rowGroupSize: 100 }),
    read: (folder) =>
      Effect.map(
        Effect.all([
          queryDuckDb(`SELECT sequence, "Count" FROM '${filesIn(folder)}'`),
          eventsInParquet(filesIn(folder))
        ]),
        ([rows, events]) => ({
          samples: rows.map(({ Count, sequence }) => ({ sequence: Number(sequence), Count: Number(Count) })),
          events: events.map(({ event }) => event),
          digest: ""
        })
      )
  }
}
