/**
 * A long recording of ten simulated devices at 100 Hz, by the command: with its journal, into CSV, JSON lines, SQLite, Parquet and
 * Postgres. Beside it, in turns, the same recording into memory only.
 *
 *     npm run soak -- --minutes 15
 *
 * Ends with exit code 1 if a bound is broken: ticks are late that are not for the recording into memory, memory grows, the journal
 * grows, or a row is lost or twice.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, FileSystem, Redacted } from "effect"
import { Command, Flag } from "effect/cli"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { queryDuckDb } from "../../sinks/test/duckdb.ts"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { query } from "../../sinks/test/sqlite.ts"
import { startNode } from "./measureRecording.ts"
import { median } from "./median.ts"
import { usageOf } from "./processUsage.ts"
import { COMMAND, COMMAND_FLAGS, simulate, type SimulatedDevice } from "./simulator.ts"
import type { MemoryJob } from "./soakMemory.ts"
import { textTable } from "./textTable.ts"

const RATE_HZ = 100
const ROUNDS = 2
/** How many more ticks may be late than in the recording into memory. */
const MORE_LATE = 20
/** How much memory may grow from minute 3 to the end. */
const GROWTH = 0.1
/** Three segments. */
const JOURNAL_BYTES = 3 * 2 ** 24
const MEMORY_PROGRAM = fileURLToPath(new URL("soakMemory.ts", import.meta.url))

/** What was seen of a running recording, once a second. */
interface Seen {
  readonly seconds: number
  readonly residentMiB: number
  readonly journalBytes: number
}

interface Summary {
  readonly samplesEmitted: number
  readonly samplesLate: number
}

interface Recorded {
  readonly summary: Summary
  readonly seen: ReadonlyArray<Seen>
  /** Its outputs. */
  readonly counted: ReadonlyArray<Counted>
}

/** The rows of an output, and whether each sample is there once. */
interface Counted {
  readonly output: string
  readonly rows: number
  readonly isComplete: boolean
}

/** Records, and looks at it meanwhile. */
const watch = Effect.fnUntraced(function*(
  name: string,
  seconds: number,
  program: { readonly args: ReadonlyArray<string>; readonly env?: NodeJS.ProcessEnv; readonly journal?: string }
) {
  const running = yield* startNode(program.args, program.env)
  const startedAt = performance.now()
  const seen: Array<Seen> = []
  const look = Effect.sync(() => {
    const now = {
      seconds: (performance.now() - startedAt) / 1000,
      residentMiB: usageOf(running.pid).residentMiB,
      journalBytes: program.journal === undefined ? 0 : bytesIn(program.journal)
    }
    seen.push(now)
    const of = `${clock(now.seconds)} of ${clock(seconds)}, ${now.residentMiB.toFixed(0)} MiB resident`
    const journal = program.journal === undefined ? "" : `, journal ${mebibytes(now.journalBytes)} MiB`
    if (seen.length % 10 === 0) process.stderr.write(`${name}: ${of}${journal}\n`)
  })
  yield* Effect.raceFirst(
    Effect.forever(Effect.andThen(Effect.sleep(1000), Effect.ignoreCause(look))),
    running.end
  )
  const summary: Summary = JSON.parse(yield* running.end)
  return { summary, seen, counted: [] } satisfies Recorded
}, Effect.scoped)

const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)

/** A file may go meanwhile. */
const bytesIn = (folder: string): number =>
  fs.existsSync(folder)
    ? fs.readdirSync(folder).reduce(
      (sum, name) => sum + (fs.statSync(`${folder}/${name}`, { throwIfNoEntry: false })?.size ?? 0),
      0
    )
    : 0

const COUNTS = "count(*) AS n, count(DISTINCT sequence) AS distinct_n, max(sequence) AS last"

/** Each output read by another program than the one that wrote it. */
const countRows = Effect.fnUntraced(function*(folder: string, database: string, expected: number) {
  const server = yield* PostgresServer
  const inDuckDb = (from: string) => Effect.map(queryDuckDb(`SELECT ${COUNTS} FROM ${from}`), ([row]) => row)
  const rows = {
    csv: yield* inDuckDb(`'${folder}/run.csv'`),
    jsonl: yield* inDuckDb(`read_json_auto('${folder}/run.jsonl')`),
    db: query(`${folder}/run.db`, `SELECT ${COUNTS} FROM samples`)[0],
    parquet: yield* inDuckDb(`'${folder}/run.parquet'`),
    postgres: (yield* server.query(database, `SELECT ${COUNTS} FROM samples`))[0]
  }
  return Object.entries(rows).map(([output, row]): Counted => {
    const [n, distinct, last] = [row?.["n"], row?.["distinct_n"], row?.["last"]].map(Number)
    return { output, rows: n!, isComplete: n === expected && distinct === expected && last === expected - 1 }
  })
})

/** Into memory only. */
const recordIntoMemory = (devices: ReadonlyArray<SimulatedDevice>, seconds: number, round: number) => {
  const job: MemoryJob = { devices, rateHz: RATE_HZ, seconds }
  return watch(`memory, round ${round}`, seconds, { args: [MEMORY_PROGRAM, JSON.stringify(job)] })
}

