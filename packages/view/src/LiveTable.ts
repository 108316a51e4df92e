/**
 * What is known of the devices of a run, for a table that is looked at now and then: a fold over ticks.
 *
 * A tick costs a few references, whatever is in its samples: at 1,000 samples a second less than a thousandth of a core. Values are
 * read when somebody looks (`snapshot`), and once a second for the trend.
 *
 * Ticks have the time of the system clock. If that jumps, all times that are kept jump with it.
 */
import { type Device, type DeviceError, type FrameValue, type Sample, SampleClock, type Tick } from "@sampleline/core"
import { Effect, Stream } from "effect"

/**
 * @since 0.1.0
 * @category options
 */
export interface LiveTableOptions {
  /** The field whose trend is kept, e.g. `Mass_Flow`. Default, and for devices without it: their first number. */
  readonly trendField?: string | undefined
  /** How long the run will take, in seconds. Default: not known. */
  readonly durationSeconds?: number | undefined
}

/**
 * `waiting`: nothing was heard of it yet. `failing`: the last poll failed. `changed`: another device is in its place. `silent`: no
 * reading and no failure came for a while.
 *
 * @since 0.1.0
 * @category models
 */
export type DeviceState = "waiting" | "ok" | "failing" | "changed" | "silent"

/**
 * A value as it was read last.
 *
 * @since 0.1.0
 * @category models
 */
export interface FieldView {
  readonly name: string
  readonly unit: string | null
  readonly value: FrameValue
  /** Decimals that this field has shown. A number that keeps them does not jump about. */
  readonly decimals: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface DeviceView {
  readonly name: string
  readonly identity: Device["identity"]
  readonly state: DeviceState
  /** Why it fails; null if it does not. */
  readonly error: Pick<DeviceError, "reason" | "detail"> | null
  /** How long it has been failing or silent; null if it is not. */
  readonly sinceSeconds: number | null
  /** When the values came, in microseconds since the epoch, and how old they are; null if there is none. */
  readonly lastAt: number | null
  readonly ageSeconds: number | null
  /** Status codes of the last reading. */
  readonly status: ReadonlyArray<string>
  readonly fields: ReadonlyArray<FieldView>
  readonly trendField: string | null
  /** A value for each second or tick, whichever is longer, the latest last: at most 60. Null: no reading came. */
  readonly trend: ReadonlyArray<number | null>
}

/**
 * The table as of now.
 *
 * @since 0.1.0
 * @category models
 */
export interface TableSnapshot {
  /** In the order of the run. */
  readonly devices: ReadonlyArray<DeviceView>
  readonly elapsedSeconds: number
  /** Null: not known. */
  readonly durationSeconds: number | null
  /** Ticks per second that were asked for; null if devices push their readings. */
  readonly rateHz: number | null
  /** Ticks per second of the last ten seconds or ten ticks, whichever is longer; null before there are two. */
  readonly rateReached: number | null
  readonly samples: number
  /** Slots that were skipped, and ticks that were dropped. */
  readonly lateTicks: number
  /** Failed polls of all devices. */
  readonly failures: number
}

/** Points of a trend. */
const TREND_POINTS = 60
/** The rate is that of so many points of the trend. */
const RATE_POINTS = 10
const SECOND_MICROS = 1_000_000
/** A device is silent if nothing came for so many times as long as between its last two readings, and for so many seconds. */
const SILENT_TIMES = 3
const SILENT_SECONDS = 3
/** More digits are noise. */
const DIGITS = 6

interface DeviceRow {
  readonly device: Device
  sample: Sample | null
  /** The time between its last two readings. */
  gapNanos: number
  /** What failed; null if the last poll did not. */
  error: DeviceError | null
  /** When it began to fail, in microseconds since the epoch. */
  failingSince: number
  /** The sample that the trend has. */
  trendSample: Sample | null
  readonly trend: Array<number | null>
  /** By the position of the field, for the fields of the last sample. */
  decimals: Array<number>
}

/**
 * @since 0.1.0
 * @category models
 */
export class LiveTable {
  private readonly clock: SampleClock.SampleClock
  private readonly options: LiveTableOptions
  private rows = new Map<string, DeviceRow>()
  private runId: string | null = null
  private rateHz: number | null = null
  /** Microseconds since the epoch, these three. */
  private startedAt = 0
  private lastTickAt = 0
  private nextPointAt = 0
  private pointMicros = SECOND_MICROS
  /** How many ticks there were at the last points of the trend. */
  private points: Array<{ readonly at: number; readonly ticks: number }> = []
  private ticks = 0
  private samples = 0
  private lateTicks = 0
  private failures = 0

