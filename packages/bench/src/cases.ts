/**
 * The cases: each sink, and the limit that it is compared with.
 */
import { SampleSink } from "@sampleline/core"
import { CsvSink, JsonlSink, ParquetSink, PostgresSink, SqliteSink } from "@sampleline/sinks"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import * as fs from "node:fs"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { bytesLimit, copyLimit, countLimit, type Limit, parquetLimit, sqliteLimit } from "./limits.ts"
import { pathOf } from "./results.ts"
import type { Recording } from "./samples.ts"
import { write } from "./write.ts"

interface Bench {
  /** Opening and closing it is part of the measured time. */
  readonly layer: Layer.Layer<SampleSink, unknown>
  readonly limit: Limit
  /** Empties the target. Not part of the measured time. */
  readonly clear: Effect.Effect<unknown>
  /** Size of the target. */
  readonly bytes: Effect.Effect<number>
}

export interface Case {
  readonly sink: string
  readonly variant: string
  readonly batch: number
  /** Samples in a round. */
  readonly samples: number
  /** Different samples among them; then they repeat. Default: 4096. */
  readonly recorded?: number
  readonly open: (recording: Recording, batch: number, folder: string) => Effect.Effect<Bench, unknown, Scope.Scope>
}

/** Two files: the sink's and its limit's. */
const fileTarget = (file: string, limit: string) => ({
  clear: Effect.sync(() => {
    for (const name of [file, limit]) fs.rmSync(name, { force: true })
  }),
  bytes: Effect.sync(() => fs.statSync(file).size)
})

const nullSink: Case["open"] = (recording, batch) =>
  Effect.succeed({
    layer: SampleSink.layer({ name: "null", write: () => Effect.void }),
    limit: countLimit(recording, batch),
    clear: Effect.void,
    bytes: Effect.succeed(0)
  })

/** The limit writes lines that the sink has made. */
const textSink = (extension: string, layerOf: (path: string) => Layer.Layer<SampleSink, unknown>): Case["open"] =>
  Effect.fnUntraced(function*(recording, batch, folder) {
    const [file, ready] = [`${folder}/run.${extension}`, `${folder}/ready.${extension}`]
    yield* write(recording, recording.ticks.length, 4096, layerOf(ready))
    const limit = `${folder}/limit.${extension}`
    return { layer: layerOf(file), limit: bytesLimit(ready, batch, limit), ...fileTarget(file, limit) }
  })

const csv = textSink("csv", (path) => CsvSink.layer({ path }))
const jsonl = textSink("jsonl", (path) => JsonlSink.layer({ path }))

const sqlite = (timestamps: "text" | "integer"): Case["open"] => (recording, batch, folder) => {
  const [file, limit] = [`${folder}/run.db`, `${folder}/limit.db`]
  return Effect.succeed({
    layer: SqliteSink.layer({ path: file, timestamps }),
    limit: sqliteLimit(recording, batch, timestamps === "text", limit),
    ...fileTarget(file, limit)
  })
}

const ROW_GROUP = 10_000

const parquet: Case["open"] = (recording, _batch, folder) => {
  const [file, limit] = [`${folder}/run.parquet`, `${folder}/limit.parquet`]
  return Effect.succeed({
    layer: ParquetSink.layer({ path: file, rowGroupSize: ROW_GROUP }),
    limit: parquetLimit(recording, ROW_GROUP, limit),
    ...fileTarget(file, limit)
  })
}

const copy: Case["open"] = Effect.fnUntraced(function*(recording, batch) {
  const server = Context.get(yield* Layer.build(PostgresServer.layer), PostgresServer)
  const database = yield* server.database
  const address = `owner:${encodeURIComponent(Redacted.value(server.password))}@127.0.0.1:${server.address.port}`
  const url = `postgres://${address}/${database}`
  const layer = PostgresSink.layer({ url: Redacted.make(url), createTable: true })
  yield* write(recording, 1, 1, layer)
  return {
    layer,
    limit: yield* copyLimit(recording, batch, url),
    clear: server.query(database, "TRUNCATE samples"),
    bytes: Effect.map(
      server.query(database, "SELECT pg_relation_size('samples')::float8 AS bytes"),
      ([row]) => row!["bytes"]
    )
  }
})

export const cases: ReadonlyArray<Case> = [
  { sink: "null", variant: "", batch: 64, samples: 4_000_000, open: nullSink },
  { sink: "null", variant: "", batch: 4096, samples: 4_000_000, open: nullSink },
  { sink: "CSV", variant: "", batch: 64, samples: 800_000, open: csv },
  { sink: "CSV", variant: "", batch: 4096, samples: 800_000, open: csv },
  { sink: "JSONL", variant: "", batch: 64, samples: 400_000, open: jsonl },
  { sink: "JSONL", variant: "", batch: 4096, samples: 400_000, open: jsonl },
  { sink: "SQLite", variant: "text times", batch: 64, samples: 200_000, open: sqlite("text") },
  { sink: "SQLite", variant: "text times", batch: 4096, samples: 200_000, open: sqlite("text") },
  { sink: "SQLite", variant: "integer times", batch: 64, samples: 200_000, open: sqlite("integer") },
  // A longer round: each file starts a thread, and its code is slow until it is compiled.
  { sink: "Parquet", variant: "zstd", batch: 64, samples: 1_200_000, recorded: 2 * ROW_GROUP, open: parquet },
  { sink: "Postgres", variant: "COPY", batch: 64, samples: 100_000, open: copy },
  { sink: "Postgres", variant: "COPY", batch: 4096, samples: 400_000, open: copy }
]

/** Fields of a sample. */
export const SHAPES = [7, 1]

/** The name that `--only` matches. */
export const nameOf = (case_: Case, fields: number) =>
  `${pathOf(case_)}, ${fields === 1 ? "1 field" : `${fields} fields`}`
