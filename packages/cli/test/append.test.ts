/**
 * Two runs into the same outputs, with `--append`: nothing of either is lost.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import type { EventRow } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { DatabaseSync } from "node:sqlite"
import { SimulatedDevice } from "../../alicat/src/simulator/SimulatedDevice.ts"
import { readWithDuckDb } from "../../sinks/test/duckdb.ts"
import { canMountDisk } from "../../sinks/test/fullDisk.ts"
import { BIN, run, sampleline, startSampleline, startSimulator, tempFolder } from "./process.ts"
import { fileGrowsBeyond, type JsonSummary, linesOf, rowsOf } from "./recordings.ts"

/** A device on TCP with another serial number and other units than the simulator's. Gives what to write after `--device`. */
const deviceIn = Effect.fnUntraced(function*(name: string, unit: string, serialNumber: number) {
  const device = new SimulatedDevice({ serialNumber })
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((socket) => {
        socket.on("error", () => {})
        socket.on("data", (chunk) => {
          for (const command of chunk.toString().split("\r").slice(0, -1)) {
            const reply = device.respond(command, 0).join("\r")
            if (reply !== "") socket.write(`${reply.replaceAll("SCCM", unit)}\r`)
          }
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  return `${name}=tcp://127.0.0.1:${(server.address() as net.AddressInfo).port}`
})

const OUTPUTS = ["a.csv", "a.jsonl", "a.db"]
const RECORD = ["record", "--rate", "50", ...OUTPUTS.flatMap((name) => ["--out", name])]

const record = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* sampleline([...RECORD, "--duration", "200ms", "--json", ...args], { cwd })
  assert.strictEqual(code, 0, stderr)
  const { samplesEmitted }: JsonSummary = JSON.parse(stdout)
  return { samplesEmitted, warnings: stderr.split("\n").filter((line) => line.includes(" WARN ")) }
})

const eventsOf = (path: string) =>
  linesOf(fs.readFileSync(`${path}-events.jsonl`, "utf8")) as unknown as Array<EventRow>

const queryDb = (path: string, sql: string) => {
  const database = new DatabaseSync(path)
  const rows = database.prepare(sql).all().map((row) => ({ ...row }))
  database.close()
  return rows
}

/** What JSON.parse gives. */
type Json = ReturnType<typeof JSON.parse>

const columnIn = (tableSchema: Json, name: string) => tableSchema.columns.find(({ titles }: Json) => titles === name)

/** Operator, device, serial number and unit, as the start of a run has them. */
const whoIn = ({ devices: [device], metadata }: Json) => [
  metadata.operator,
  device.device,
  device.serial_number,
  device.fields.find(({ name }: Json) => name === "Mass_Flow").unit
]

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("runs into the same outputs", (it) => {
  it.effect("keep the rows, devices, units and operators of all, and tell once that the units changed", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const fuel = yield* deviceIn("fuel", "SLPM", 111)
      const air = yield* deviceIn("air", "SCCM", 222)
      const first = yield* record(cwd, "--device", fuel, "--meta", "operator=Ada")
      const second = yield* record(cwd, "--device", air, "--meta", "operator=Grace", "--append")
      const said = (warnings: ReadonlyArray<string>) => warnings.filter((line) => line.includes("differ in units"))
      assert.deepStrictEqual(said(first.warnings), [])
      // Each output gets its first batch at its own time.
      assert.sameMembers(said(second.warnings).map((line) => line.split(" ")[3]!), ["CsvSink", "JsonlSink"])
      assert.include(said(second.warnings)[0], "column Mass_Flow was SLPM before, and is SCCM now")

      const rows = first.samplesEmitted + second.samplesEmitted
      assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, rows)
      assert.strictEqual(linesOf(fs.readFileSync(`${cwd}/a.jsonl`, "utf8")).length, rows)
      assert.strictEqual(queryDb(`${cwd}/a.db`, "SELECT * FROM samples").length, rows)

      const expected = [["Ada", "fuel", "111", "SLPM"], ["Grace", "air", "222", "SCCM"]]
      for (const name of ["a.csv", "a.jsonl"]) {
        const starts = eventsOf(`${cwd}/${name}`).filter(({ event }) => event === "RunStarted")
        assert.deepStrictEqual(starts.map(({ data }) => whoIn(JSON.parse(JSON.stringify(data)))), expected)
        const { notes, tableSchema } = JSON.parse(fs.readFileSync(`${cwd}/${name}-metadata.json`, "utf8"))
        assert.deepStrictEqual(
          notes.map(({ devices: [device] }: Json) => [
            device.device,
            device.serial_number,
            device.columns.Mass_Flow.unit
          ]),
          expected.map(([, ...device]) => device)
        )
        const unitIn = (column: string) => columnIn(tableSchema, column)["schema:unitText"]
        assert.strictEqual(unitIn("Mass_Flow"), "fuel: SLPM, air: SCCM")
        assert.strictEqual(unitIn("Abs_Press"), "PSIA")
      }
      const inDb = queryDb(
        `${cwd}/a.db`,
        `SELECT json_extract(metadata, '$.operator') AS operator, device, serial_number, unit
         FROM samples_runs JOIN samples_columns USING (run_id) WHERE column_name = 'Mass_Flow' ORDER BY started_at`
      )
      assert.deepStrictEqual(inDb.map((row) => Object.values(row)), expected)
    }))

  it.effect("have all columns described where lines differ", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const args = ["record", "--rate", "50", "--duration", "100ms", "--quiet", "--out", "a.jsonl"]
      yield* sampleline([...args, "--simulate", "1"], { cwd })
      const { devices: [old] } = yield* startSimulator(cwd, "--firmware", "GP07")
      const { code, stderr } = yield* sampleline([...args, "--append", "--row-ids", "--device", old!.flag], { cwd })
      assert.strictEqual(code, 0, stderr)
      const lines = linesOf(fs.readFileSync(`${cwd}/a.jsonl`, "utf8"))
      const { notes, tableSchema } = JSON.parse(fs.readFileSync(`${cwd}/a.jsonl-metadata.json`, "utf8"))
      assert.strictEqual(notes.length, 2)
      assert.deepStrictEqual(
        new Set(tableSchema.columns.map(({ titles }: Json) => titles)),
        new Set(lines.flatMap((line) => Object.keys(line)))
      )
      const required = (name: string) => columnIn(tableSchema, name).required
      assert.deepStrictEqual([required("received_at"), required("run_id"), required("sequence")], [true, false, false])
    }))

  it.effect("say of a run that was killed without a journal that nobody knows its end, and when its last row came", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startSampleline([...RECORD, "--no-journal", "--batch-size", "1", "--simulate", "1"], {
        cwd
      })
      yield* fileGrowsBeyond(`${cwd}/a.jsonl`, 10_000)
      running.process.kill("SIGKILL")
      yield* running.exit
      const lastRows = [
        rowsOf(`${cwd}/a.csv`).at(-1)!["received_at"],
        linesOf(fs.readFileSync(`${cwd}/a.jsonl`, "utf8")).at(-1)!["received_at"],
        "2026-01-01T00:00:00.000000Z"
      ]
      // A database may have several recorders. A run in it is taken for killed a minute after its last row.
      queryDb(`${cwd}/a.db`, `UPDATE samples SET received_at = '${String(lastRows[2])}'`)
      yield* record(cwd, "--simulate", "1", "--append")

      const inDb = queryDb(`${cwd}/a.db`, "SELECT * FROM samples_events ORDER BY rowid") as unknown as Array<EventRow>
      const all = [eventsOf(`${cwd}/a.csv`), eventsOf(`${cwd}/a.jsonl`), inDb].map((events) =>
        events.filter(({ event }) => event === "RunStarted" || event === "RunEnded")
      )
      assert.deepStrictEqual(
        all.map((events) => events.map(({ reason }) => reason)),
        Array.from(all, () => [null, "unknown", null, "completed"])
      )
      assert.deepStrictEqual(all.map(([, killed]) => killed!.until_at), lastRows)
      for (const [start, killed] of all) {
        assert.deepStrictEqual([killed!.run_id, killed!.since_at], [start!.run_id, start!.at])
      }
      const runs = queryDb(`${cwd}/a.db`, "SELECT ended_by FROM samples_runs ORDER BY started_at")
      assert.deepStrictEqual(runs, [{ ended_by: "unknown" }, { ended_by: "completed" }])
    }))
})

