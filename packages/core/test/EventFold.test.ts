import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type AcquisitionSummary, Progress } from "../src/AcquisitionSummary.ts"
import { EventFold } from "../src/EventFold.ts"
import { FrameFormat } from "../src/Frame.ts"
import { Note } from "../src/Notes.ts"
import { RunEvent } from "../src/RunEvent.ts"
import { type Device, type Run, Sample, type Tick } from "../src/Sample.ts"
import { DeviceError } from "../src/SourceError.ts"

const format = FrameFormat.fromRecord({ Value: 0 })

const device = (name: string): Device => ({ name, unitId: "A", identity: null, format })

const START = 1_772_366_400_000_000

const runOf = (...names: ReadonlyArray<string>): Run => ({
  id: "run",
  startedAt: START,
  devices: names.map(device),
  rateHz: 10,
  metadata: { operator: "Ada" }
})

const sampleAt = (run: Run, name: string, at: number) =>
  new Sample({
    run,
    device: name,
    unitId: "A",
    sequence: 0,
    requestedAt: at,
    receivedAt: at + 1000,
    requestedMonotonicNanos: 0,
    receivedMonotonicNanos: 1e6,
    frame: format.frame({ Value: 1 })
  })

/** What one device did in a slot. */
type Outcome = "ok" | "fail" | "thin"

interface Slot {
  readonly outcomes: { readonly [device: string]: Outcome }
  readonly skipped?: number
  readonly dropped?: number
}

/** Ticks of 100 ms. Skipped and dropped slots come before the slot that tells of them. */
const ticksOf = (run: Run, slots: ReadonlyArray<Slot>): ReadonlyArray<Tick> => {
  let index = -1
  return slots.map(({ dropped = 0, outcomes, skipped = 0 }) => {
    index += 1 + skipped + dropped
    const at = START + index * 100_000
    const those = (outcome: Outcome) => Object.keys(outcomes).filter((name) => outcomes[name] === outcome)
    return {
      run,
      index,
      at,
      driftMs: 0,
      skipped,
      skipCause: skipped > 0 ? "bus" : null,
      dropped,
      droppedFailures: new Map(),
      clockSteps: [],
      samples: those("ok").map((name) => sampleAt(run, name, at)),
      thinned: those("thin").map((name) => sampleAt(run, name, at)),
      failures: those("fail").map((name) => ({
        device: name,
        error: new DeviceError({ device: name, reason: "Timeout", detail: "no reply" }),
        at
      })),
      isTrailer: false
    }
  })
}

const summaryOf = (ticks: ReadonlyArray<Tick>): AcquisitionSummary => {
  const progress = new Progress()
  progress.start(START, () => [])
  progress.observe(ticks)
  progress.finish((ticks.at(-1)?.at ?? START) + 100_000)
  return progress.current
}

const foldAll = (ticks: ReadonlyArray<Tick>) => {
  const fold = new EventFold()
  const items = [...ticks.flatMap((tick) => fold.tick(tick)), ...fold.end("completed", null, summaryOf(ticks))]
  return {
    samples: items.filter((item) => item instanceof Sample),
    events: items.filter((item): item is RunEvent => !(item instanceof Sample))
  }
}

const tagsOf = (events: ReadonlyArray<RunEvent>) => events.map(({ _tag }) => _tag)

const times = (count: number, slot: Slot): ReadonlyArray<Slot> => Array.from({ length: count }, () => slot)

const ok: Slot = { outcomes: { fuel: "ok" } }
const fail: Slot = { outcomes: { fuel: "fail" } }

