/**
 * The vocabulary of a run: its devices (`Run`, `Device`), one poll of all devices (`Tick`), and one device's reading (`Sample`).
 */
import type { Frame, FrameFormat, FrameValue } from "./Frame.ts"
import type { SkipCause } from "./RunEvent.ts"
import type { ClockStep } from "./SampleClock.ts"
import type { DeviceError } from "./SourceError.ts"

/**
 * What a device says about itself. Null: not known.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeviceIdentity {
  readonly manufacturer: string | null
  readonly model: string | null
  readonly serialNumber: string | null
  readonly firmware: string | null
  /** ISO 8601 date, e.g. `2025-03-02`. */
  readonly calibrationDate: string | null
}

/**
 * A device of a run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Device {
  /** The name that the user gave it. */
  readonly name: string
  /** Its address on the bus, e.g. `A`. Empty if it has none. */
  readonly unitId: string
  readonly identity: DeviceIdentity | null
  /** The format of its frames. Null: not known before the first reading. */
  readonly format: FrameFormat | null
}

/**
 * One recording. All its samples share one object.
 *
 * @since 0.1.0
 * @category models
 */
export interface Run {
  /** A UUIDv7. */
  readonly id: string
  /** Microseconds since the epoch. */
  readonly startedAt: number
  readonly devices: ReadonlyArray<Device>
  /** Ticks per second. Absent: the devices push their readings. */
  readonly rateHz?: number | undefined
  /** The machine that the devices are attached to. Absent: not known. */
  readonly host?: string | undefined
  /** What the user said of the run, e.g. `operator`. Default: nothing. */
  readonly metadata?: { readonly [key: string]: string } | undefined
}

/**
 * One reading of one device. `requestedAt` and `receivedAt` are the times of its own request and reply, in integer microseconds
 * since the epoch, UTC.
 *
 * @since 0.1.0
 * @category models
 */
export class Sample {
  readonly run: Run
  /** The user's name of the device. */
  readonly device: string
  readonly unitId: string
  /** Position in the run, from 0. A gap is a sample that was thinned. */
  readonly sequence: number
  /** The tick's position on the grid: the devices of one poll share it. Null if the sample was made without a tick. */
  readonly tick: number | null
  readonly requestedAt: number
  readonly receivedAt: number
  readonly requestedMonotonicNanos: number
  readonly receivedMonotonicNanos: number
  readonly frame: Frame

  constructor(fields: {
    readonly run: Run
    readonly device: string
    readonly unitId: string
    readonly sequence: number
    /** Default: null. */
    readonly tick?: number | null | undefined
    readonly requestedAt: number
    readonly receivedAt: number
    readonly requestedMonotonicNanos: number
    readonly receivedMonotonicNanos: number
    readonly frame: Frame
  }) {
    this.run = fields.run
    this.device = fields.device
    this.unitId = fields.unitId
    this.sequence = fields.sequence
    this.tick = fields.tick ?? null
    this.requestedAt = fields.requestedAt
    this.receivedAt = fields.receivedAt
    this.requestedMonotonicNanos = fields.requestedMonotonicNanos
    this.receivedMonotonicNanos = fields.receivedMonotonicNanos
    this.frame = fields.frame
  }

  /** A sample without values, for what needs only its format. */
  static readonly blank = (
    run: Run,
    { device, format, unitId }: { readonly device: string; readonly unitId: string; readonly format: FrameFormat }
  ): Sample =>
    new Sample({
      run,
      device,
      unitId,
      sequence: 0,
      requestedAt: 0,
      receivedAt: 0,
      requestedMonotonicNanos: 0,
      receivedMonotonicNanos: 0,
      frame: { format, values: [], status: [] }
    })

  /** The same reading with another frame, in a run whose devices have its format. */
  with(changes: { readonly run: Run; readonly frame: Frame }): Sample {
    return new Sample(Object.assign({}, this, changes))
  }

  /** The value of the field with this name; `undefined` if the frame does not have it. */
  value(field: string): FrameValue {
    return this.frame.values[this.frame.format.positionOf(field)]
  }

  /** From request to reply in whole microseconds, by the monotonic clock. A step of the system clock does not change it. */
  get latencyMicros(): number {
    return latencyMicrosOf(this.requestedMonotonicNanos, this.receivedMonotonicNanos)
  }

  get latencySeconds(): number {
    return this.latencyMicros / 1_000_000
  }

  /** Halfway between request and reply, in microseconds since the epoch. */
  get midpointAt(): number {
    return midpointOf(this.requestedAt, this.latencyMicros)
  }
}

/** From request to reply in whole microseconds, by the times of the monotonic clock in nanoseconds. */
export const latencyMicrosOf = (requestedNanos: number, receivedNanos: number): number =>
  Math.round((receivedNanos - requestedNanos) / 1000)

/** Halfway between request and reply, in microseconds since the epoch. */
export const midpointOf = (requestedAt: number, latencyMicros: number): number =>
  requestedAt + Math.round(latencyMicros / 2)

/**
 * One device failed in one tick.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeviceFailure {
  readonly device: string
  readonly error: DeviceError
  /** Microseconds since the epoch. */
  readonly at: number
}

/**
 * One poll of all devices.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tick {
  readonly run: Run
  /** Position on the grid: the target is `start + index * period`. */
  readonly index: number
  /** When the tick began, in microseconds since the epoch. */
  readonly at: number
  /** How long after its target the tick began, in milliseconds. Never negative. */
  readonly driftMs: number
  /** Slots skipped since the last delivered tick: a poll took too long, or the buffer was full. */
  readonly skipped: number
  /** Why they were skipped; null if none was. If there are several causes, the first. */
  readonly skipCause: SkipCause | null
  /** Ticks that the overflow policy dropped since the last delivered tick. */
  readonly dropped: number
  /** Failed polls in those dropped ticks, by device. */
  readonly droppedFailures: ReadonlyMap<string, number>
  /** Steps of the system clock since the last delivered tick. */
  readonly clockSteps: ReadonlyArray<ClockStep>
  readonly samples: ReadonlyArray<Sample>
  /** Samples that `Recorder.every` or `Recorder.filterSamples` left out. They keep their sequence numbers. */
  readonly thinned: ReadonlyArray<Sample>
  readonly failures: ReadonlyArray<DeviceFailure>
  /** Whether this is the trailer: the last element of a run that skipped or dropped ticks at its end. It only carries the counts. */
  readonly isTrailer: boolean
}
