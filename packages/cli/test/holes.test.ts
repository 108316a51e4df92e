/**
 * One recording in which everything goes wrong, into all outputs at once. The queries of the README ask each output why there are
 * holes, who recorded what, and how it ended: all give the same answer, and it is that of the recorder's own summary.
 */
import { DuckDBTimestampTZValue } from "@duckdb/node-api"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { type AcquisitionSummary, type EventRow, formatTimestamp } from "@sampleline/core"
import { Context, Effect, Layer, Redacted } from "effect"
import { raw as jq } from "jq-wasm"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { queryDuckDb } from "../../sinks/test/duckdb.ts"
import { eventsBeside } from "../../sinks/test/events.ts"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { query as querySqlite } from "../../sinks/test/sqlite.ts"
import type { Disturbance } from "./disturbedCommand.ts"
import { start, startSimulator, tempFolder } from "./process.ts"
import { blocksOf } from "./readmes.ts"
import { eventually, fileGrowsBeyond, rowsOf } from "./recordings.ts"

const COMMAND = fileURLToPath(new URL("disturbedCommand.ts", import.meta.url))

const README = blocksOf("packages/sinks/README.md")

const QUESTIONS = ["holes", "devices", "ends", "marks", "alarms"] as const
type Question = (typeof QUESTIONS)[number]

/** The block of the README with this first line. */
const sqlOf = (title: string): string =>
  README.find(({ code, language }) => language === "sql" && code.startsWith(`-- ${title}\n`))?.code
    ?? assert.fail(`the README has no query "${title}"`)

/** The lines with jq, in the order of the questions. */
const jqOf = (question: Question): readonly [flags: string, filter: string] => {
  const lines = README.flatMap(({ code }) => code.split("\n")).filter((line) => line.startsWith("jq "))
  const [, flags = "", filter = ""] = /^jq (-\w+) '(.*)' run\.csv-events\.jsonl$/.exec(
    lines[QUESTIONS.indexOf(question)] ?? ""
  ) ?? assert.fail(`the README has no jq for "${question}"`)
  return [flags, filter]
}

type Answer = ReadonlyArray<{ readonly [column: string]: unknown }>

/** Times as our text, whatever the reader makes of them; numbers as numbers. */
const comparable = (value: unknown): unknown => {
  if (value instanceof DuckDBTimestampTZValue) return formatTimestamp(Number(value.micros))
  if (typeof value === "bigint") return Number(value)
  const [, date, time, fraction = ""] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?\+00:00$/.exec(String(value)) ??
    []
  return date === undefined ? value : `${date}T${time}.${fraction.padEnd(6, "0")}Z`
}

const microsOf = (time: string): number => Date.parse(`${time.slice(0, 23)}Z`) * 1000 + Number(time.slice(23, 26))

const comparableRows = (rows: Answer): Answer =>
  rows.map((row) => Object.fromEntries(Object.entries(row).map(([column, value]) => [column, comparable(value)])))

class Recording extends Context.Service<Recording, {
  readonly summary: Omit<AcquisitionSummary, "startedAt" | "finishedAt" | "clockSteps"> & {
    readonly startedAt: string
    readonly finishedAt: string
    readonly clockSteps: ReadonlyArray<{ readonly at: string; readonly jumpMicros: number }>
  }
  /** The rows of the CSV file. */
  readonly rows: ReturnType<typeof rowsOf>
  /** What each output answers. */
  readonly ask: (question: Question) => Effect.Effect<ReadonlyMap<string, Answer>>
}>()("Recording") {
  static readonly layer = Layer.effect(Recording, Effect.suspend(() => recordHoles()))
}

const RATE_HZ = 20
const PERIOD_MICROS = 1_000_000 / RATE_HZ
const MARK = "valve \"A\" opened"
const JUMP_MILLIS = 3_600_000
const ALARMS = ["sim4.Mass_Flow > -1000 SCCM", "sim2 is silent for 1s"]

