import { assert, it } from "@effect/vitest"
import { DeviceError, FrameFormat, type FrameRecord, type Run, Sample, type Tick } from "@sampleline/core"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { LiveTable } from "../src/index.ts"

const format = FrameFormat.fromRecord({ Gas: "N2", Flow: 0, Temp: 0 }, { units: { Flow: "SCCM" } })
const run: Run = {
  id: "run",
  startedAt: 0,
  rateHz: 10,
  devices: ["fuel", "air"].map((name) => ({ name, unitId: "A", identity: null, format }))
}

interface Heard {
  readonly [device: string]: FrameRecord | DeviceError["reason"]
}

/** What is heard at this time of the test's clock. */
const tickAt = (seconds: number, heard: Heard, changes: Partial<Tick> = {}): Tick => {
  const at = seconds * 1_000_000
  return {
    run,
    index: Math.round(seconds * 10),
    at,
    driftMs: 0,
    skipped: 0,
    skipCause: null,
    dropped: 0,
    droppedFailures: new Map(),
    clockSteps: [],
    thinned: [],
    isTrailer: false,
    samples: Object.entries(heard).flatMap(([device, values]) =>
      typeof values === "string" ? [] : [
        new Sample({
          run,
          device,
          unitId: "A",
          sequence: 0,
          requestedAt: at,
          receivedAt: at,
          requestedMonotonicNanos: at * 1000,
          receivedMonotonicNanos: at * 1000,
          frame: format.frame(values)
        })
      ]
    ),
    failures: Object.entries(heard).flatMap(([device, reason]) =>
      typeof reason !== "string" ? [] : [{ device, at, error: new DeviceError({ device, reason, detail: "" }) }]
    ),
    ...changes
  }
}

const good = { Gas: "N2", Flow: 1, Temp: 20 }

/** The table after these ticks, each observed at its time, and then so many seconds later. */
const after = (ticks: ReadonlyArray<Tick>, seconds = 0, options: LiveTable.LiveTableOptions = {}) =>
  Effect.gen(function*() {
    const table = yield* LiveTable.make(options)
    const passed = yield* Stream.fromIterable(ticks).pipe(
      Stream.tap((tick) => TestClock.setTime(tick.at / 1000)),
      LiveTable.observe(table),
      Stream.runCollect
    )
    assert.deepStrictEqual(passed, ticks)
    yield* TestClock.adjust(seconds * 1000)
    return yield* LiveTable.snapshot(table)
  })

it.effect("shows the last values of each device in the order of the run, with units and age", () =>
  Effect.gen(function*() {
    const { devices, ...rest } = yield* after(
      [
        tickAt(0, { air: { ...good, Flow: 1.25 }, fuel: good }),
        tickAt(0.1, { air: { ...good, Flow: 1.5 }, fuel: good })
      ],
      2,
      { durationSeconds: 60 }
    )
    assert.deepStrictEqual(devices.map(({ ageSeconds, name, state }) => [name, state, ageSeconds]), [
      ["fuel", "ok", 2],
      ["air", "ok", 2]
    ])
    assert.deepStrictEqual(devices[1]!.fields, [
      { name: "Gas", unit: null, value: "N2", decimals: 0 },
      { name: "Flow", unit: "SCCM", value: 1.5, decimals: 1 },
      { name: "Temp", unit: null, value: 20, decimals: 0 }
    ])
    assert.deepStrictEqual(rest, {
      elapsedSeconds: 2.1,
      durationSeconds: 60,
      rateHz: 10,
      rateReached: 10,
      samples: 4,
      lateTicks: 0,
      failures: 0
    })
  }))

const ok = tickAt(0, { fuel: good })
const failing = [ok, tickAt(1, { fuel: "Timeout" }), tickAt(2, { fuel: "Malformed" })]

