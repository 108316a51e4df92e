/**
 * How many samples a second each sink takes through `pipeToSink`, beside what the machine can do without our code.
 *
 *     npm run bench -- --only "CSV" --rounds 5 --json
 *
 * Each case has a process of its own, in which the sink and its limit take turns; what is given are medians of the rounds. The
 * ratio of the two depends on the machine too, but less than the figures themselves.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { pipeToSink, SampleSink } from "@sampleline/core"
import { CsvSink, JsonlSink, ParquetSink, PostgresSink, SqliteSink } from "@sampleline/sinks"
import { Console, Context, Effect, FileSystem, Layer, Redacted, References, type Scope } from "effect"
import { Command, Flag } from "effect/cli"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { median, table } from "./figures.ts"
import { bytesLimit, copyLimit, countLimit, type Limit, parquetLimit, sqliteLimit } from "./limits.ts"
import { daysAMinute, decodeRows, encodeRows, Measured, pathOf } from "./results.ts"
import { makeRecording, type Recording, ticksOf } from "./samples.ts"

interface Bench {
  /** Opened and closed within the time that is taken. */
  readonly layer: Layer.Layer<SampleSink, unknown>
  readonly limit: Limit
  /** Makes the target a fresh one; no time is taken of it. */
  readonly clear: Effect.Effect<unknown>
  /** What the target takes up. */
  readonly bytes: Effect.Effect<number>
}

interface Case {
  readonly sink: string
  readonly variant: string
  readonly batch: number
  /** How many samples a round writes. */
  readonly samples: number
  /** How many of them are there before they repeat themselves. */
  readonly recorded?: number
  readonly open: (recording: Recording, batch: number, folder: string) => Effect.Effect<Bench, unknown, Scope.Scope>
}

/** The files of the sink and of its limit. */
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

