/**
 * One run with gaps, a mark, an alarm and an end into five outputs: all tell the same of it.
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

const ALARM = {
  alarm: "fuel.\"Mass, 'Flow'\" < 90 °C",
  device: "fuel",
  target: null,
  field: "Mass, 'Flow'",
  value: 84.25,
  unit: "°C",
  threshold: 90,
  since: 1_772_366_400_000_001
}

const noted = Effect.all([
  Recorder.mark(MARK),
  Recorder.note({ _tag: "AlarmRaised", at: ALARM.since, ...ALARM, count: 3 }),
  Recorder.note({
    _tag: "AlarmCleared",
    at: ALARM.since + 9,
    ...ALARM,
    until: ALARM.since + 5,
    lastedMicros: 5,
    count: 0
  })
])

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
        const note = device === "fuel" && n === 1 ? noted : Effect.void
        return Effect.delay(Effect.as(note, { Mass_Flow: n / 4 }), n === 5 ? "60 millis" : 0)
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
        "AlarmRaised",
        "AlarmCleared",
        "DeviceFailing",
        "DeviceLost",
        "RunEnded"
      ])
      assert.strictEqual(events.find(({ event }) => event === "Marker")?.detail, MARK)
      const { alarm: detail, device, field, target, threshold, unit, value } = ALARM
      const alarm = {
        run_id: events[0]!.run_id,
        device,
        reason: null,
        detail,
        since_at: null,
        until_at: null,
        duration_s: null
      }
      const data = { target, field, value, unit, threshold, since_at: "2026-03-01T12:00:00.000001Z" }
      assert.deepStrictEqual<unknown>(events.filter(({ event }) => event.startsWith("Alarm")), [
        {
          ...alarm,
          event: "AlarmRaised",
          at: "2026-03-01T12:00:00.000001Z",
          count: 3,
          data
        },
        {
          ...alarm,
          event: "AlarmCleared",
          at: "2026-03-01T12:00:00.000010Z",
          count: 0,
          data: { ...data, until_at: "2026-03-01T12:00:00.000006Z", duration_s: 0.000005 }
        }
      ])

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
