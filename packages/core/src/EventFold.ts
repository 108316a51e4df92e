/**
 * The events of a run, from its ticks. Without effects: the times are those of the ticks.
 *
 * For every device, samples, samples left out, failed polls, skipped slots and dropped ticks make all slots of the run.
 */
import type { AcquisitionSummary } from "./AcquisitionSummary.ts"
import { describeDevice } from "./DeviceDescription.ts"
import type { Note } from "./Notes.ts"
import { FIRST_INTERVAL, LONGEST_INTERVAL, type Moment, type Outage, Outages, QUIET } from "./Outages.ts"
import type { EndCause, RunEvent, SkipCause } from "./RunEvent.ts"
import type { DeviceFailure, Run, Sample, Tick } from "./Sample.ts"
import { VERSION } from "./version.ts"

export class EventFold {
  private run: Run | undefined
  /** How far the system clock has jumped in all, in microseconds. */
  private jumped = 0
  private lastTick: Tick | undefined
  private readonly outages = new Outages()
  private readonly skips = new Losses()
  private readonly drops = new Losses()
  /** Notes from before the first tick. */
  private readonly notes: Array<Note> = []

  /** The samples of a tick behind the events that it shows. */
  tick(tick: Tick): ReadonlyArray<Sample | RunEvent> {
    const { run } = this
    const isQuiet = run !== undefined &&
      tick.skipped + tick.dropped + tick.failures.length + tick.clockSteps.length === 0
      && this.outages.isEmpty && this.skips.isEmpty && this.drops.isEmpty
    const events = isQuiet ? NONE : this.eventsOf(tick)
    this.lastTick = tick
    return events.length === 0 ? tick.samples : [...events, ...tick.samples]
  }

  /** What is noted of the run beside its ticks. Before the first tick it waits for the run. */
  note(note: Note): ReadonlyArray<RunEvent> {
    if (this.run !== undefined) return [{ ...note.event, runId: this.run.id }]
    this.notes.push(note)
    return NONE
  }

  /** The last events. There are none if the run had no tick. */
  end(cause: EndCause, detail: string | null, summary: AcquisitionSummary): ReadonlyArray<RunEvent> {
    const { run } = this
    if (run === undefined) return NONE
    const now = this.momentOf(summary.finishedAt ?? this.lastDue(run).at)
    const outages = this.outages.open.map((outage) => this.outageEvent(run, outage, now))
    return [...this.lossEvents(run, now, true), ...outages, endEvent(run, now, cause, detail, summary)]
  }

  private eventsOf(tick: Tick): ReadonlyArray<RunEvent> {
    const { run } = tick
    const events: Array<RunEvent> = []
    if (this.run === undefined) {
      this.run = run
      events.push(startEvent(run, tick.samples), ...this.notes.flatMap((note) => this.note(note)))
    }
    const since = this.lastDue(run)
    for (const { jumpMicros } of tick.clockSteps) this.jumped += jumpMicros
    const now = this.momentOf(tick.at)
    const gap = {
      fromTick: (this.lastTick?.index ?? -1) + 1,
      toTick: tick.index,
      since,
      until: this.momentOf(dueAt(tick))
    }
    if (tick.skipped > 0) {
      this.skips.add({ ...gap, count: tick.skipped, by: new Map([[tick.skipCause ?? "machine", tick.skipped]]) })
    }
    if (tick.dropped > 0) this.drops.add({ ...gap, count: tick.dropped, by: tick.droppedFailures })
    events.push(...this.lossEvents(run, now, false))
    for (const { at, jumpMicros } of tick.clockSteps) {
      events.push({ _tag: "ClockStepped", runId: run.id, at, jumpMicros })
    }
    for (const failure of tick.failures) this.failed(run, failure, now, events)
    if (!this.outages.isEmpty) {
      for (const sample of tick.samples) this.answered(run, sample, events)
      for (const sample of tick.thinned) this.answered(run, sample, events)
    }
    return events
  }

  private failed(run: Run, failure: DeviceFailure, since: Moment, events: Array<RunEvent>): void {
    const { at, device, error: { detail, reason } } = failure
    const { failures, reasons } = this.outages.failed(failure, since)
    if (failures === 1) events.push({ _tag: "DeviceFailing", runId: run.id, at, device, reason, detail })
    if (reason === "DeviceChanged" && reasons.get(reason) === 1) {
      events.push({ _tag: "DeviceChanged", runId: run.id, at, device, detail })
    }
  }

  private answered(run: Run, { device, receivedAt, requestedAt }: Sample, events: Array<RunEvent>): void {
    const now = this.momentOf(receivedAt)
    const outage = this.outages.answered(device, this.momentOf(requestedAt), now)
    if (outage !== undefined) events.push(this.outageEvent(run, outage, now))
  }

  private outageEvent(run: Run, outage: Outage, now: Moment): RunEvent {
    const { answersSince, failures, first, readings, reasons, since } = outage
    return {
      _tag: readings > 0 ? "DeviceBack" : "DeviceLost",
      runId: run.id,
      at: now.at,
      device: first.device,
      reason: first.error.reason,
      detail: first.error.detail,
      ...stretch(since, readings > 0 ? answersSince : now),
      failures,
      reasons: Object.fromEntries(reasons)
    }
  }

