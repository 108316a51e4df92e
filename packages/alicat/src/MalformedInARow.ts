/**
 * The replies of a device that made no sense, one after the other. Its columns may have changed.
 */
const FIRST = 3
/** While a device is asked, its readings are lost. One field that always fails must not cost many. */
const RARER = 10

export class MalformedInARow {
  private count = 0
  private limit = FIRST

  /** Whether the last reply made sense. */
  get isNone(): boolean {
    return this.count === 0
  }

  /** A reply came. True if there were so many that the device should be asked for its columns: after 3, 30, 300 and so on. */
  replied(madeSense: boolean): boolean {
    if (madeSense) {
      this.count = 0
      this.limit = FIRST
      return false
    }
    if (++this.count < this.limit) return false
    this.limit *= RARER
    return true
  }
}
