/**
 * A supervisor that starts the same recording again whenever it is killed, and a count of what is in its outputs then.
 *
 * What was accepted is read from a copy of the journal after each kill. Every run must be in every output from its first sample to
 * its last accepted one: no sample lost, twice, or out of order.
 */
import { Duration, Effect, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Sample } from "../../core/src/index.ts"
import * as Store from "../../journal/src/Store.ts"
import { readWithDuckDb } from "../../sinks/test/duckdb.ts"
import { type Running, startSampleline, startSimulator } from "./process.ts"
import { fileGrowsBeyond, linesOf, rowsOf } from "./recordings.ts"

/** A row as it is in an output, in the output's order. */
interface Row {
  readonly run_id?: unknown
  readonly sequence?: unknown
}

export interface Output {
  /** What stands after `--out`. */
  readonly target: string
  readonly read: (folder: string) => Effect.Effect<ReadonlyArray<Row>>
}

const IDS = [{ name: "run_id", type: "text", nullable: false }, {
  name: "sequence",
  type: "int",
  nullable: false
}] as const

export const files: { readonly [name: string]: Output } = {
  csv: { target: "run.csv", read: (folder) => Effect.sync(() => rowsOf(`${folder}/run.csv`)) },
  jsonl: {
    target: "run.jsonl",
    read: (folder) => Effect.sync(() => linesOf(fs.readFileSync(`${folder}/run.jsonl`, "utf8")))
  },
  db: {
    target: "run.db",
    read: (folder) =>
      Effect.sync(() => {
        const database = new DatabaseSync(`${folder}/run.db`)
        const rows = database.prepare("SELECT run_id, sequence FROM samples ORDER BY rowid").all()
        database.close()
        return rows
      })
  },
  // One file for each run.
  parquet: { target: "run.parquet", read: (folder) => readWithDuckDb(`'${folder}/run*.parquet'`, IDS) }
}

export interface Restarts {
  readonly folder: string
  readonly env?: NodeJS.ProcessEnv
  readonly outputs: ReadonlyArray<Output>
  /** For each kill, when it comes. */
  readonly kills: ReadonlyArray<(recorder: Running, folder: string) => Effect.Effect<void>>
}

/** Kills the recorder and starts it again, and at last ends it by SIGTERM. Gives how many runs were killed, how many samples were
 * accepted in all, and what is wrong. */
export const restarts = Effect.fnUntraced(function*({ env = process.env, folder, kills, outputs }: Restarts) {
  const { devices } = yield* startSimulator(folder, "--devices", "2")
  const args = [
    ..."record --allow-missing --append --rate 100 --flush-interval 50ms --row-ids --create-table".split(" "),
    ...devices.flatMap(({ flag }) => ["--device", flag]),
    ...outputs.flatMap(({ target }) => ["--out", target])
  ]
  const problems: Array<string> = []
  const accepted = new Map<string, number>()
  for (const moment of kills) {
    const recorder = yield* startSampleline(args, { cwd: folder, env })
    yield* Effect.raceFirst(moment(recorder, folder), recorder.exit)
    recorder.process.kill("SIGKILL")
    if ((yield* recorder.exit) !== null) problems.push(`it ended by itself: ${recorder.stderr()}`)
    for (const [run, samples] of yield* acceptedIn(folder)) accepted.set(run, samples)
  }
  const ended: Array<number> = []
  // On a machine that is very busy, an output may need another start.
  do {
    const recorder = yield* startSampleline(args, { cwd: folder, env })
    yield* Effect.raceFirst(hasRecorded(recorder, folder), recorder.exit)
    recorder.process.kill("SIGTERM")
    const code = yield* recorder.exit
    if (code !== 143) problems.push(`it ended with ${code}: ${recorder.stderr()}`)
    ended.push(Number(/^recorded ([\d,]+) samples/m.exec(recorder.stdout())?.[1]?.replaceAll(",", "")))
  } while (leftIn(folder).length > 0 && ended.length < 5)
  if (leftIn(folder).length > 0) problems.push(`left: ${leftIn(folder).join(", ")}`)

  for (const { read, target } of outputs) {
    const runs = runsIn(yield* read(folder))
    // Their ids are in the order in which they began.
    const others = [...runs.keys()].filter((run) => !accepted.has(run)).toSorted()
    if (others.length !== ended.length) problems.push(`${target} has ${others.length} runs beside the killed ones`)
    const expected = [...accepted, ...others.map((run, n) => [run, ended[n]!] as const)]
    for (const [run, count] of expected) {
      const sequences = runs.get(run) ?? []
      if (sequences.length !== count || sequences.some((sequence, n) => sequence !== n)) {
        problems.push(`${target}: run ${run} has ${sequences.length} rows of ${count}, or not in order`)
      }
    }
  }
  const samples = [...accepted.values(), ...ended].reduce((sum, n) => sum + n, 0)
  return { killed: accepted.size, samples, problems }
})

/** What only an unfinished recording has. */
const leftIn = (folder: string): ReadonlyArray<string> =>
  fs.readdirSync(folder).filter((name) => /\.(?:journal|partial|partial-groups)$/.test(name))

/** Returns when its devices are open and the CSV file has grown. */
export const hasRecorded = Effect.fnUntraced(function*({ printed }: Running, folder: string) {
  const csv = path.join(folder, "run.csv")
  yield* printed("INFO sim2 is unit")
  yield* fileGrowsBeyond(csv, fs.existsSync(csv) ? fs.statSync(csv).size + 6000 : 6000)
}, Effect.orDie)

/** How many samples each run has in the journals of a folder. They are copied, because reading takes their locks. */
const acceptedIn = Effect.fnUntraced(function*(folder: string) {
  const accepted = new Map<string, number>()
  for (const name of fs.readdirSync(folder).filter((name) => name.endsWith(".journal"))) {
    const copy = path.join(folder, "copy")
    fs.cpSync(path.join(folder, name), copy, { recursive: true })
    const samples = yield* Effect.scoped(Effect.gen(function*() {
      const store = yield* Store.open({
        path: copy,
        fsync: "never",
        segmentBytes: 1e9,
        maxBytes: 1e9,
        diskWait: Duration.seconds(1),
        whenFull: "stop"
      })
      yield* store.seal
      const items = yield* Stream.runCollect(store.read(yield* store.nextFrom(0)))
      return items.filter((item) => item instanceof Sample)
    })).pipe(
      Effect.catchTag("JournalError", (error) => error.reason === "Missing" ? Effect.succeed([]) : Effect.die(error))
    )
    fs.rmSync(copy, { recursive: true })
    for (const { run, sequence } of samples) accepted.set(run.id, sequence + 1)
  }
  return accepted
})

/** The sequences of each run. */
const runsIn = (rows: ReadonlyArray<Row>): ReadonlyMap<string, ReadonlyArray<number>> => {
  const runs = new Map<string, Array<number>>()
  for (const { run_id, sequence } of rows) {
    const run = String(run_id)
    if (!runs.has(run)) runs.set(run, [])
    runs.get(run)!.push(Number(sequence))
  }
  return runs
}