it.effect.each<readonly [string, ReadonlyArray<Tick>, seconds: number, state: ReadonlyArray<unknown>]>([
  ["has not been heard of", [tickAt(0, {})], 0, ["waiting", null, null]],
  ["replies", [ok], 0, ["ok", null, null]],
  ["fails, why and since when", failing, 1, ["failing", "Malformed", 2]],
  ["is back", [...failing, tickAt(3, { fuel: good })], 0, ["ok", null, null]],
  ["has changed", [ok, tickAt(1, { fuel: "DeviceChanged" })], 0, ["changed", "DeviceChanged", 0]],
  ["is silent", [ok], 4, ["silent", null, 4]],
  ["is heard every ten seconds, so twenty are not silence", [ok, tickAt(10, { fuel: good })], 20, ["ok", null, null]]
])("tells which device %s", ([, ticks, seconds, state]) =>
  Effect.gen(function*() {
    const { devices: [fuel] } = yield* after(ticks, seconds)
    assert.deepStrictEqual([fuel!.state, fuel!.error?.reason ?? null, fuel!.sinceSeconds], state)
  }))

it.effect("counts late ticks, failures and samples, those left out too; a trailer has only counts", () =>
  Effect.gen(function*() {
    const left = tickAt(0.3, { fuel: good }).samples
    const table = yield* after([
      tickAt(0, { fuel: good, air: "Timeout" }),
      tickAt(0.3, {}, { skipped: 2, dropped: 1, thinned: left }),
      tickAt(0.4, {}, { skipped: 4, isTrailer: true })
    ])
    assert.deepStrictEqual([table.samples, table.lateTicks, table.failures], [2, 7, 1])
    assert.strictEqual(table.devices[0]!.ageSeconds, 0.1)
  }))

const fiveSeconds = Array.from(
  { length: 51 },
  (_, n) => tickAt(n / 10, n > 10 && n < 30 ? { fuel: "Timeout" } : { fuel: { ...good, Temp: n } })
)

it.effect.each<readonly [string, string | undefined, ReadonlyArray<Tick>, string, ReadonlyArray<number | null>]>([
  ["a value a second, and a gap where none came", "Temp", fiveSeconds, "Temp", [0, 10, null, 30, 40, 50]],
  ["those of the first number, if no field is given", undefined, fiveSeconds, "Flow", [1, 1, null, 1, 1, 1]],
  [
    "a minute, with the gaps of ticks that did not come",
    undefined,
    [0, 1, 61, 62].map((seconds) => tickAt(seconds, { fuel: good })),
    "Flow",
    [...Array.from({ length: 58 }, () => null), 1, 1]
  ]
])("keeps for the trend %s", ([, trendField, ticks, field, trend]) =>
  Effect.gen(function*() {
    const { devices: [fuel] } = yield* after(ticks, 0, { trendField })
    assert.deepStrictEqual([fuel!.trendField, fuel!.trend], [field, trend])
  }))

it.effect.each([[0, 10], [10, 5]])(
  "measures the rate over the last ten seconds; %i s later it is %i",
  ([seconds, rate]) =>
    Effect.gen(function*() {
      const { rateReached } = yield* after([
        ...Array.from({ length: 100 }, (_, n) => tickAt(n / 5, { fuel: good })),
        ...Array.from({ length: 201 }, (_, n) => tickAt(20 + n / 10, { fuel: good }))
      ], seconds)
      assert.strictEqual(rateReached, rate)
    })
)

it.effect("keeps its times when the system clock jumps", () =>
  Effect.gen(function*() {
    const hour = 3_600_000_000
    const jump = { at: hour + 2_000_000, jumpMicros: hour }
    const { devices, elapsedSeconds } = yield* after([
      tickAt(0, { fuel: "Timeout" }),
      tickAt(1, { fuel: "Timeout" }),
      tickAt(3602, { fuel: "Timeout" }, { clockSteps: [jump] })
    ])
    assert.deepStrictEqual([devices[0]!.sinceSeconds, elapsedSeconds], [2, 2])
    assert.strictEqual(devices[0]!.trend.length, 3)
  }))

it.effect("begins anew with another run", () =>
  Effect.gen(function*() {
    const next: Run = { ...run, id: "next", devices: run.devices.slice(1) }
    const table = yield* after([tickAt(0, { fuel: good }), tickAt(1, {}, { run: next })])
    assert.deepStrictEqual([table.devices.map(({ name }) => name), table.samples], [["air"], 0])
  }))
