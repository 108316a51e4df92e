import { assert, it } from "@effect/vitest"
import { DeviceError, PollSource, Progress, Recorder } from "@sampleline/core"
import { Alarms, LiveTable } from "@sampleline/view"
import { Clock, Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { statusOf } from "../src/runStatus.ts"
import { statusLines } from "../src/statusText.ts"

/** Answers once, and then fails. */
const source = PollSource.layer({
  devices: ["fuel", "a\u001b[2J"],
  poll: (device) =>
    device === "fuel" && polls++ > 0
      ? Effect.fail(
        new DeviceError({ device, reason: "Timeout", detail: "no reply from postgres://me:s3cret@host/lab" })
      )
      : Effect.succeed({ Mass_Flow: 1.5, Ratio: Number.NaN, Gas: "N\u0007" })
})
let polls = 0

it.effect("a status tells the last reading of each device, also of one that fails, and is harmless on a terminal", () =>
  Effect.gen(function*() {
    const progress = new Progress()
    const table = yield* LiveTable.make()
    const alarms = new Alarms.RaisedAlarms()
    progress.start(0, () => [])
    const parts = { progress, table, alarms, outputs: [], isEnding: false }
    const lines = (now: number) =>
      statusLines({
        state: "live",
        journal: "run.csv.journal",
        address: { version: 1, pid: 1, host: "rig", socket: "" },
        bytes: 1_500_000,
        status: statusOf({ ...parts, now: now * 1000 })
      })
    assert.deepStrictEqual(lines(0).slice(1), [
      "  waiting for the first tick",
      "  0 samples in 0 ticks; 0 late ticks; 0 failures",
      "  journal: 1.5 MB"
    ])

    yield* Effect.raceFirst(
      Recorder.record({ rateHz: 100, duration: "30 millis" }).pipe(
        LiveTable.observe(table),
        Stream.runForEach((tick) => Effect.sync(() => progress.observe([tick]))),
        Effect.provide(source)
      ),
      Effect.andThen(TestClock.adjust("30 millis"), Effect.never)
    )
    yield* TestClock.adjust("2400 millis")
    const now = yield* Clock.currentTimeMillis
    const [fuel] = statusOf({ ...parts, now: now * 1000 }).devices
    assert.deepInclude(fuel, { name: "fuel", state: "failing", ageSeconds: 2.42, failures: 2 })
    assert.deepStrictEqual(fuel!.values, [
      { field: "Mass_Flow", value: 1.5, unit: null },
      { field: "Ratio", value: null, unit: null },
      { field: "Gas", value: "N\u0007", unit: null }
    ])
    const text = lines(now).join("\n")
    assert.include(
      text,
      "  fuel   failing  2.4 s ago, no reply from postgres://host/lab, Mass_Flow 1.5, Ratio -, Gas N\ufffd\n"
    )
    assert.include(text, "  a\ufffd[2J  ok       2.4 s ago, Mass_Flow 1.5")
    assert.notInclude(text, "\u001b")
  }))
