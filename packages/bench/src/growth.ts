/**
 * How the cost of a sample grows: with the devices of a tick, with the fields of a sample, with the rows that are there already,
 * and with the length of a run.
 *
 *     npm run bench:growth -- --only "devices, CSV" --json
 *
 * Each case runs in a process of its own. What is measured is the processor time of all its threads, from the opened sink to the
 * closed one: other programs change it less than they change the rate.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { pipeToSink, SampleSink, type Tick } from "@sampleline/core"
import { Journal } from "@sampleline/journal"
import { CsvSink, JsonlSink, ParquetSink, SqliteSink } from "@sampleline/sinks"
import { Console, Effect, Exit, FileSystem, Layer, Schema, Scope, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { fileURLToPath } from "node:url"
import { median } from "./median.ts"
import { runApart } from "./runApart.ts"
import { freshTicks, makeRecording, ticksOf } from "./samples.ts"
import { textTable } from "./textTable.ts"
import { warningsOnStderr } from "./warningsOnStderr.ts"

/** Where a recording goes. */
interface Output {
  readonly name: string
  readonly hasJournal?: boolean
  readonly layer: (folder: string, mode: "create" | "append") => Layer.Layer<SampleSink, unknown>
}

const NULL: Output = { name: "null", layer: () => SampleSink.layer({ name: "null", write: () => Effect.void }) }
const CSV: Output = { name: "CSV", layer: (folder, mode) => CsvSink.layer({ path: `${folder}/run.csv`, mode }) }
const JSONL: Output = { name: "JSONL", layer: (folder, mode) => JsonlSink.layer({ path: `${folder}/run.jsonl`, mode }) }
const SQLITE: Output = { name: "SQLite", layer: (folder, mode) => SqliteSink.layer({ path: `${folder}/run.db`, mode }) }
const PARQUET: Output = { name: "Parquet", layer: (folder) => ParquetSink.layer({ path: `${folder}/run.parquet` }) }
const JOURNAL: Output = { ...CSV, name: "journal and CSV", hasJournal: true }
const ALL = [NULL, CSV, JSONL, SQLITE, PARQUET, JOURNAL]

/** The cost of a unit, in microseconds of processor time. */
const Cost = Schema.Struct({
  axis: Schema.String,
  output: Schema.String,
  at: Schema.String,
  unit: Schema.Literals(["sample", "value"]),
  micros: Schema.Finite
})
type Cost = typeof Cost.Type

interface Case {
  readonly axis: string
  readonly output: string
  readonly measure: (folder: string) => Effect.Effect<ReadonlyArray<Omit<Cost, "axis" | "output">>, unknown>
}

const count = (value: number): string => value.toLocaleString("en-US")

/** The first round is a warm-up and is not counted. */
const ROUNDS = 3
/** In a round. */
const SAMPLES = 200_000

/** Records into an output, and gives the processor time of it in microseconds. `before` is done with the open output. */
const record = (
  { hasJournal, layer }: Output,
  folder: string,
  ticks: Stream.Stream<Tick>,
  { batchSize = 64, mode = "create" }: { readonly batchSize?: number; readonly mode?: "create" | "append" } = {}
) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(layer(folder, mode), scope)
    const before = process.cpuUsage()
    yield* (hasJournal === true
      ? Journal.pipeToSink({ batchSize, path: `${folder}/journal`, stopTimeout: "10 minutes" })(ticks)
      : pipeToSink({ batchSize })(ticks)).pipe(Effect.provideContext(context))
    yield* Scope.close(scope, Exit.void)
    const { system, user } = process.cpuUsage(before)
    return system + user
  })

/** The same recording in several rounds, each into new outputs. */
const rounds = Effect.fnUntraced(function*(folder: string, run: (folder: string) => Effect.Effect<number, unknown>) {
  const files = yield* FileSystem.FileSystem
  const costs: Array<number> = []
  for (let round = 0; round <= ROUNDS; round++) {
    const own = `${folder}/${round}`
    yield* files.makeDirectory(own)
    costs.push(yield* run(own))
    yield* files.remove(own, { recursive: true })
  }
  return median(costs.slice(1))
}, Effect.provide(NodeServices.layer))

const byDevices = (output: Output, samples: number): Case => ({
  axis: "devices",
  output: output.name,
  measure: (folder) =>
    Effect.forEach([1, 10, 100, 1000], (devices) => {
      const recording = makeRecording(7, Math.max(2, Math.round(4096 / devices)), devices)
      const ticks = Math.ceil(samples / devices)
      return Effect.map(
        rounds(folder, (own) => record(output, own, ticksOf(recording, ticks))),
        (micros) => ({ at: count(devices), unit: "sample" as const, micros: micros / (ticks * devices) })
      )
    })
})

/** Many fields: as many values in fewer samples. */
const byFields = (output: Output, samples: number): Case => ({
  axis: "fields",
  output: output.name,
  measure: (folder) =>
    Effect.forEach([7, 50, 500], (fields) => {
      const recording = makeRecording(fields, Math.round(4096 * 7 / fields))
      const ticks = Math.ceil(7 * samples / fields)
      return Effect.map(
        rounds(folder, (own) => record(output, own, ticksOf(recording, ticks))),
        (micros) => ({ at: count(fields), unit: "value" as const, micros: micros / (ticks * fields) })
      )
    })
})

