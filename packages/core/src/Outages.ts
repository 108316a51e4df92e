/**
 * Which devices fail, and since when: one rule for the events of a run and for its log. Without effects.
 *
 * A device fails from its first failure until it is back: it has answered often enough, or for long enough. Failures until then are
 * only counted. One that fails again soon must answer longer each time to be back, so a device that flaps for hours is told a few times.
 */
import type { DeviceFailure } from "./Sample.ts"
import type { DeviceError } from "./SourceError.ts"

/** A device is back after this many readings in a row, or when it has answered for this long (in microseconds). */
const READINGS_TO_BE_BACK = 10
const TIME_TO_BE_BACK = 5_000_000
/** A device that fails again soon must answer longer each time to be back, and what is lost is told less often each time. */
export const FIRST_INTERVAL = 5_000_000
export const LONGEST_INTERVAL = 3600_000_000
/** After this time without a failure or a loss all is as in the beginning. */
export const QUIET = 60_000_000

/** A moment by the sample clock, and by one that does not jump with the system clock. Both in microseconds. */
export interface Moment {
  readonly at: number
  readonly steady: number
}

/** A device that fails. */
export interface Outage {
  readonly first: DeviceFailure
  readonly since: Moment
  /** How often it failed for each reason, and in all. */
  readonly reasons: Map<DeviceError["reason"], number>
  failures: number
  /** How long it must answer to be back. 0: as long as any device. */
  readonly patience: number
  /** Readings since the last failure. */
  readings: number
  /** When the first of them was requested. */
  answersSince: Moment
}

export class Outages {
  private readonly byDevice = new Map<string, Outage>()
  /** When each device was back, and how long it had to answer for that. */
  private readonly recoveries = new Map<string, { readonly steadyAt: number; readonly patience: number }>()

  /** Of the devices that are not back. */
  get open(): ReadonlyArray<Outage> {
    return [...this.byDevice.values()]
  }

  get isEmpty(): boolean {
    return this.byDevice.size === 0
  }

  /** Counts a failure. Gives the outage that it belongs to. It is a new one if this is its only failure. */
  failed(failure: DeviceFailure, since: Moment): Outage {
    const { device, error: { reason } } = failure
    const outage = this.byDevice.get(device) ?? this.begin(failure, since)
    outage.failures++
    outage.reasons.set(reason, (outage.reasons.get(reason) ?? 0) + 1)
    outage.readings = 0
    return outage
  }

  /** Counts a reading. Gives the outage if the device is back with it. */
  answered(device: string, requested: Moment, received: Moment): Outage | undefined {
    const outage = this.byDevice.get(device)
    if (outage === undefined) return undefined
    if (outage.readings++ === 0) outage.answersSince = requested
    const answering = received.steady - outage.answersSince.steady
    if (outage.readings < READINGS_TO_BE_BACK && answering < TIME_TO_BE_BACK || answering < outage.patience) {
      return undefined
    }
    this.byDevice.delete(device)
    this.recoveries.set(device, { steadyAt: received.steady, patience: outage.patience })
    return outage
  }

  private begin(first: DeviceFailure, since: Moment): Outage {
    const before = this.recoveries.get(first.device)
    const isRelapse = before !== undefined && since.steady - before.steadyAt <= QUIET
    const patience = isRelapse ? Math.min(LONGEST_INTERVAL, Math.max(FIRST_INTERVAL, 2 * before.patience)) : 0
    const outage = { first, since, reasons: new Map(), failures: 0, patience, readings: 0, answersSince: since }
    this.byDevice.set(first.device, outage)
    return outage
  }
}
