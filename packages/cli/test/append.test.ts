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
import { sampleline, startSampleline, startSimulator, tempFolder } from "./process.ts"
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
      assert.deepStrictEqual(said(second.warnings).map((line) => line.split(" ")[3]), ["CsvSink", "JsonlSink"])
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
