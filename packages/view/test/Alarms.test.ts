import { assert, describe, it } from "@effect/vitest"
import {
  FrameFormat,
  type FrameValue,
  makeFrame,
  MemorySink,
  pipeToSink,
  type Run,
  RunEvent,
  Sample,
  type Tick
} from "@sampleline/core"
import { Clock, Duration, Effect, Exit, Fiber, Logger, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type AlarmChange, type AlarmOptions, RaisedAlarms, run as watch } from "../src/Alarms.ts"

const format = FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM" }, { name: "Pressure", unit: "PSIA" }])
const devices = ["fuel", "air"].map((name) => ({ name, unitId: "A", identity: null, format }))
const run: Run = { id: "run", startedAt: 0, devices }

/** What devices read in one tick: the flow, or a whole frame. */
interface Slot {
  readonly [device: string]: FrameValue | {
    readonly status?: ReadonlyArray<string>
    readonly format?: FrameFormat
  }
}

/** A tick each second, that much later than the start. */
const tickOf = (slot: Slot, index: number): Tick => ({
  run,
  index,
  at: index * 1_000_000,
  driftMs: 0,
  skipped: 0,
  skipCause: null,
  dropped: 0,
  droppedFailures: new Map(),
  clockSteps: [],
  thinned: [],
  failures: [],
  isTrailer: false,
  samples: Object.entries(slot).map(([device, reading]) => {
    const other = typeof reading === "object" && reading !== null ? reading : {}
    return new Sample({
      run,
      device,
      unitId: "A",
      sequence: index,
      requestedAt: index * 1_000_000,
      receivedAt: index * 1_000_000,
      requestedMonotonicNanos: index * 1e9,
      receivedMonotonicNanos: index * 1e9,
      frame: makeFrame(
        other.format ?? format,
        [typeof reading === "object" ? null : reading, 14.7],
        other.status
      )
    })
  })
})

const flows = (...values: ReadonlyArray<FrameValue>): ReadonlyArray<Slot> => values.map((fuel) => ({ fuel }))

/** Watches ticks, one each second, and gives what was told. */
const watched = Effect.fnUntraced(function*(
  alarms: string | ReadonlyArray<string>,
  slots: ReadonlyArray<Slot>,
  options: Partial<AlarmOptions> = {}
) {
  const changes: Array<AlarmChange> = []
  const raised = new RaisedAlarms()
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push(`${logLevel} ${[message].flat().join(" ")}`)
  })
  const ticks = slots.map(tickOf)
  const stream = Stream.fromIterable(ticks).pipe(
    Stream.rechunk(1),
    Stream.mapEffect((tick) => Effect.delay(Effect.succeed(tick), "1 second")),
    watch({
      alarms: [alarms].flat(),
      devices,
      onChange: (change) =>
        Effect.sync(() => {
          changes.push(change)
          raised.take(change)
        }),
      ...options
    })
  )
  const { events } = yield* MemorySink
  const seen: Array<Tick> = []
  const fiber = yield* stream.pipe(
    Stream.tap((tick) => Effect.sync(() => seen.push(tick))),
    pipeToSink(),
    Effect.provide(Logger.layer([logger])),
    Effect.forkChild
  )
  // The first second is that in front of the first tick.
  yield* TestClock.adjust(Duration.seconds(slots.length + 1))
  yield* Fiber.join(fiber)
  assert.deepStrictEqual(seen, ticks, "the ticks pass unchanged")
  const places = ({ alarm, device, target }: AlarmChange) => [alarm, device, target].join()
  const last = [...Map.groupBy(changes, places).values()].map((changes) => changes.at(-1)!)
  assert.sameMembers([...raised.all], last.filter(({ state }) => state === "raised"))
  const told = events.filter((event) => event._tag === "AlarmRaised" || event._tag === "AlarmCleared")
  assert.deepStrictEqual(
    told.map(({ _tag, count }) => [_tag, count]),
    changes.map(({ count, state }) => [state === "raised" ? "AlarmRaised" : "AlarmCleared", count])
  )
  for (const event of told) yield* Schema.decodeUnknownEffect(RunEvent)(JSON.parse(JSON.stringify(event)))
  return {
    changes,
    events,
    lines: lines.filter((line) => line.includes("alarm")),
    /** `raised fuel at 5`, in seconds. */
    brief: changes.map(({ at, device, state, target }) => `${state} ${device ?? target} at ${at / 1e6}`)
  }
}, Effect.provide(MemorySink.layer))