  /** Use `make`. */
  constructor(clock: SampleClock.SampleClock, options: LiveTableOptions) {
    this.clock = clock
    this.options = options
  }

  observe(tick: Tick): void {
    if (tick.run.id !== this.runId) this.begin(tick)
    for (const step of tick.clockSteps) this.jump(step.jumpMicros)
    this.lateTicks += tick.skipped + tick.dropped
    if (tick.isTrailer) return
    this.ticks++
    this.lastTickAt = tick.at
    this.keep(tick.samples)
    if (tick.thinned.length > 0) this.keep(tick.thinned)
    for (const { at, device, error } of tick.failures) {
      const row = this.rows.get(device)
      this.failures++
      if (row === undefined) continue
      if (row.error === null) row.failingSince = at
      row.error = error
    }
    if (tick.at >= this.nextPointAt) this.addPoint(tick.at)
  }

  private keep(samples: ReadonlyArray<Sample>): void {
    this.samples += samples.length
    for (const sample of samples) {
      const row = this.rows.get(sample.device)
      if (row === undefined) continue
      if (row.sample !== null) row.gapNanos = sample.receivedMonotonicNanos - row.sample.receivedMonotonicNanos
      row.sample = sample
      row.error = null
    }
  }

  private begin({ at, run }: Tick): void {
    this.rows = new Map(run.devices.map((device) => [device.name, {
      device,
      sample: null,
      gapNanos: 0,
      error: null,
      failingSince: 0,
      trendSample: null,
      trend: [],
      decimals: []
    }]))
    this.runId = run.id
    this.rateHz = run.rateHz ?? null
    this.startedAt = run.startedAt
    this.nextPointAt = at
    // Of pushed readings there is no rate.
    this.pointMicros = Math.max(SECOND_MICROS, this.rateHz === null ? 0 : SECOND_MICROS / this.rateHz)
    this.points = []
    this.ticks =
      this.samples =
      this.lateTicks =
      this.failures =
        0
  }

  /** The system clock has jumped. */
  private jump(micros: number): void {
    this.startedAt += micros
    this.nextPointAt += micros
    this.points = this.points.map(({ at, ticks }) => ({ at: at + micros, ticks }))
    for (const row of this.rows.values()) row.failingSince += micros
  }

  private addPoint(at: number): void {
    this.points.push({ at, ticks: this.ticks })
    if (this.points.length > RATE_POINTS + 1) this.points.shift()
    // A tick a little late must not move the points after it.
    const missed = Math.floor((at - this.nextPointAt) / this.pointMicros)
    this.nextPointAt += (missed + 1) * this.pointMicros
    for (const row of this.rows.values()) {
      for (let n = Math.min(missed, TREND_POINTS); n > 0; n--) row.trend.push(null)
      row.trend.push(row.sample === row.trendSample ? null : this.trendValue(row))
      row.trendSample = row.sample
      if (row.trend.length > TREND_POINTS) row.trend.splice(0, row.trend.length - TREND_POINTS)
    }
  }

  private trendValue({ device, sample }: DeviceRow): number | null {
    const value = sample?.value(this.trendFieldOf(device, sample) ?? "")
    return typeof value === "number" && Number.isFinite(value) ? value : null
  }

