/**
 * One run with gaps, a mark and an end into five outputs: all tell the same of it.
 */
import { assert, it } from "@effect/vitest"
import { DeviceError, pipeToSink, PollSource, Recorder, SampleSink } from "@sampleline/core"
import { Effect } from "effect"
import { CsvSink } from "../src/CsvSink.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { ParquetSink } from "../src/ParquetSink.ts"
import { PostgresSink } from "../src/PostgresSink.ts"
import { SqliteSink } from "../src/SqliteSink.ts"
import { eventsBeside, eventsInParquet, eventsInPostgres, eventsInSqlite } from "./events.ts"
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
      const events = eventsBeside(csv)
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

      assert.deepStrictEqual(eventsBeside(at("run.jsonl")), events)
      assert.deepStrictEqual<unknown>(eventsInSqlite(at("run.db")), events)
      assert.deepStrictEqual(yield* eventsInParquet(at("run.parquet")), events)
      assert.deepStrictEqual<unknown>(yield* eventsInPostgres(rows), events)
    }))
})
