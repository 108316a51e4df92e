/**
 * One run with gaps, a mark and an end into five outputs: all tell the same of it.
 */
import { assert, it } from "@effect/vitest"
import {
  DeviceError,
  type EventRow,
  formatTimestamp,
  pipeToSink,
  PollSource,
  Recorder,
  SampleSink
} from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { CsvSink } from "../src/CsvSink.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { ParquetSink } from "../src/ParquetSink.ts"
import { PostgresSink } from "../src/PostgresSink.ts"
import { SqliteSink } from "../src/SqliteSink.ts"
import { queryDuckDb } from "./duckdb.ts"
import { PostgresServer, prepared } from "./postgres.ts"
import { query } from "./sqlite.ts"
import { tempFile } from "./tempFile.ts"

const MARK = "valve \"A\"\nopened"

/** One device is silent for three polls, another from the seventh poll on. The fifth poll takes longer than two slots. */
const source = () => {
  let polls = 0
  return PollSource.layer({
    devices: ["fuel", "air"],
    poll: (device) =>
      Effect.suspend(() => {
        const n = Math.floor(polls++ / 2)
        const isSilent = device === "fuel" ? n >= 2 && n < 5 : n >= 7
        if (isSilent) return Effect.fail(new DeviceError({ device, reason: "Timeout", detail: "no reply" }))
        const marked = device === "fuel" && n === 1 ? Recorder.mark(MARK) : Effect.void
        return Effect.delay(Effect.as(marked, { Mass_Flow: n / 4 }), n === 5 ? "60 millis" : 0)
      })
  })
}

const linesOf = (path: string): ReadonlyArray<EventRow> =>
  fs.readFileSync(path, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line))

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("runs and events", (it) => {
  it.effect("are the same in all outputs, and explain every slot", () =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared()
      const csv = yield* tempFile("run.csv")
      const at = (name: string) => csv.replace("run.csv", name)
      const run = Recorder.record({ rateHz: 50, duration: "400 millis", metadata: { operator: "Ada" } })
      const summary = yield* run.pipe(
        pipeToSink(),
        Effect.provide([
          SampleSink.layerAll([
            CsvSink.layer({ path: csv }),
            JsonlSink.layer({ path: at("run.jsonl") }),
            SqliteSink.layer({ path: at("run.db") }),
            ParquetSink.layer({ path: at("run.parquet") }),
            PostgresSink.layer({ ...options, createTable: true })
          ]),
          source()
        ])
      )
      const events = linesOf(`${csv}-events.jsonl`)
      assert.sameMembers(events.map(({ event }) => event), [
        "RunStarted",
        "DeviceFailing",
        "DeviceBack",
        "SlotsSkipped",
        "Marker",
        "DeviceFailing",
        "DeviceLost",
        "RunEnded"
      ])
      assert.strictEqual(events.find(({ event }) => event === "Marker")?.detail, MARK)

      // For each device, rows and explained holes make all slots.
      const count = (names: ReadonlyArray<string>, device: string | null = null) =>
        events.filter(({ device: of, event }) => names.includes(event) && of === device)
          .reduce((sum, { count }) => sum + count!, 0)
      const slots = summary.ticks + summary.samplesLate
      assert.strictEqual(count(["SlotsSkipped"]), summary.ticksSkipped)
      for (const device of ["fuel", "air"]) {
        const recorded = query(at("run.db"), `SELECT count(*) AS n FROM samples WHERE device = '${device}'`)[0]!["n"]
        assert.strictEqual(
          Number(recorded) + count(["DeviceBack", "DeviceLost"], device) + count(["SlotsSkipped"]),
          slots
        )
      }

      assert.deepStrictEqual(linesOf(at("run.jsonl-events.jsonl")), events)
      const inSqlite = query(at("run.db"), "SELECT * FROM samples_events ORDER BY rowid").map(({ data, ...row }) => ({
        ...row,
        data: data === null ? null : JSON.parse(String(data))
      }))
      assert.deepStrictEqual<unknown>(inSqlite, events)
      const [parquet] = yield* queryDuckDb(
        `SELECT decode(value) AS value FROM parquet_kv_metadata('${at("run.parquet")}') WHERE decode(key) = 'events'`
      )
      assert.deepStrictEqual(JSON.parse(String(parquet!["value"])), events)
      const time = (value: Date | null, micros: number | null) => value === null ? null : formatTimestamp(micros!)
      const inPostgres = yield* rows(
        `SELECT *, count::int AS count, extract(epoch from at) * 1000000 AS at_us,
          extract(epoch from since_at) * 1000000 AS since_us, extract(epoch from until_at) * 1000000 AS until_us
        FROM samples_events ORDER BY ctid`
      )
      assert.deepStrictEqual<unknown>(
        inPostgres.map(({ at_us, since_us, until_us, ...row }) => ({
          ...row,
          at: time(row["at"], Number(at_us)),
          since_at: time(row["since_at"], Number(since_us)),
          until_at: time(row["until_at"], Number(until_us))
        })),
        events
      )
    }))
})