const recordHoles = Effect.fnUntraced(function*() {
  const server = yield* PostgresServer
  const database = yield* server.database
  const cwd = yield* tempFolder
  const at = (name: string) => `${cwd}/${name}`
  const { devices } = yield* startSimulator(
    cwd,
    ..."--devices 4 --silent sim1:40 --vanish sim2:5s+3s --garble sim3:7".split(" ")
  )
  const outputs = ["run.csv", "run.jsonl", "run.db", "run.parquet"]
  const url = `postgres://owner@127.0.0.1:${server.address.port}/${database}`
  const recorder = yield* start(process.execPath, [
    COMMAND,
    ...`record --rate ${RATE_HZ} --flush-interval 100ms --create-table --row-ids --json --meta operator=Ada --meta sample=B-17`
      .split(
        " "
      ),
    ...devices.flatMap(({ flag }) => ["--device", flag]),
    ...ALARMS.flatMap((alarm) => ["--alarm", alarm]),
    ...[...outputs, url].flatMap((output) => ["--out", output])
  ], {
    cwd,
    env: { ...process.env, PGPASSWORD: Redacted.value(server.password) },
    stdio: ["ignore", "pipe", "pipe", "ipc"]
  })
  const disturb = (disturbance: Disturbance) => Effect.sync(() => recorder.process.send(disturbance))
  const events = (): ReadonlyArray<EventRow> =>
    fs.existsSync(at("run.csv-events.jsonl")) ? eventsBeside(at("run.csv")) : []
  const told = (event: EventRow["event"], device: string | null = null) =>
    eventually(() => events().some((row) => row.event === event && row.device === device))

  yield* fileGrowsBeyond(at("run.csv"), 2000)
  // The recorder stands still for ten slots.
  recorder.process.kill("SIGSTOP")
  yield* Effect.sleep("500 millis")
  recorder.process.kill("SIGCONT")
  yield* disturb({ mark: MARK })
  yield* told("Marker")
  yield* told("DeviceFailing", "sim2")
  yield* disturb({ jumpMillis: JUMP_MILLIS })
  yield* told("ClockStepped")
  yield* told("DeviceBack", "sim2")
  recorder.process.kill("SIGINT")
  assert.strictEqual(yield* recorder.exit, 0, recorder.stderr())

  const askDuckDb = (file: string, view: string, question: Question) =>
    queryDuckDb(
      sqlOf(question),
      `SET file_search_path = '${cwd}'; ${view.replace("run.csv-events", `${file}-events`)} ${sqlOf("DuckDB: runs")}`
    )
  const textView = sqlOf("DuckDB: run.csv or run.jsonl")
  const askJq = Effect.fnUntraced(function*(file: string, question: Question) {
    const [flags, filter] = jqOf(question)
    const text = yield* Effect.promise(() => jq(fs.readFileSync(at(`${file}-events.jsonl`), "utf8"), filter, [flags]))
    return text.trim().split("\n").map((line): Answer[number] => JSON.parse(line))
  })
  // As JSON, because the driver's times have no microseconds.
  const askPostgres = (question: Question) => {
    const sql = sqlOf(question).replace("json_each", "jsonb_array_elements").trim().replace(/;$/, "")
    return Effect.map(
      server.query(database, `SELECT to_json(answer) AS answer FROM (${sql}) AS answer`),
      (rows) => rows.map(({ answer }): Answer[number] => answer)
    )
  }
  return Recording.of({
    summary: JSON.parse(recorder.stdout()),
    rows: rowsOf(at("run.csv")),
    ask: (question) =>
      Effect.map(
        Effect.all({
          "run.csv by DuckDB": askDuckDb("run.csv", textView, question),
          "run.jsonl by DuckDB": askDuckDb("run.jsonl", textView, question),
          "run.parquet by DuckDB": askDuckDb("run.parquet", sqlOf("DuckDB: run.parquet"), question),
          "run.csv by jq": askJq("run.csv", question),
          "run.jsonl by jq": askJq("run.jsonl", question),
          "run.db by SQLite": Effect.sync(() => querySqlite(at("run.db"), sqlOf(question))),
          "Postgres": askPostgres(question)
        }),
        (answers) => new Map(Object.entries(answers).map(([output, rows]) => [output, comparableRows(rows)]))
      )
  })
})

/** What rows are sorted by. */
const keyOf = ({ at, device, since_at }: Answer[number]) => since_at ?? at ?? device

/** The one answer that all outputs give. Rows of the same moment may come in any order. */
const answerOf = Effect.fnUntraced(function*(question: Question) {
  const { ask } = yield* Recording
  const answers = [...yield* ask(question)]
  const answer = answers[0]![1]
  for (const [output, rows] of answers) {
    assert.deepStrictEqual(rows.map(keyOf), answer.map(keyOf), output)
    assert.sameDeepMembers([...rows], [...answer], output)
  }
  return answer
})

const services = Layer.provideMerge(Recording.layer, Layer.merge(NodeServices.layer, PostgresServer.layer))

const sumOf = (rows: ReadonlyArray<EventRow>, isCounted: (row: EventRow) => boolean) =>
  rows.filter(isCounted).reduce((sum, { count }) => sum + count!, 0)