/** By the command, into all outputs. */
const recordIntoAll = Effect.fnUntraced(
  function*(devices: ReadonlyArray<SimulatedDevice>, seconds: number, round: number) {
    const files = yield* FileSystem.FileSystem
    const server = yield* PostgresServer
    const folder = yield* files.makeTempDirectoryScoped({ prefix: "soak-" })
    const database = yield* server.database
    const { host, port } = server.address
    const outputs = [
      ...["csv", "jsonl", "db", "parquet"].map((extension) => `${folder}/run.${extension}`),
      `postgres://owner@${host}:${port}/${database}`
    ]
    const args = [
      ...COMMAND_FLAGS,
      COMMAND,
      "record",
      ...devices.flatMap(({ name, port, unit }) => ["--device", `${name}=${port},unit=${unit}`]),
      ...outputs.flatMap((output) => ["--out", output]),
      "--create-table",
      "--row-ids",
      "--rate",
      String(RATE_HZ),
      "--duration",
      `${seconds}s`,
      "--json"
    ]
    const recorded = yield* watch(`all outputs, round ${round}`, seconds, {
      args,
      env: { ...process.env, PGPASSWORD: Redacted.value(server.password) },
      journal: `${folder}/run.csv.journal`
    })
    return { ...recorded, counted: yield* countRows(folder, database, recorded.summary.samplesEmitted) }
  },
  Effect.scoped
)

/** Resident memory at minute 3, and the highest that a later minute has in its middle. Of a short recording, its halves. */
const residentOf = (seen: ReadonlyArray<Seen>, seconds: number) => {
  const from = Math.min(180, seconds / 2)
  const step = Math.min(60, seconds / 8)
  const windows: Array<number> = []
  for (let at = from; at + step <= seconds; at += step) {
    const within = seen.filter(({ seconds }) => seconds >= at && seconds < at + step)
    if (within.length > 0) windows.push(median(within.map(({ residentMiB }) => residentMiB)))
  }
  return { first: windows[0] ?? 0, highest: Math.max(...windows), last: windows.at(-1) ?? 0 }
}

const highestJournal = ({ seen }: Recorded): number => Math.max(...seen.map(({ journalBytes }) => journalBytes))

const HEAD = [
  "recording",
  "round",
  "samples",
  "late ticks",
  "MiB, minute 3",
  "MiB, end",
  "journal, MiB at most",
  "every row once"
]

const rowOf = (name: string, round: number, seconds: number, recorded: Recorded): ReadonlyArray<string> => {
  const { counted, seen, summary } = recorded
  const { first, last } = residentOf(seen, seconds)
  return [
    name,
    String(round),
    String(summary.samplesEmitted),
    String(summary.samplesLate),
    first.toFixed(0),
    last.toFixed(0),
    mebibytes(highestJournal(recorded)),
    counted.filter(({ isComplete }) => isComplete).map(({ output }) => output).join(" ")
  ]
}

/** The bounds that a recording into all outputs has broken. `memory` is the one before it. */
const brokenBy = (memory: Recorded, all: Recorded, seconds: number): ReadonlyArray<string> => {
  const { samplesEmitted, samplesLate } = all.summary
  const { first, highest } = residentOf(all.seen, seconds)
  const broken: Array<string> = []
  if (samplesLate > memory.summary.samplesLate + MORE_LATE) {
    broken.push(`${samplesLate} ticks late, and ${memory.summary.samplesLate} into memory`)
  }
  if (highest > (1 + GROWTH) * first) broken.push(`from ${first.toFixed(0)} to ${highest.toFixed(0)} MiB resident`)
  if (highestJournal(all) > JOURNAL_BYTES) {
    broken.push(`the journal has grown to ${mebibytes(highestJournal(all))} MiB`)
  }
  for (const { isComplete, output, rows } of all.counted) {
    if (!isComplete) broken.push(`${output} has ${rows} rows, not each of ${samplesEmitted} once`)
  }
  return broken
}

const soak = Command.make("soak", {
  minutes: Flag.Finite("minutes").pipe(
    Flag.filter((minutes) => minutes > 0, (minutes) => `above 0, not ${minutes}`),
    Flag.withDescription("Length of each of the four recordings (default: 15)"),
    Flag.withDefault(15)
  )
}, ({ minutes }) =>
  Effect.gen(function*() {
    const seconds = Math.round(minutes * 60)
    const devices = yield* simulate("tty")
    const broken: Array<string> = []
    const table: Array<ReadonlyArray<string>> = [HEAD]
    for (let round = 1; round <= ROUNDS; round++) {
      const memory = yield* recordIntoMemory(devices, seconds, round)
      const all = yield* recordIntoAll(devices, seconds, round)
      table.push(rowOf("memory", round, seconds, memory), rowOf("all outputs", round, seconds, all))
      broken.push(...brokenBy(memory, all, seconds).map((problem) => `round ${round}: ${problem}`))
    }
    yield* Console.log(textTable(table, 1))
    yield* Console.log(broken.length === 0 ? "every bound is kept" : `broken:\n  ${broken.join("\n  ")}`)
    if (broken.length > 0) process.exitCode = 1
  }).pipe(Effect.scoped, Effect.provide(PostgresServer.layer))).pipe(
    Command.withDescription("Record for long into all outputs, beside recordings into memory")
  )

Command.run(soak, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