describe("an alarm of a value", () => {
  it.effect("is raised and cleared at once", () =>
    Effect.gen(function*() {
      const { changes, events, lines } = yield* watched("fuel.Mass_Flow < 90", flows(100, 89, 80, 90, 100))
      assert.deepStrictEqual(lines, [
        "Warn alarm fuel.Mass_Flow < 90: fuel.Mass_Flow is 89 SCCM",
        "Info alarm fuel.Mass_Flow < 90 cleared after 2s: fuel.Mass_Flow is 90 SCCM"
      ])
      const common = {
        alarm: "fuel.Mass_Flow < 90",
        device: "fuel",
        target: null,
        field: "Mass_Flow",
        unit: "SCCM",
        threshold: 90,
        runId: "run",
        since: 1_000_000
      }
      assert.deepStrictEqual(changes.map(({ message: _message, ...change }) => change), [
        { ...common, state: "raised", at: 1_000_000, value: 89, until: null, lastedMicros: null, count: 1 },
        { ...common, state: "cleared", at: 3_000_000, value: 90, until: 3_000_000, lastedMicros: 2_000_000, count: 0 }
      ])
      assert.deepStrictEqual(events.filter((event) => event._tag.startsWith("Alarm")), [
        { _tag: "AlarmRaised", ...common, at: 1_000_000, value: 89, count: 1 },
        {
          _tag: "AlarmCleared",
          ...common,
          at: 3_000_000,
          value: 90,
          until: 3_000_000,
          lastedMicros: 2_000_000,
          count: 0
        }
      ])
    }))

  it.effect.each<[string, ReadonlyArray<FrameValue>, ReadonlyArray<string>]>([
    // for: it must hold as long to be raised as to be cleared.
    ["fuel.Mass_Flow < 90 for 2s", [1, 100, 1, 1, 100, 1, 1, 1, 1], ["raised fuel at 7"]],
    ["fuel.Mass_Flow < 90 for 2s", [1, 1, 1, 100, 1, 100, 100, 100, 1], ["raised fuel at 2", "cleared fuel at 7"]],
    // clear: another threshold, which needs no time.
    ["fuel.Mass_Flow < 90 clear 95", [89, 94, 89, 94.9, 95, 94], ["raised fuel at 0", "cleared fuel at 4"]],
    ["fuel.Mass_Flow > 90 for 1s clear 85", [91, 91, 86, 85, 91], ["raised fuel at 1", "cleared fuel at 3"]],
    ["fuel.Mass_Flow >= 90", [89, 90, Infinity, 89], ["raised fuel at 1", "cleared fuel at 3"]],
    ["fuel.Mass_Flow == 0", [1, -0, 1], ["raised fuel at 1", "cleared fuel at 2"]],
    ["fuel.Mass_Flow != 0", [0, 1, 0], ["raised fuel at 1", "cleared fuel at 2"]],
    // A missing value neither raises nor clears, and does not begin the time anew.
    ["fuel.Mass_Flow != 5", [null, undefined, Number.NaN, "text"], []],
    ["fuel.Mass_Flow < 90", [1, null, undefined, Number.NaN, null], ["raised fuel at 0"]],
    ["fuel.Mass_Flow < 90 for 3s", [1, null, null, null, null, 1, 1], ["raised fuel at 5"]],
    ["fuel.Mass_Flow < 90 for 1s", [1, 1, 100, null, null, 100], ["raised fuel at 1", "cleared fuel at 5"]]
  ])("%s, with the values %j", ([alarm, values, expected]) =>
    Effect.gen(function*() {
      const { brief } = yield* watched(alarm, flows(...values))
      assert.deepStrictEqual(brief, expected)
    }))

  it.effect("is one for each device that has the field, and of a status code too", () =>
    Effect.gen(function*() {
      const { brief } = yield* watched(["*.Mass_Flow < 90", "*.status has mov"], [
        { fuel: 100, air: 1 },
        { fuel: 1, air: { status: ["HLD", "MOV"] } },
        { fuel: 100, air: 100 }
      ])
      assert.deepStrictEqual(brief, [
        "raised air at 0",
        "raised fuel at 1",
        "raised air at 1",
        "cleared fuel at 2",
        "cleared air at 2",
        "cleared air at 2"
      ])
    }))

  it.effect("does not compare numbers in another unit, and says so once", () =>
    Effect.gen(function*() {
      const other = FrameFormat.make([{ name: "Mass_Flow", unit: "SLPM" }])
      const { changes, lines } = yield* watched("fuel.Mass_Flow < 90 SCCM", [
        { fuel: 100 },
        { fuel: { format: other } },
        { fuel: 100 },
        { fuel: { format: other } }
      ])
      assert.deepStrictEqual(changes, [])
      assert.deepStrictEqual(lines, [
        "Warn alarm fuel.Mass_Flow < 90 SCCM does not watch fuel: expected SLPM, the unit of Mass_Flow"
      ])
    }))

  it.effect("that does not fit is refused before the first tick", () =>
    Effect.gen(function*() {
      let asked = 0
      const ticks = Stream.fromEffect(Effect.sync(() => tickOf({ fuel: 1 }, asked++)))
      for (const alarm of ["fule.Mass_Flow < 90", "fuel.Mass_Flow <", "disk < 1GB", "output is behind 1min"]) {
        const exit = yield* Effect.exit(Stream.runDrain(watch({ alarms: [alarm], devices })(ticks)))
        assert.isTrue(Exit.isFailure(exit), alarm)
      }
      assert.strictEqual(asked, 0)
    }))
})