/** Records until the CSV file has some rows, and kills the recorder. */
const killRecording = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const before = fs.existsSync(`${cwd}/a.csv`) ? fs.statSync(`${cwd}/a.csv`).size : 0
  const running = yield* startSampleline(
    [..."record --simulate 2 --rate 100 --flush-interval 50ms --row-ids".split(" "), ...args],
    { cwd }
  )
  yield* fileGrowsBeyond(`${cwd}/a.csv`, before + 10_000)
  running.process.kill("SIGKILL")
  yield* running.exit
})

/** A short recording after it. */
const recordAgain = (cwd: string, ...args: ReadonlyArray<string>) =>
  sampleline([..."record --simulate 1 --rate 50 --duration 200ms --row-ids --json".split(" "), ...args], { cwd })

const outs = (...names: ReadonlyArray<string>) => names.flatMap((name) => ["--out", name])

/** The sequences of each run in an output, the runs in the order in which they began. */
const runsOf = (rows: ReadonlyArray<{ readonly [column: string]: unknown }>) => {
  const runs = new Map<string, Array<number>>()
  for (const row of rows) {
    const run = String(row["run_id"])
    runs.set(run, [...runs.get(run) ?? [], Number(row["sequence"])])
  }
  return [...runs].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, sequences]) => sequences)
}