it.layer(services, { excludeTestServices: true, timeout: "60 seconds" })("every output tells the same", (it) => {
  it.effect("of the holes: which, how long, why, and how many tries", () =>
    Effect.gen(function*() {
      const { rows, summary } = yield* Recording
      const holes = (yield* answerOf("holes")) as unknown as ReadonlyArray<EventRow>

      // Each kind of hole has its reason.
      for (const [device, reason] of [["sim1", "Timeout"], ["sim2", "Disconnected"], [null, "clock"]] as const) {
        assert.isTrue(holes.some((hole) => hole.device === device && hole.reason === reason), `${device}: ${reason}`)
      }

      // The numbers are those of the summary, and make all slots of each device.
      const skipped = sumOf(holes, ({ event }) => event === "SlotsSkipped")
      assert.isAbove(skipped, 0)
      assert.strictEqual(skipped, summary.ticksSkipped)
      for (const [device, failures] of Object.entries(summary.failures)) {
        assert.strictEqual(sumOf(holes, (hole) => hole.device === device), failures, device)
        const samples = rows.filter((row) => row["device"] === device).length
        assert.strictEqual(samples + failures + skipped, summary.ticks + summary.ticksSkipped, device)
      }
      assert.deepStrictEqual(
        holes.filter(({ event }) => event === "ClockStepped").map(({ until_at }) => until_at),
        summary.clockSteps.map(({ at }) => at)
      )

      // The clock jumped while the port of sim2 was away.
      const vanished = holes.find(({ device }) => device === "sim2")!
      assert.isAbove(microsOf(vanished.until_at!) - microsOf(vanished.since_at!), JUMP_MILLIS * 1000)
      assert.isAbove(vanished.duration_s!, 0.9)
      assert.isBelow(vanished.duration_s!, 10)

      // Each slot without a row has a reason at its time, on the grid of the row before it or behind it: the clock jumps between two.
      // The row that is least late tells where the grid is on the wall clock.
      const startBy = (row: (typeof rows)[number]) =>
        microsOf(row["requested_at"]!) - Number(row["tick"]) * PERIOD_MICROS
      const start = Math.min(...rows.map(startBy))
      const isAfterJump = (row: (typeof rows)[number]) => startBy(row) - start > JUMP_MILLIS * 500
      const startAfterJump = Math.min(...rows.filter(isAfterJump).map(startBy))
      for (const device of Object.keys(summary.failures)) {
        const reasons = holes.filter((hole) => hole.device === device || hole.device === null)
          .map((hole) => [microsOf(hole.since_at!) - PERIOD_MICROS / 2, microsOf(hole.until_at!) + PERIOD_MICROS / 2])
        const own = rows.filter((row) => row["device"] === device)
        for (const [n, row] of own.entries()) {
          const before = own[n - 1] ?? row
          const starts = [before, row].map((row) => isAfterJump(row) ? startAfterJump : start)
          for (let slot = Number(before["tick"]) + 1; slot < Number(row["tick"]); slot++) {
            const times = starts.map((start) => start + slot * PERIOD_MICROS)
            assert.isTrue(
              reasons.some(([from, to]) => times.some((at) => from! <= at && at <= to!)),
              `${device}: no row at ${formatTimestamp(Math.round(times[0]!))}, and no reason: ${JSON.stringify(holes)}`
            )
          }
        }
      }
    }))

  it.effect("of who recorded what, with which device, calibrated when", () =>
    Effect.gen(function*() {
      const { summary } = yield* Recording
      assert.deepStrictEqual(
        yield* answerOf("devices"),
        ["sim1", "sim2", "sim3", "sim4"].map((device, n) => ({
          run_id: summary.runId,
          operator: "Ada",
          sample: "B-17",
          device,
          model: "MC-500SCCM-D",
          serial_number: String(100_001 + n),
          calibrated: "2025-03-02"
        }))
      )
    }))

  it.effect("of how the run ended", () =>
    Effect.gen(function*() {
      const { summary } = yield* Recording
      assert.deepStrictEqual(yield* answerOf("ends"), [{
        run_id: summary.runId,
        started_at: summary.startedAt,
        finished_at: summary.finishedAt,
        ended_by: "stopped",
        ended_detail: "SIGINT",
        samples: summary.samplesEmitted
      }])
      assert.deepStrictEqual(summary.sinks.map(({ rows }) => rows), Array(5).fill(summary.samplesEmitted))
    }))

  it.effect("of what was marked", () =>
    Effect.gen(function*() {
      const { summary } = yield* Recording
      const [mark, ...more] = yield* answerOf("marks")
      assert.deepInclude(mark, { run_id: summary.runId, detail: MARK })
      assert.deepStrictEqual(more, [])
    }))

  it.effect("of the alarms", () =>
    Effect.gen(function*() {
      const { summary } = yield* Recording
      const alarms = yield* answerOf("alarms")
      assert.deepStrictEqual(
        alarms.map(({ at: _at, ...alarm }) => alarm),
        [
          { event: "AlarmRaised", device: "sim4", detail: ALARMS[0], count: 1 },
          { event: "AlarmRaised", device: "sim2", detail: ALARMS[1], count: 1 },
          { event: "AlarmCleared", device: "sim2", detail: ALARMS[1], count: 0 }
        ].map((alarm) => ({ run_id: summary.runId, ...alarm }))
      )
    }))
})
