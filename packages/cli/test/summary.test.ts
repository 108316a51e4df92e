import { assert, it } from "@effect/vitest"
import { type AcquisitionSummary, Progress, SinkWriteError } from "@sampleline/core"
import { progressParts, summaryJson, summaryText } from "../src/summary.ts"

const START = 1_772_366_400_000_000

const SUMMARY: AcquisitionSummary = {
  ...new Progress().current,
  startedAt: START,
  finishedAt: START + 3_725_000_000,
  ticks: 37_250,
  samplesEmitted: 74_489,
  samplesLate: 5,
  ticksSkipped: 3,
  ticksDropped: 2,
  maxDriftMs: 12.34,
  failures: { fuel: 11, air: 0 },
  fieldFailures: { fuel: { Flow_Temp: 1200, Gas: 1 } },
  changedDevices: { fuel: "another device is on /dev/ttyUSB0 now" },
  clockSteps: [{ at: START, jumpMicros: 250 }],
  sinks: [
    { sink: "CsvSink", target: "run.csv", rows: 74_489, columnsDropped: {}, error: null },
    {
      sink: "SqliteSink",
      target: "run.db",
      rows: 64,
      columnsDropped: { Humidity: 3, Gas_2: 1 },
      error: new SinkWriteError({
        sink: "SqliteSink",
        target: "run.db",
        samples: 64,
        reason: "DiskFull",
        detail: "the disk is full"
      })
    }
  ]
}

it("the summary for people has a line for each output, for lateness, failures and clock jumps", () => {
  assert.deepStrictEqual(summaryText(SUMMARY).split("\n"), [
    "recorded 74,489 samples in 37,250 ticks, 1:02:05",
    "  run.csv: 74,489 rows",
    "  run.db: 64 rows; values dropped: Humidity 3, Gas_2 1; failed: the disk is full",
    "  late ticks: 5 (3 skipped, 2 dropped); largest drift: 12.3 ms",
    "  failures: fuel 11",
    "  failures of single fields: fuel Flow_Temp 1,200, fuel Gas 1",
    "  fuel: another device is on /dev/ttyUSB0 now",
    "  the system clock jumped once; see the warnings above"
  ])
})

it("the summary for people says that nothing failed", () => {
  const text = summaryText({ ...SUMMARY, failures: { fuel: 0 }, changedDevices: {}, fieldFailures: {}, clockSteps: [] })
  assert.isTrue(text.endsWith("\n  failures: none"))
})

it("the progress has the sum of all failures", () => {
  assert.deepStrictEqual(progressParts(SUMMARY, 12.04), ["12.0 s", "74,489 samples", "5 late ticks", "11 failures"])
})

it("the summary for programs is one line of JSON with times and errors as text", () => {
  const text = summaryJson(SUMMARY)
  assert.notInclude(text, "\n")
  const { finishedAt, sinks, startedAt } = JSON.parse(text)
  assert.deepStrictEqual([startedAt, finishedAt], ["2026-03-01T12:00:00.000000Z", "2026-03-01T13:02:05.000000Z"])
  assert.isNull(sinks[0].error)
  assert.include(sinks[1].error, "the disk is full")
})