describe("an alarm of what no tick tells", () => {
  it.effect("is raised for a device that is silent, also from the start", () =>
    Effect.gen(function*() {
      const silence: ReadonlyArray<Slot> = Array.from({ length: 6 }, () => ({ fuel: 1 }))
      const { brief, lines } = yield* watched("* is silent for 5s", [
        { fuel: 1, air: 1 },
        ...silence,
        { fuel: 1, air: 1 },
        { fuel: 1 }
      ], { devices: [...devices, { name: "water", format: null }] })
      assert.deepStrictEqual(brief, ["raised water at 5", "raised air at 6", "cleared air at 7"])
      assert.match(
        lines[0]!,
        /^Warn alarm \* is silent for 5s: water has given no reading since 1970-01-01 00:00:00 UTC$/
      )
    }))

  it.effect("is raised for a device that never gave a tick", () =>
    Effect.gen(function*() {
      const changes: Array<AlarmChange> = []
      const onChange = (change: AlarmChange) => Effect.sync(() => changes.push(change))
      const silent = watch({ alarms: ["fuel is silent for 5s"], devices, onChange })(Stream.never)
      yield* Effect.forkChild(Stream.runDrain(silent))
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(changes.map(({ at, device, runId }) => [at, device, runId]), [[5_000_000, "fuel", null]])
    }))

  it.effect("is raised for an output that is behind, by samples or by time", () =>
    Effect.gen(function*() {
      let second = 0
      const outputs = Effect.sync(() => {
        const n = second++
        // Ten a second come; from the fifth to the twelfth second nothing is written, and then all of it.
        const written = n < 5 || n >= 13 ? n * 10 - 5 : 45
        return [{ name: "run.csv", written: n * 10, behind: 0 }, { name: "run.db", written, behind: n * 10 - written }]
      })
      const { changes } = yield* watched(
        ["output is behind 5s", "run.db is behind 40", "run.csv is behind 1"],
        flows(...Array.from({ length: 16 }, () => 1)),
        { outputs }
      )
      assert.deepStrictEqual(
        changes.map(({ alarm, at, state, target, value }) => [alarm, state, target, value, at / 1e6]),
        [
          ["run.db is behind 40", "raised", "run.db", 45, 10],
          ["output is behind 5s", "raised", "run.db", 5, 11],
          ["output is behind 5s", "cleared", "run.db", 0, 14],
          ["run.db is behind 40", "cleared", "run.db", 5, 14]
        ]
      )
    }))

  it.effect("is not raised because the recorder itself stood still", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let stood = 0n
      // Timers count only the time in which the process runs.
      const standing: Clock.Clock = Object.create(clock, {
        monotonicTimeNanosUnsafe: { value: () => clock.monotonicTimeNanosUnsafe() + stood }
      })
      yield* Effect.sync(() => stood = 20_000_000_000n).pipe(Effect.delay("4500 millis"), Effect.forkChild)
      const outputs = Effect.sync(() => [{ name: "run.db", written: 10, behind: 10 }])
      const silence: ReadonlyArray<Slot> = Array.from({ length: 8 }, () => ({ fuel: 1 }))
      const { brief } = yield* watched(
        ["* is silent for 5s", "output is behind 7s"],
        [{ fuel: 1, air: 1 }, { fuel: 1, air: 1 }, ...silence],
        { outputs }
      ).pipe(Effect.provideService(Clock.Clock, standing))
      assert.deepStrictEqual(brief, ["raised air at 7", "raised run.db at 8"])
    }))

  it.effect("is raised for a disk, and a disk that never answers holds up nothing", () =>
    Effect.gen(function*() {
      let free = 4e9
      const disks = Effect.sync(() => [{ name: "/data", freeBytes: free -= 1e9 }])
      const { brief, lines } = yield* watched("disk < 1GB", flows(1, 1, 1, 1, 1), { disks })
      assert.deepStrictEqual(brief, ["raised /data at 4"])
      assert.deepStrictEqual(lines, ["Warn alarm disk < 1GB: /data has room for 0.000 GB"])

      const stuck = yield* watched(["disk < 1GB", "air is silent for 2s"], flows(1, 1, 1), { disks: Effect.never })
      assert.deepStrictEqual(stuck.brief, ["raised air at 8"])
    }))
})

