/**
 * What a run did. The same value shows its progress and, at the end, its result.
 */
import type { Sample, Tick } from "./Sample.ts"
import type { ClockStep } from "./SampleClock.ts"
import type { SinkReport } from "./SampleSink.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface AcquisitionSummary {
  /** Null until the first tick. */
  readonly runId: string | null
  /** Microseconds since the epoch. */
  readonly startedAt: number
  /** Microseconds since the epoch; null while the run goes on. */
  readonly finishedAt: number | null
  /** Ticks delivered. */
  readonly ticks: number
  /** Samples handed to the sink. `sinks` has what each sink accepted. */
  readonly samplesEmitted: number
  /** Samples that `Recorder.every` and `Recorder.filterSamples` left out. */
  readonly thinned: number
  /** Ticks without samples: `ticksSkipped + ticksDropped`. */
  readonly samplesLate: number
  /** Slots in which nothing was polled: a poll took too long, or the buffer was full. */
  readonly ticksSkipped: number
  /** Polled ticks that the overflow policy dropped. */
  readonly ticksDropped: number
  /** How late the latest tick began after its target, in milliseconds. */
  readonly maxDriftMs: number
  /** Failed polls by device. Every device of the run is listed. */
  readonly failures: { readonly [device: string]: number }
  /** Devices that were not the same as before, and what was found: their failures with the reason `DeviceChanged`. */
  readonly changedDevices: { readonly [device: string]: string }
  /** Fields that made no sense and are null, by device and field. Their readings count as samples. Only what failed is listed. */
  readonly fieldFailures: { readonly [device: string]: { readonly [field: string]: number } }
  /** Devices of the run that gave no sample. */
  readonly silentDevices: ReadonlyArray<string>
  /** Jumps of the system clock. */
  readonly clockSteps: ReadonlyArray<ClockStep>
  readonly sinks: ReadonlyArray<SinkReport>
}

/**
 * Builds the summary. Give one to `pipeToSink` to read it while the run goes on, or after the run failed.
 *
 * @since 0.1.0
 * @category models
 */
export class Progress {
  private runId: string | null = null
  private startedAt = 0
  private finishedAt: number | null = null
  private ticks = 0
  private emitted = 0
  private thinned = 0
  private skipped = 0
  private dropped = 0
  private maxDriftMs = 0
  private readonly failures = new Map<string, number>()
  private readonly changedDevices = new Map<string, string>()
  private readonly fieldFailures = new Map<string, Map<string, number>>()
  private readonly silent = new Set<string>()
  private readonly clockSteps: Array<ClockStep> = []
  private report: () => ReadonlyArray<SinkReport> = () => []

  /** The summary as of now. */
  get current(): AcquisitionSummary {
    return {
      runId: this.runId,
      startedAt: this.startedAt,
      finishedAt: this.finishedAt,
      ticks: this.ticks,
      samplesEmitted: this.emitted,
      thinned: this.thinned,
      samplesLate: this.skipped + this.dropped,
      ticksSkipped: this.skipped,
      ticksDropped: this.dropped,
      maxDriftMs: this.maxDriftMs,
      failures: Object.fromEntries(this.failures),
      changedDevices: Object.fromEntries(this.changedDevices),
      fieldFailures: Object.fromEntries(
        [...this.fieldFailures].map(([device, fields]) => [device, Object.fromEntries(fields)])
      ),
      silentDevices: [...this.silent],
      clockSteps: [...this.clockSteps],
      sinks: this.report()
    }
  }

  /** `pipeToSink` calls this, `observe` and `finish`. */
  start(at: number, report: () => ReadonlyArray<SinkReport>): void {
    this.runId = null
    this.startedAt = at
    this.finishedAt = null
    this.ticks = 0
    this.emitted = 0
    this.thinned = 0
    this.skipped = 0
    this.dropped = 0
    this.maxDriftMs = 0
    this.failures.clear()
    this.changedDevices.clear()
    this.fieldFailures.clear()
    this.silent.clear()
    this.clockSteps.length = 0
    this.report = fromNowOn(report)
  }

  /** The first call counts. */
  finish(at: number): void {
    this.finishedAt ??= at
  }

  observe(ticks: ReadonlyArray<Tick>): void {
    for (const tick of ticks) this.observeTick(tick)
  }

  private observeTick(tick: Tick): void {
    if (this.runId === null) {
      this.runId = tick.run.id
      this.startedAt = tick.run.startedAt
      for (const device of tick.run.devices) {
        this.failures.set(device.name, 0)
        this.silent.add(device.name)
      }
    }
    this.skipped += tick.skipped
    this.dropped += tick.dropped
    if (tick.clockSteps.length > 0) this.clockSteps.push(...tick.clockSteps)
    if (tick.droppedFailures.size > 0) {
      for (const [device, failures] of tick.droppedFailures) this.addFailures(device, failures)
    }
    if (tick.isTrailer) return
    this.ticks++
    this.emitted += tick.samples.length
    this.thinned += tick.thinned.length
    if (this.silent.size > 0) {
      for (const { device } of tick.samples) this.silent.delete(device)
      for (const { device } of tick.thinned) this.silent.delete(device)
    }
    for (const sample of tick.samples) if (sample.frame.fieldFailures !== undefined) this.addFieldFailures(sample)
    if (tick.driftMs > this.maxDriftMs) this.maxDriftMs = tick.driftMs
    for (const { device, error } of tick.failures) {
      this.addFailures(device, 1)
      if (error.reason === "DeviceChanged") this.changedDevices.set(device, error.detail)
    }
  }

  private addFieldFailures({ device, frame: { fieldFailures = [] } }: Sample): void {
    const fields = this.fieldFailures.get(device) ?? new Map<string, number>()
    for (const { field } of fieldFailures) fields.set(field, (fields.get(field) ?? 0) + 1)
    this.fieldFailures.set(device, fields)
  }

  private addFailures(device: string, count: number): void {
    this.failures.set(device, (this.failures.get(device) ?? 0) + count)
  }
}

/** What sinks do from now on. They may have written another run before. */
const fromNowOn = (report: () => ReadonlyArray<SinkReport>) => {
  const before = report()
  if (before.every(({ columnsDropped, rows }) => rows === 0 && Object.keys(columnsDropped).length === 0)) return report
  return () =>
    report().map((now, at): SinkReport => ({
      ...now,
      rows: now.rows - (before[at]?.rows ?? 0),
      columnsDropped: Object.fromEntries(
        Object.entries(now.columnsDropped)
          .map(([column, values]) => [column, values - (before[at]?.columnsDropped[column] ?? 0)] as const)
          .filter(([, values]) => values > 0)
      )
    }))
}