/** What is written first is not measured. */
const byRows = (output: Output, samples: number, sizes: ReadonlyArray<number>): Case => ({
  axis: "rows there",
  output: output.name,
  measure: (folder) =>
    Effect.forEach(sizes, (rows) =>
      Effect.gen(function*() {
        const files = yield* FileSystem.FileSystem
        const own = `${folder}/${rows}`
        yield* files.makeDirectory(own)
        const recording = makeRecording(7, 4096)
        const append = { mode: "append" } as const
        yield* record(output, own, ticksOf(recording, rows), { ...append, batchSize: 4096 })
        const costs = yield* Effect.replicateEffect(
          record(output, own, ticksOf(recording, SAMPLES), append),
          ROUNDS + 1
        )
        yield* files.remove(own, { recursive: true })
        return { at: count(rows), unit: "sample" as const, micros: median(costs.slice(1)) / samples }
      })).pipe(Effect.provide(NodeServices.layer))
})

/** One long run, and what each tenth of it costs. The first is left out: its code is not compiled yet. */
const bySamples = (output: Output, samples: number): Case => ({
  axis: "tenths of a run",
  output: output.name,
  measure: (folder) =>
    Effect.gen(function*() {
      const tenth = TENTH * samples
      const at: Array<number> = []
      const observe = (tick: Tick) => {
        if ((tick.index + 1) % tenth === 0) {
          const { system, user } = process.cpuUsage()
          at.push(system + user)
        }
        return tick
      }
      yield* record(output, folder, Stream.map(freshTicks(7, 10 * tenth), observe))
      return at.slice(1).map((micros, place) => ({
        at: String(place + 2),
        unit: "sample" as const,
        micros: (micros - at[place]!) / tenth
      }))
    })
})

/** A tenth of a run, in rounds. At full length the run is ten minutes of ten devices at 1 kHz. */
const TENTH = 3

const casesOf = (isLarge: boolean, scale: number): ReadonlyArray<Case> => {
  const samples = Math.ceil(SAMPLES * scale)
  const sizes = [0, 1_000_000, 10_000_000, ...(isLarge ? [50_000_000] : [])].map((rows) => Math.ceil(rows * scale))
  return [
    ...ALL.map((output) => byDevices(output, samples)),
    ...ALL.map((output) => byFields(output, samples)),
    ...[CSV, JSONL, SQLITE].map((output) => byRows(output, samples, sizes)),
    ...ALL.map((output) => bySamples(output, samples))
  ]
}

const Costs = Schema.fromJsonString(Schema.Array(Cost))
const decodeCosts = Schema.decodeEffect(Costs)

/** Runs this program again for one case. */
const measureApart = (name: string, isLarge: boolean, scale: number) =>
  runApart(fileURLToPath(import.meta.url), [
    "--only",
    name,
    "--scale",
    String(scale),
    "--json",
    ...(isLarge ? ["--large"] : [])
  ]).pipe(Effect.flatMap(decodeCosts))

/** Each line has the cost beside the smallest of its case. */
const tableOf = (costs: ReadonlyArray<Cost>): string =>
  textTable([
    ["axis", "output", "at", "us", "a", "of the smallest"],
    ...costs.map((cost) => {
      const { at, axis, micros, output, unit } = cost
      const all = costs.filter((other) => other.axis === axis && other.output === output).map(({ micros }) => micros)
      return [axis, output, at, micros.toFixed(3), unit, (micros / Math.min(...all)).toFixed(2)]
    })
  ], 2)

const nameOf = ({ axis, output }: Case): string => `${axis}, ${output}`

const growth = Command.make("bench:growth", {
  only: Flag.String("only").pipe(
    Flag.withDescription("Run only cases whose name contains this text, e.g. \"devices, CSV\" or SQLite"),
    Flag.withDefault("")
  ),
  large: Flag.Boolean("large").pipe(
    Flag.withDescription("Append to 50 million rows too, which takes some 20 GB of disk"),
    Flag.withDefault(false)
  ),
  scale: Flag.Finite("scale").pipe(
    Flag.filter((value) => value > 0, (value) => `a number above 0, not ${value}`),
    Flag.withDescription("Factor for the samples and rows of each case (default: 1)"),
    Flag.withDefault(1)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the figures as one JSON array"),
    Flag.withDefault(false)
  )
}, ({ json, large, only, scale }) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const chosen = casesOf(large, scale).filter((case_) => nameOf(case_).includes(only))
    const costs: Array<Cost> = []
    for (const [place, case_] of chosen.entries()) {
      const { axis, measure, output } = case_
      if (chosen.length === 1) {
        const folder = yield* files.makeTempDirectoryScoped({ prefix: "bench-" })
        costs.push(...(yield* measure(folder)).map((cost) => ({ axis, output, ...cost })))
      } else {
        yield* Effect.sync(() => process.stderr.write(`${place + 1} of ${chosen.length}: ${nameOf(case_)}\n`))
        costs.push(...(yield* measureApart(nameOf(case_), large, scale)))
      }
    }
    yield* Console.log(json ? yield* Schema.encodeEffect(Costs)(costs) : tableOf(costs))
  }).pipe(Effect.scoped, Effect.provide(warningsOnStderr))).pipe(
    Command.withDescription("Measure how the cost of a sample grows with devices, fields, rows and time")
  )

Command.run(growth, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