describe("the events of a run", () => {
  const run = runOf("fuel")
  const eventsOf = (slots: ReadonlyArray<Slot>) => foldAll(ticksOf(run, slots)).events

  it("are its start and its end if nothing happens", () => {
    const events = eventsOf(times(20, ok))
    assert.deepStrictEqual(tagsOf(events), ["RunStarted", "RunEnded"])
    assert.deepInclude(events[0], { rateHz: 10, at: START, host: null, metadata: { operator: "Ada" } })
    assert.deepInclude(events[1], { cause: "completed", samples: 20, ticks: 20 })
  })

  it("have the columns of a device that showed them in its first reading", () => {
    const unknown: Run = { ...run, devices: [{ ...device("fuel"), format: null }] }
    const [start] = foldAll(ticksOf(unknown, [ok])).events
    assert.deepInclude(start, { _tag: "RunStarted" })
    assert.deepStrictEqual(start?._tag === "RunStarted" && start.devices[0]?.fields.map(({ name }) => name), ["Value"])
  })

  it("are one pair for failures that follow each other, with their count", () => {
    const events = eventsOf([...times(5, ok), ...times(3, fail), ...times(4, ok), fail, ...times(20, ok)])
    assert.deepStrictEqual(tagsOf(events), ["RunStarted", "DeviceFailing", "DeviceBack", "RunEnded"])
    assert.deepInclude(events[1], { device: "fuel", reason: "Timeout", detail: "no reply", at: START + 500_000 })
    assert.deepInclude(events[2], {
      failures: 4,
      reasons: { Timeout: 4 },
      since: START + 500_000,
      until: START + 1_300_000
    })
  })

  it("tell once that a device has changed", () => {
    const changed = ticksOf(run, [ok, fail, fail, fail]).map((tick): Tick => ({
      ...tick,
      failures: tick.failures.map((failure) => ({
        ...failure,
        error: new DeviceError({ device: "fuel", reason: "DeviceChanged", detail: "Mass_Flow was in SCCM, is in SLPM" })
      }))
    }))
    const { events } = foldAll(changed)
    assert.deepStrictEqual(tagsOf(events), ["RunStarted", "DeviceFailing", "DeviceChanged", "DeviceLost", "RunEnded"])
    assert.deepInclude(events[2], { device: "fuel", detail: "Mass_Flow was in SCCM, is in SLPM" })
  })

  it("say that a device was back at the end, or was not", () => {
    const back = eventsOf([ok, fail, fail, ok])
    assert.deepStrictEqual(tagsOf(back), ["RunStarted", "DeviceFailing", "DeviceBack", "RunEnded"])
    const lost = eventsOf([ok, fail, fail])
    assert.deepStrictEqual(tagsOf(lost), ["RunStarted", "DeviceFailing", "DeviceLost", "RunEnded"])
    assert.deepInclude(lost[2], { failures: 2, since: START + 100_000, until: START + 300_000 })
  })

  it("tell how long a gap was, also if the system clock jumps in it", () => {
    const jump = 3_600_000_000
    const jumped = ticksOf(run, [ok, fail, { ...fail, skipped: 3 }, ok]).map((tick, n): Tick =>
      n < 2 ? tick : {
        ...tick,
        at: tick.at + jump,
        clockSteps: n === 2 ? [{ at: tick.at + jump, jumpMicros: jump }] : [],
        failures: tick.failures.map((failure) => ({ ...failure, at: failure.at + jump })),
        samples: tick.samples.map(({ requestedAt }) => sampleAt(run, "fuel", requestedAt + jump))
      }
    )
    const { events } = foldAll(jumped)
    const gaps = events.filter((event) => "lastedMicros" in event)
    assert.deepStrictEqual(gaps.map(({ _tag, lastedMicros }) => [_tag, lastedMicros]), [
      ["SlotsSkipped", 400_000],
      ["DeviceBack", 500_000],
      ["RunEnded", 700_000]
    ])
    assert.deepInclude(gaps[0], { since: START + 100_000, until: START + 500_000 + jump })
    assert.deepInclude(gaps[1], { since: START + 100_000, until: START + 600_000 + jump })
  })

  it("take a device for back as soon if the system clock jumps", () => {
    const hour = 3_600_000_000
    const jumped = ticksOf(run, [ok, fail, ...times(12, ok)]).map((tick, n): Tick =>
      n < 3 ? tick : {
        ...tick,
        at: tick.at - hour,
        clockSteps: n === 3 ? [{ at: tick.at - hour, jumpMicros: -hour }] : [],
        samples: tick.samples.map(({ requestedAt }) => sampleAt(run, "fuel", requestedAt - hour))
      }
    )
    const fold = new EventFold()
    const told = jumped.map((tick) =>
      fold.tick(tick).find((item) => !(item instanceof Sample) && item._tag === "DeviceBack")
    )
    assert.strictEqual(told.findIndex((event) => event !== undefined), 11)
  })

  it("are few if a device fails now and then", () => {
    const hour = Array.from({ length: 36_000 }, (_, n) => n % 12 === 0 ? fail : ok)
    assert.isBelow(eventsOf(hour).length, 30)
  })

  it("tell the first skipped slots at once, and later ones together", () => {
    const events = eventsOf([ok, { ...ok, skipped: 2 }, ok, { ...ok, skipped: 1 }, ok, { ...ok, skipped: 3 }])
    assert.deepStrictEqual(tagsOf(events), ["RunStarted", "SlotsSkipped", "SlotsSkipped", "RunEnded"])
    assert.deepInclude(events[1], {
      count: 2,
      cause: "bus",
      fromTick: 1,
      toTick: 3,
      since: START,
      until: START + 300_000
    })
    assert.deepInclude(events[2], { count: 4, causes: { bus: 4 }, fromTick: 5 })
  })

  it("have the times at which skipped slots were due, also if the ticks beside them were late", () => {
    const late = ticksOf(run, [ok, ok, { ...ok, skipped: 4 }]).map((tick, n): Tick =>
      n === 0 ? tick : { ...tick, at: tick.at + 450_000 / n, driftMs: 450 / n }
    )
    const { events } = foldAll(late)
    assert.deepInclude(events[1], {
      _tag: "SlotsSkipped",
      count: 4,
      since: START + 100_000,
      until: START + 600_000,
      lastedMicros: 500_000
    })
  })

  it("have a device fail from the beginning of the first poll that failed", () => {
    const slow = ticksOf(run, [ok, fail, ok]).map((tick): Tick => ({
      ...tick,
      failures: tick.failures.map((failure) => ({ ...failure, at: failure.at + 90_000 }))
    }))
    const { events } = foldAll(slow)
    assert.deepInclude(events[1], { _tag: "DeviceFailing", at: START + 190_000 })
    assert.deepInclude(events[2], { _tag: "DeviceBack", since: START + 100_000, lastedMicros: 100_000 })
  })

  it("have the notes of before the first tick behind the start", () => {
    const fold = new EventFold()
    assert.deepStrictEqual(fold.note(new Note({ _tag: "Marker", at: START - 5, text: "early" })), [])
    const items = fold.tick(ticksOf(run, [ok])[0]!)
    assert.deepStrictEqual(items.slice(0, 2).map((item) => item instanceof Sample ? "Sample" : item._tag), [
      "RunStarted",
      "Marker"
    ])
    assert.deepStrictEqual(fold.note(new Note({ _tag: "Marker", at: START + 5, text: "later" })), [
      { _tag: "Marker", runId: "run", at: START + 5, text: "later" }
    ])
  })

  it("are few in an hour at 100 Hz with a device that fails on every tick and one on every second", () => {
    const names = Array.from({ length: 10 }, (_, n) => `device${n}`)
    const ten = runOf(...names)
    const slot = (n: number): Slot => ({
      outcomes: Object.fromEntries(
        names.map((name, at) => [name, at === 0 || (at === 1 && n % 2 === 0) ? "fail" : "ok"])
      ),
      ...(n % 7 === 0 ? { skipped: 1 } : {})
    })
    // The slots repeat.
    const ticks = Array.from({ length: 14 }, (_, n) => ticksOf(ten, [slot(n)])[0]!)
    const fold = new EventFold()
    let events = 0
    for (let n = 0; n < 360_000; n++) {
      const tick = ticks[n % ticks.length]!
      const items = fold.tick({ ...tick, index: n, at: START + n * 10_000 })
      events += items.length - tick.samples.length
    }
    assert.isAbove(events, 1)
    assert.isBelow(events, 100)
  })
})