  private trendFieldOf({ format }: Device, sample: Sample | null): string | null {
    const { fields = [] } = sample?.frame.format ?? format ?? {}
    const numbers = fields.filter(({ kind }) => kind !== "text")
    return (numbers.find(({ name }) => name === this.options.trendField) ?? numbers[0])?.name ?? null
  }

  get snapshot(): TableSnapshot {
    const now = this.clock.epochMicros()
    return {
      devices: [...this.rows.values()].map((row) => this.deviceView(row, now)),
      elapsedSeconds: this.runId === null ? 0 : Math.max(0, now - this.startedAt) / SECOND_MICROS,
      durationSeconds: this.options.durationSeconds ?? null,
      rateHz: this.rateHz,
      rateReached: this.rateReached(now),
      samples: this.samples,
      lateTicks: this.lateTicks,
      failures: this.failures
    }
  }

  /** It falls when ticks fail to come. */
  private rateReached(now: number): number | null {
    const first = this.points[0]
    if (first === undefined || this.ticks === first.ticks) return null
    const until = now - this.lastTickAt > 2 * this.pointMicros ? now : this.lastTickAt
    return (this.ticks - first.ticks) / Math.max(1, until - first.at) * SECOND_MICROS
  }

  private deviceView(row: DeviceRow, now: number): DeviceView {
    const { device, error, sample, trend } = row
    const format = sample?.frame.format ?? device.format
    const ageSeconds = sample === null
      ? null
      : Math.max(0, this.clock.monotonicNanos() - sample.receivedMonotonicNanos) / 1e9
    const patience = Math.max(SILENT_SECONDS, SILENT_TIMES * row.gapNanos / 1e9)
    const state = error !== null
      ? error.reason === "DeviceChanged" ? "changed" : "failing"
      : ageSeconds === null
      ? "waiting"
      : ageSeconds > patience
      ? "silent"
      : "ok"
    return {
      name: device.name,
      identity: device.identity,
      state,
      error,
      sinceSeconds: error !== null
        ? Math.max(0, now - row.failingSince) / SECOND_MICROS
        : state === "silent"
        ? ageSeconds
        : null,
      lastAt: sample?.receivedAt ?? null,
      ageSeconds,
      status: sample?.frame.status ?? [],
      fields: (format?.fields ?? []).map(({ name, unit }, at) => {
        const value = sample?.frame.values[at]
        const decimals = row.decimals[at] = Math.max(row.decimals[at] ?? 0, decimalsOf(value))
        return { name, unit, value, decimals }
      }),
      trendField: this.trendFieldOf(device, sample),
      trend: [...trend]
    }
  }
}

/** How many decimals a value shows. */
export const decimalsOf = (value: FrameValue): number => {
  if (typeof value !== "number" || !Number.isFinite(value)) return 0
  const text = String(Number(value.toPrecision(DIGITS)))
  return text.includes("e") || !text.includes(".") ? 0 : text.length - text.indexOf(".") - 1
}

/**
 * An empty table. One table can follow one run after the other.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: LiveTableOptions = {}): Effect.Effect<LiveTable> =>
  Effect.map(SampleClock.current, (clock) => new LiveTable(clock, options))

/**
 * The same ticks, seen by the table as they pass.
 *
 * @example
 * Recorder.record({ rateHz: 10 }).pipe(LiveTable.observe(table), pipeToSink())
 *
 * @since 0.1.0
 * @category combinators
 */
export const observe = (table: LiveTable) => <E, R>(ticks: Stream.Stream<Tick, E, R>): Stream.Stream<Tick, E, R> =>
  Stream.mapArray(ticks, (ticks) => {
    for (const tick of ticks) table.observe(tick)
    return ticks
  })

/**
 * The table as of now.
 *
 * @since 0.1.0
 * @category combinators
 */
export const snapshot = (table: LiveTable): Effect.Effect<TableSnapshot> => Effect.sync(() => table.snapshot)
