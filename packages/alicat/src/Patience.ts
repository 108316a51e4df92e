/**
 * How long a device that streams may be silent, and when its silence shows that it cannot stream. Its port is opened again
 * meanwhile: the patience with a device that never streamed stays.
 */

/** A device that sends nothing for this long, or for three intervals, is started again. */
const SILENCE_MILLIS = 1000
/** If the interval is unknown, a silent device gets more time at each start, up to the longest interval there is. */
const LONGEST_MILLIS = 66_000
/** After so many starts, each command that starts a device was sent. */
export const WAYS_TO_START = 3

export class Patience {
  hasStreamed = false
  millis: number
  private readonly leastMillis: number
  private readonly isIntervalKnown: boolean
  private starts = 0

  constructor(intervalMillis: number | undefined) {
    this.isIntervalKnown = intervalMillis !== undefined
    this.leastMillis = Math.max(SILENCE_MILLIS, 3 * (intervalMillis ?? 0))
    this.millis = this.leastMillis
  }

  /** The device is opened. */
  opened(): void {
    if (this.hasStreamed) this.millis = this.leastMillis
  }

  /** A reading came, so long after the one before. */
  reading(gapMillis: number): void {
    this.hasStreamed = true
    this.starts = 0
    if (!this.isIntervalKnown) this.millis = Math.max(this.millis, Math.min(3 * gapMillis, LONGEST_MILLIS))
  }

  /** Nothing came after a start. Whether each way to start the device was tried, and each interval that it may have. */
  silence(): boolean {
    const isLongEnough = this.isIntervalKnown || this.millis === LONGEST_MILLIS
    if (!isLongEnough) this.millis = Math.min(2 * this.millis, LONGEST_MILLIS)
    return ++this.starts >= WAYS_TO_START && isLongEnough
  }
}
