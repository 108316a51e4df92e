/**
 * One alarm of one device, output or disk: whether it is raised, and which of its changes are told. Pure.
 *
 * It is raised when its condition has held for long enough, and cleared when that has not held for as long. A missing value is
 * not observed at all: it neither raises nor clears.
 *
 * An alarm that comes and goes is told a few times. What comes after that is left out and told together.
 */

/** A moment by the clock of the samples, in microseconds since the epoch, and by a clock that does not jump, in nanoseconds. */
export interface Moment {
  readonly at: number
  readonly nanos: number
}

/** How an alarm changed. */
export interface Change {
  readonly isRaised: boolean
  /** What raised or cleared it; null if that is no number. */
  readonly value: number | null
  /** When it changed. */
  readonly at: Moment
  /** When its condition began to hold. */
  readonly since: Moment
  /** When its condition ceased to hold; null if it holds. */
  readonly until: Moment | null
  /** How often it was raised since the last change that was told. */
  readonly count: number
  /** How long changes were left out before this one, in nanoseconds; 0 if none was. */
  readonly leftOutNanos: number
}

/** Changes that are told in one interval. */
const TOLD_AT_ONCE = 6
/** Each interval in which changes are left out is followed by one that is twice as long. */
const FIRST_INTERVAL = 60e9
const LONGEST_INTERVAL = 3600e9

export class AlarmState {
  isRaised = false
  private readonly raiseNanos: number
  private readonly clearNanos: number
  /** Since when the condition says other than `isRaised`. */
  private turned: Moment | undefined
  private since: Moment = NEVER
  /** When it changed last. */
  private changedAt: Moment = NEVER

  private told = 0
  private interval = FIRST_INTERVAL
  private intervalEnd = Number.NEGATIVE_INFINITY
  /** The last change that was left out, and how often the alarm was raised among those. */
  private leftOut: Change | undefined
  private leftOutSince = 0
  private raisings = 0

  /** How long the condition must hold to raise the alarm, and not hold to clear it, in milliseconds. */
  constructor(raiseMillis: number, clearMillis: number) {
    this.raiseNanos = raiseMillis * 1e6
    this.clearNanos = clearMillis * 1e6
  }

  /**
   * Whether the condition holds now, and since when if that is known. Gives the change that is to be told. `now` is a clock that does
   * not jump.
   */
  observe(holds: boolean, value: number | null, moment: Moment, now: number, since = moment): Change | undefined {
    if (holds === this.isRaised) {
      this.turned = undefined
      return
    }
    this.turned ??= since
    if (moment.nanos - this.turned.nanos < (holds ? this.raiseNanos : this.clearNanos)) return
    const { turned } = this
    this.isRaised = holds
    this.turned = undefined
    if (holds) {
      this.since = turned
      this.raisings++
    }
    // A reading that was held up may come from before the moment at which its device was missed.
    const at = this.changedAt = later(moment, this.changedAt)
    const change = { isRaised: holds, value, at, since: this.since, until: holds ? null : later(turned, this.since) }
    return this.limit(change, now)
  }

  /** What was left out, when its interval is over. */
  take(now: number, isLast = false): Change | undefined {
    if (now < this.intervalEnd && !isLast) return
    const { leftOut } = this
    // A quiet interval: all is as in the beginning.
    this.interval = leftOut === undefined ? FIRST_INTERVAL : Math.min(LONGEST_INTERVAL, 2 * this.interval)
    this.intervalEnd = leftOut === undefined ? Number.NEGATIVE_INFINITY : now + this.interval
    this.told = 0
    if (leftOut === undefined) return
    this.leftOut = undefined
    return { ...leftOut, count: this.takeRaisings(), leftOutNanos: now - this.leftOutSince }
  }

  private limit(change: Omit<Change, "count" | "leftOutNanos">, now: number): Change | undefined {
    if (this.leftOut === undefined && now >= this.intervalEnd) {
      this.take(now)
      this.intervalEnd = now + this.interval
    }
    if (this.told < TOLD_AT_ONCE && this.leftOut === undefined) {
      this.told++
      return { ...change, count: this.takeRaisings(), leftOutNanos: 0 }
    }
    if (this.leftOut === undefined) this.leftOutSince = now
    this.leftOut = { ...change, count: 0, leftOutNanos: 0 }
    return
  }

  private takeRaisings(): number {
    const { raisings } = this
    this.raisings = 0
    return raisings
  }
}

const NEVER: Moment = { at: 0, nanos: Number.NEGATIVE_INFINITY }

const later = (a: Moment, b: Moment): Moment => a.nanos < b.nanos ? b : a