describe("an alarm that flaps", () => {
  it.effect("a thousand times is told a few times, and how often it was raised", () =>
    Effect.gen(function*() {
      const values = Array.from({ length: 2000 }, (_, n) => n % 2 === 0 ? 1 : 100)
      const { brief, changes, lines } = yield* watched("fuel.Mass_Flow < 90", flows(...values, 1))
      assert.isBelow(changes.length, 60)
      assert.strictEqual(lines.length, changes.length)
      assert.strictEqual(changes.reduce((sum, { count }) => sum + count, 0), 1001)
      assert.deepStrictEqual(brief.slice(0, 6), [
        "raised fuel at 0",
        "cleared fuel at 1",
        "raised fuel at 2",
        "cleared fuel at 3",
        "raised fuel at 4",
        "cleared fuel at 5"
      ])
      assert.match(lines[6]!, /^Warn alarm fuel\.Mass_Flow < 90.*; it was raised \d\d times in the last 5\ds$/)
      // What was told last is how it is.
      assert.strictEqual(changes.at(-1)!.state, "raised")
    }))

  it.effect("within one moment is bounded too, and with `for` or `clear` it is not raised at all", () =>
    Effect.gen(function*() {
      const values = Array.from({ length: 200 }, (_, n) => n % 2 === 0 ? 89 : 91)
      const once = yield* watched("fuel.Mass_Flow < 90 clear 95", flows(...values))
      assert.deepStrictEqual(once.brief, ["raised fuel at 0"])
      const never = yield* watched("fuel.Mass_Flow < 90 for 2s", flows(...values))
      assert.deepStrictEqual(never.brief, [])

      const changes: Array<AlarmChange> = []
      const ticks = Stream.fromIterable(values.map((fuel, at) => tickOf({ fuel }, at)))
      yield* ticks.pipe(
        watch({
          alarms: ["fuel.Mass_Flow < 90"],
          devices,
          onChange: (change) => Effect.sync(() => changes.push(change))
        }),
        Stream.runDrain
      )
      assert.deepStrictEqual(changes.map(({ count }) => count), [1, 0, 1, 0, 1, 0, 97])
      assert.strictEqual(changes.at(-1)!.state, "cleared")
    }))

  it.effect("is told at once again after it was quiet", () =>
    Effect.gen(function*() {
      const flapping = Array.from({ length: 20 }, (_, n) => n % 2 === 0 ? 1 : 100)
      const quiet = Array.from({ length: 300 }, () => 100)
      const { brief } = yield* watched("fuel.Mass_Flow < 90", flows(...flapping, ...quiet, 1))
      assert.deepStrictEqual(brief.slice(6), ["cleared fuel at 19", "raised fuel at 320"])
    }))
})