  private lossEvents(run: Run, { at, steady }: Moment, isLast: boolean): ReadonlyArray<RunEvent> {
    const events: Array<RunEvent> = []
    const skipped = this.skips.take(steady, isLast)
    if (skipped !== undefined) {
      const { by, count, fromTick, since, toTick, until } = skipped
      events.push({
        _tag: "SlotsSkipped",
        runId: run.id,
        at,
        count,
        fromTick,
        toTick,
        ...stretch(since, until),
        cause: mostFrequent(by),
        causes: Object.fromEntries(by)
      })
    }
    const dropped = this.drops.take(steady, isLast)
    if (dropped !== undefined) {
      const { by, count, since, until } = dropped
      events.push({
        _tag: "TicksDropped",
        runId: run.id,
        at,
        count,
        ...stretch(since, until),
        failures: Object.fromEntries(by)
      })
    }
    return events
  }

  /** When the last tick was due; the run's start before the first one. */
  private lastDue({ startedAt }: Run): Moment {
    return this.momentOf(this.lastTick === undefined ? startedAt : dueAt(this.lastTick))
  }

  /** The steps that a tick tells came before its times. */
  private momentOf(at: number): Moment {
    return { at, steady: at - this.jumped }
  }
}

const NONE: ReadonlyArray<never> = []

/** The slot of a tick, which may have begun late. */
const dueAt = ({ at, driftMs }: Tick): number => at - Math.round(driftMs * 1000)

const stretch = (since: Moment, until: Moment) => ({
  since: since.at,
  until: until.at,
  lastedMicros: until.steady - since.steady
})

/** Slots without samples. */
interface Loss {
  readonly count: number
  readonly by: ReadonlyMap<string, number>
  readonly fromTick: number
  readonly toTick: number
  readonly since: Moment
  readonly until: Moment
}

/** Losses of one kind that were not told yet. The first is told at once, later ones together. */
class Losses {
  private pending: Loss | undefined
  /** These times are steady. */
  private lastAt = Number.NEGATIVE_INFINITY
  private interval = 0
  private nextAt = Number.NEGATIVE_INFINITY

  get isEmpty(): boolean {
    return this.pending === undefined
  }

  add(loss: Loss): void {
    if (loss.until.steady - this.lastAt > QUIET) {
      this.interval = FIRST_INTERVAL
      this.nextAt = Number.NEGATIVE_INFINITY
    }
    this.lastAt = loss.until.steady
    this.pending = this.pending === undefined ? loss : {
      ...loss,
      fromTick: this.pending.fromTick,
      since: this.pending.since,
      count: this.pending.count + loss.count,
      by: sumOf(this.pending.by, loss.by)
    }
  }

  take(at: number, isLast: boolean): Loss | undefined {
    if (this.pending === undefined || (at < this.nextAt && !isLast)) return undefined
    const { pending } = this
    this.pending = undefined
    this.nextAt = at + this.interval
    this.interval = Math.min(LONGEST_INTERVAL, 2 * this.interval)
    return pending
  }
}

const sumOf = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): ReadonlyMap<string, number> => {
  const sum = new Map(a)
  for (const [key, count] of b) sum.set(key, (sum.get(key) ?? 0) + count)
  return sum
}

const mostFrequent = (causes: ReadonlyMap<string, number>): SkipCause =>
  [...causes].reduce((most, cause) => cause[1] > most[1] ? cause : most)[0] as SkipCause

/**
 * The beginning of a run. A device whose columns were not known before may have shown them in its first reading.
 */
export const startEvent = (
  { devices, host, id, metadata, rateHz, startedAt }: Run,
  samples: ReadonlyArray<Sample>
): RunEvent => ({
  _tag: "RunStarted",
  runId: id,
  at: startedAt,
  rateHz: rateHz ?? null,
  host: host ?? null,
  version: VERSION,
  metadata: metadata ?? {},
  devices: devices.map((device) =>
    describeDevice({
      ...device,
      format: device.format ?? samples.find((sample) => sample.device === device.name)?.frame.format ?? null
    })
  )
})

const endEvent = (
  run: Run,
  { at, steady }: Moment,
  cause: EndCause,
  detail: string | null,
  summary: AcquisitionSummary
): RunEvent => ({
  _tag: "RunEnded",
  runId: run.id,
  at,
  cause,
  detail,
  startedAt: run.startedAt,
  lastedMicros: steady - run.startedAt,
  ticks: summary.ticks,
  samples: summary.samplesEmitted,
  thinned: summary.thinned,
  ticksSkipped: summary.ticksSkipped,
  ticksDropped: summary.ticksDropped,
  maxDriftMs: summary.maxDriftMs,
  failures: summary.failures,
  fieldFailures: summary.fieldFailures,
  outputs: summary.sinks.map(({ columnsDropped, error, rows, sink, target }) => ({
    sink,
    target,
    rows,
    columnsDropped,
    error: error?.message ?? null
  }))
})