const inCsv = (path: string) => runsOf(rowsOf(path))
const inJsonl = (path: string) => runsOf(linesOf(fs.readFileSync(path, "utf8")))
const inDb = (path: string) => runsOf(queryDb(path, "SELECT run_id, sequence FROM samples ORDER BY rowid"))
const ROW_IDS = [{ name: "run_id", type: "text", nullable: false }, {
  name: "sequence",
  type: "int",
  nullable: false
}] as const
const inParquet = (path: string) => Effect.map(readWithDuckDb(`'${path}'`, ROW_IDS), runsOf)

/** As someone might who looks at a file. */
const removeRow = (csv: string) =>
  fs.writeFileSync(csv, fs.readFileSync(csv, "utf8").split("\n").toSpliced(2, 1).join("\n"))

const countUp = (length: number) => Array.from({ length }, (_, n) => n)

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("the run after a kill -9", (it) => {
  it.effect("first finishes every output of the one before, and says so; what is told is where the samples are", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const out = outs(...OUTPUTS, "a.parquet")
      yield* killRecording(cwd, ...out)
      const { code, stderr, stdout } = yield* recordAgain(cwd, "--append", ...out)
      assert.strictEqual(code, 0, stderr)
      assert.match(
        stderr,
        /INFO finishing a\.csv\.journal first, which a recording of 20\S+ \S+ UTC has left: /
      )
      assert.match(
        stderr,
        /INFO a\.csv\.journal is finished: a\.csv got [\d,]+ samples and events, a\.jsonl got .*, a\.parquet got [\d,]+ samples and events\n/
      )
      const summary: JsonSummary = JSON.parse(stdout)
      const [before, after] = inCsv(`${cwd}/a.csv`)
      assert.deepStrictEqual([before, after], [countUp(before!.length), countUp(summary.samplesEmitted)])
      assert.deepStrictEqual(inJsonl(`${cwd}/a.jsonl`), [before, after])
      assert.deepStrictEqual(inDb(`${cwd}/a.db`), [before, after])
      assert.deepStrictEqual(yield* inParquet(`${cwd}/a.parquet`), [before])
      assert.deepStrictEqual(yield* inParquet(`${cwd}/a-2.parquet`), [after])
      assert.deepStrictEqual(fs.readdirSync(cwd).filter((name) => /journal|partial/.test(name)), [])

      assert.strictEqual(summary.sinks.at(-1)?.target, "a-2.parquet")
      assert.match(stderr, /recorded \d+ samples in \d+ ticks to a\.csv, a\.jsonl, a\.db, a-2\.parquet\n/)
      const ends = eventsOf(`${cwd}/a.csv`).filter(({ event }) => event === "RunEnded")
      assert.deepStrictEqual(ends.map(({ reason }) => reason), ["unknown", "completed"])
      const { outputs }: Json = JSON.parse(JSON.stringify(ends[1]!.data))
      assert.strictEqual(outputs.at(-1).target, "a-2.parquet")
    }))

  it.effect.each(
    [
      outs("b.jsonl", "a.csv"),
      [...outs("a.csv", "b.jsonl"), "--no-journal"],
      [...outs("a.csv", "b.jsonl"), "--journal", "b.journal"]
    ]
  )("finishes the outputs that the journal names, whichever are given now: %j", (args) =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      yield* killRecording(cwd, ...outs("a.csv", "a.db"))
      const { code, stderr } = yield* recordAgain(cwd, "--append", ...args)
      assert.strictEqual(code, 0, stderr)
      const [before, after] = inCsv(`${cwd}/a.csv`)
      assert.deepStrictEqual(before, countUp(before!.length))
      assert.deepStrictEqual(inDb(`${cwd}/a.db`), [before])
      assert.deepStrictEqual(inJsonl(`${cwd}/b.jsonl`), [after])
      assert.deepStrictEqual(fs.readdirSync(cwd).filter((name) => name.endsWith("journal")), [])
    }))

  it.effect("records although an output cannot be finished; the journal stays, and what was set right is finished elsewhere", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      yield* killRecording(cwd, ...outs("a.csv", "a.db"))
      fs.mkdirSync(`${cwd}/right`)
      for (const name of ["a.csv", "a.csv-events.jsonl"]) fs.copyFileSync(`${cwd}/${name}`, `${cwd}/right/${name}`)
      removeRow(`${cwd}/a.csv`)
      for (const before of [1, 2]) {
        const { code, stderr, stdout } = yield* recordAgain(cwd, "--append", ...outs("a.csv", "a.db"))
        assert.strictEqual(code, 0, stderr)
        assert.match(
          stderr,
          /WARN a\.csv\.journal stays, and this recording begins without it: a\.csv lacks [\d,]+ samples and events; finish it by `sampleline resume a\.csv\.journal`, or by the next start\n/
        )
        assert.strictEqual(inDb(`${cwd}/a.db`).length, before + 1)
        assert.deepStrictEqual(inCsv(`${cwd}/a.csv`).at(-1), countUp(JSON.parse(stdout).samplesEmitted))
        assert.deepStrictEqual(fs.readdirSync(cwd).filter((name) => name.endsWith("journal")), ["a.csv.journal"])
      }
      const [killed] = inDb(`${cwd}/a.db`)
      for (const name of ["a.csv.journal", "a.db"]) fs.renameSync(`${cwd}/${name}`, `${cwd}/right/${name}`)
      const { code, stderr } = yield* sampleline(["resume", "right/a.csv.journal"], { cwd })
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(inCsv(`${cwd}/right/a.csv`), [killed])
    }))

  it.effect.runIf(canMountDisk)(
    "does not begin while the disk of the journal is full: its rows would come before those that are missing",
    () =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        yield* killRecording(cwd, ...outs("a.csv"))
        fs.mkdirSync(`${cwd}/disk`)
        const { code, stderr, stdout } = yield* run("unshare", [
          "-rm",
          "sh",
          "-c",
          "mount -t tmpfs -o size=2m tmpfs disk && cp -r a.csv* disk && cd disk && "
          + "{ head -c 2m /dev/zero > fill 2> /dev/null; before=$(cksum a.csv); XDG_STATE_HOME=$PWD/../state \"$@\"; code=$?; "
          + "[ \"$before\" = \"$(cksum a.csv)\" ] || echo changed; exit $code; }",
          "sh",
          process.execPath,
          BIN,
          ..."record --simulate 1 --duration 200ms --append --row-ids".split(" "),
          ...outs("a.csv")
        ], { cwd })
        assert.notInclude(stdout, "changed")
        assert.strictEqual(code, 1)
        assert.match(
          stderr,
          /^sampleline: journal a\.csv\.journal: the disk is full.* Samples of an earlier recording come before/m
        )
      })
  )

  it.effect("has the next name for its journal, which is finished in its turn", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      yield* killRecording(cwd, ...outs("a.csv", "a.db"))
      removeRow(`${cwd}/a.csv`)
      const edited = inCsv(`${cwd}/a.csv`)
      yield* killRecording(cwd, "--append", ...outs("a.csv", "a.db"))
      const journals = () => fs.readdirSync(cwd).filter((name) => name.endsWith("journal"))
      assert.deepStrictEqual(journals(), ["a.csv-2.journal", "a.csv.journal"])
      const refused = yield* recordAgain(cwd, "--overwrite", ...outs("a.csv", "a.db"))
      assert.include(refused.stderr, "sampleline: a.csv.journal is the journal of a recording")
      const { code, stderr } = yield* recordAgain(cwd, "--append", ...outs("a.csv", "a.db"))
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(journals(), ["a.csv.journal"])
      const [killed, ...others] = inDb(`${cwd}/a.db`)
      assert.deepStrictEqual(killed, countUp(killed!.length))
      assert.deepStrictEqual(inCsv(`${cwd}/a.csv`), [...edited, ...others])
      assert.deepStrictEqual(others.map((sequences) => sequences), others.map(({ length }) => countUp(length)))
    }))

  it.effect("is not held up by a journal that was being made", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const lefts = { "--overwrite": ["owner", "journal.db"], "--append": [], "--append --quiet": ["owner"] }
      for (const [flags, files] of Object.entries(lefts)) {
        fs.mkdirSync(`${cwd}/a.csv.journal`)
        for (const file of files) fs.writeFileSync(`${cwd}/a.csv.journal/${file}`, "")
        const { code, stderr } = yield* recordAgain(cwd, ...flags.split(" "), ...outs("a.csv"))
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(fs.readdirSync(cwd).filter((name) => name.endsWith("journal")), [])
      }
    }))
})