describe("the accounts of a run", () => {
  const names = ["a", "b", "c"]
  const outcomeOf = (die: number): Outcome => die < 6 ? "ok" : die < 9 ? "fail" : "thin"
  const lossOf = (die: number): number => Math.max(0, die - 90) * 20
  const dice = (sides: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: sides - 1 }))
  const slot = Schema.Struct({
    outcomes: Schema.Tuple([dice(10), dice(10), dice(10)]),
    skipped: dice(100),
    dropped: dice(100)
  })

  it.effect.prop("explain every slot of every device, and agree with the summary", {
    slots: Schema.Array(slot).check(Schema.isMaxLength(300))
  }, ({ slots }) =>
    Effect.gen(function*() {
      const run = runOf(...names)
      const ticks = ticksOf(
        run,
        slots.map(({ dropped, outcomes, skipped }) => ({
          outcomes: Object.fromEntries(names.map((name, at) => [name, outcomeOf(outcomes[at]!)])),
          skipped: lossOf(skipped),
          dropped: lossOf(dropped)
        }))
      )
      const { events, samples } = foldAll(ticks)
      const summary = summaryOf(ticks)
      const sum = (counts: ReadonlyArray<number>) => counts.reduce((total, count) => total + count, 0)
      const skipped = sum(events.map((event) => event._tag === "SlotsSkipped" ? event.count : 0))
      const dropped = sum(events.map((event) => event._tag === "TicksDropped" ? event.count : 0))
      assert.deepStrictEqual([skipped, dropped], [summary.ticksSkipped, summary.ticksDropped])
      const slotsOfRun = ticks.length + skipped + dropped
      for (const name of names) {
        const failures = sum(events.map((event) =>
          (event._tag === "DeviceBack" || event._tag === "DeviceLost") && event.device === name ? event.failures! : 0
        ))
        assert.strictEqual(failures, summary.failures[name] ?? 0)
        const recorded = samples.filter(({ device }) =>
          device === name
        ).length
        const thinned = sum(ticks.map((tick) => tick.thinned.filter(({ device }) => device === name).length))
        assert.strictEqual(recorded + thinned + failures + skipped + dropped, slotsOfRun)
      }
      const pairs = events.filter(({ _tag }) => _tag === "DeviceFailing").length
      assert.strictEqual(events.filter(({ _tag }) => _tag === "DeviceBack" || _tag === "DeviceLost").length, pairs)
      for (const event of events) assert.deepStrictEqual(yield* Schema.decodeEffect(RunEvent)(event), event)
    }))

  it("are empty for a run without ticks", () => {
    assert.deepStrictEqual(new EventFold().end("failed", "no such port", summaryOf([])), [])
  })
})