/** The lines that the limit writes are those of the sink. */
const textSink = (ending: string, layerOf: (path: string) => Layer.Layer<SampleSink, unknown>): Case["open"] =>
  Effect.fnUntraced(function*(recording, batch, folder) {
    const [file, ready] = [`${folder}/run.${ending}`, `${folder}/ready.${ending}`]
    yield* write(recording, recording.ticks.length, 4096, layerOf(ready))
    const limit = `${folder}/limit.${ending}`
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

const cases: ReadonlyArray<Case> = [
  { sink: "null", variant: "", batch: 64, samples: 4_000_000, open: nullSink },
  { sink: "null", variant: "", batch: 4096, samples: 4_000_000, open: nullSink },
  { sink: "CSV", variant: "", batch: 64, samples: 800_000, open: csv },
  { sink: "CSV", variant: "", batch: 4096, samples: 800_000, open: csv },
  { sink: "JSONL", variant: "", batch: 64, samples: 400_000, open: jsonl },
  { sink: "JSONL", variant: "", batch: 4096, samples: 400_000, open: jsonl },
  { sink: "SQLite", variant: "text times", batch: 64, samples: 200_000, open: sqlite("text") },
  { sink: "SQLite", variant: "text times", batch: 4096, samples: 200_000, open: sqlite("text") },
  { sink: "SQLite", variant: "integer times", batch: 64, samples: 200_000, open: sqlite("integer") },
  // Each file has a thread of its own, which is slow until its code is compiled: so a longer one.
  { sink: "Parquet", variant: "zstd", batch: 64, samples: 1_200_000, recorded: 2 * ROW_GROUP, open: parquet },
  { sink: "Postgres", variant: "COPY", batch: 64, samples: 100_000, open: copy },
  { sink: "Postgres", variant: "COPY", batch: 4096, samples: 400_000, open: copy }
]

const SHAPES = [7, 1]

const nameOf = (case_: Case, fields: number) => `${pathOf(case_)}, ${fields === 1 ? "1 field" : `${fields} fields`}`

const write = (recording: Recording, samples: number, batchSize: number, layer: Layer.Layer<SampleSink, unknown>) =>
  ticksOf(recording, samples).pipe(pipeToSink({ batchSize }), Effect.provide(layer))

/** As many as the largest batch has: few enough to be in the processor's cache, as what has just been read is. */
const RECORDED = 4096

/** The sink and its limit by turns, after a round that does not count. */
const measure = Effect.fnUntraced(function*(
  { batch, open, recorded = RECORDED, samples: full, sink, variant }: Case,
  fields: number,
  rounds: number,
  scale: number
) {
  const samples = Math.max(batch, Math.round(full * scale / batch) * batch)
  const recording = makeRecording(fields, recorded)
  const files = yield* FileSystem.FileSystem
  const folder = yield* files.makeTempDirectoryScoped({ prefix: "bench-" })
  const bench = yield* open(recording, batch, folder)
  const rateOf = Effect.fnUntraced(function*(run: Effect.Effect<unknown, unknown>) {
    yield* bench.clear
    const before = performance.now()
    yield* run
    return samples / (performance.now() - before) * 1000
  })
  const ours: Array<number> = []
  const limits: Array<number> = []
  let bytes = 0
  for (let round = 0; round <= rounds; round++) {
    const limit = rateOf(bench.limit(samples))
    const before = round % 2 === 0 ? yield* limit : undefined
    const our = yield* rateOf(write(recording, samples, batch, bench.layer))
    bytes = yield* bench.bytes
    const after = before ?? (yield* limit)
    if (round === 0) continue
    ours.push(our)
    limits.push(after)
  }
  const samplesPerSecond = median(ours)
  return new Measured({
    sink,
    variant,
    fields,
    batch,
    samplesPerSecond,
    limitPerSecond: median(limits),
    ratio: median(ours.map((our, round) => our / limits[round]!)),
    spread: [Math.min(...ours) / samplesPerSecond, Math.max(...ours) / samplesPerSecond],
    bytesPerSample: bytes / samples,
    rssMiB: process.memoryUsage.rss() / 2 ** 20
  })
}, Effect.scoped)

/** This program again, for one case alone: what one sink does to the compiler and to memory is not the next one's business. */
const measureApart = (name: string, rounds: number, scale: number) =>
  Effect.callback<Measured>((resume) => {
    const args = [
      fileURLToPath(import.meta.url),
      "--only",
      name,
      "--rounds",
      String(rounds),
      "--scale",
      String(scale),
      "--json"
    ]
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
    let text = ""
    child.stdout.on("data", (chunk: Buffer) => text += chunk.toString())
    child.on("close", (code) =>
      resume(
        code === 0
          ? Effect.orDie(Effect.map(decodeRows(text), ([row]) => row!))
          : Effect.die(new Error(`${name} ended with exit code ${code}`))
      ))
    return Effect.sync(() => child.kill())
  })

const tableOf = (rows: ReadonlyArray<Measured>): string => {
  const whole = (value: number) => Math.round(value).toLocaleString("en-US")
  return table([
    ["sink", "variant", "fields", "batch", "samples/s", "spread", "limit/s", "ratio", "bytes", "RSS MiB", "days/min"],
    ...rows.map((row) => [
      row.sink,
      row.variant,
      String(row.fields),
      String(row.batch),
      whole(row.samplesPerSecond),
      row.spread.map((share) => share.toFixed(2)).join("-"),
      whole(row.limitPerSecond),
      row.ratio.toFixed(2),
      row.bytesPerSample.toFixed(1),
      whole(row.rssMiB),
      daysAMinute(row).toFixed(1)
    ])
  ], 2)
}

const bench = Command.make("bench", {
  only: Flag.String("only").pipe(
    Flag.withDescription("Only cases whose name has this in it, e.g. \"CSV, batch 64, 7 fields\" or Parquet"),
    Flag.withDefault("")
  ),
  rounds: Flag.Int("rounds").pipe(
    Flag.filter((value) => value > 0, (value) => `a whole number above 0, not ${value}`),
    Flag.withDescription("How many rounds each case has, beside one that does not count (default: 5)"),
    Flag.withDefault(5)
  ),
  scale: Flag.Finite("scale").pipe(
    Flag.filter((value) => value > 0, (value) => `a number above 0, not ${value}`),
    Flag.withDescription("How much longer or shorter each round is (default: 1, about a second)"),
    Flag.withDefault(1)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the figures as one JSON array"),
    Flag.withDefault(false)
  )
}, ({ json, only, rounds, scale }) =>
  Effect.gen(function*() {
    const chosen = SHAPES.flatMap((fields) => cases.map((case_) => ({ case_, fields, name: nameOf(case_, fields) })))
      .filter(({ name }) => name.includes(only))
    const rows: Array<Measured> = []
    for (const { case_, fields, name } of chosen) {
      if (chosen.length === 1) rows.push(yield* measure(case_, fields, rounds, scale))
      else {
        yield* Effect.sync(() => process.stderr.write(`${rows.length + 1} of ${chosen.length}: ${name}\n`))
        rows.push(yield* measureApart(name, rounds, scale))
      }
    }
    yield* Console.log(json ? yield* encodeRows(rows) : tableOf(rows))
  }).pipe(Effect.provideService(References.MinimumLogLevel, "Warn"))).pipe(
    Command.withDescription("Measures how many samples a second each sink takes, beside what this machine can do")
  )

Command.run(bench, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
