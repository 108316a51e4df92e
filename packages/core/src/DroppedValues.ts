/**
 * Values that a sink has dropped: the target has no column for them, or cannot hold them.
 */

/**
 * What was dropped up to a moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface DroppedMark {
  readonly counts: ReadonlyMap<string, number>
  readonly rows: number
}

/**
 * @since 0.1.0
 * @category models
 */
export class DroppedValues {
  private counts = new Map<string, number>()
  /** The columns that were reported, or will be. */
  private readonly known = new Set<string>()
  private unreported: Array<{ readonly column: string; readonly why: string }> = []
  private rows = 0

  /** Counts a value. `why` is for the column's first one. */
  count(column: string, why: string): void {
    const before = this.counts.get(column)
    if (before === undefined && !this.known.has(column)) {
      this.known.add(column)
      this.unreported.push({ column, why })
    }
    this.counts.set(column, (before ?? 0) + 1)
  }

  /** Counts a value that costs its row: its column is NOT NULL. */
  countRow(column: string): void {
    this.count(column, "the column is NOT NULL, so rows without a value for it are left out")
    this.rows++
  }

  /** What was dropped so far. */
  mark(): DroppedMark {
    const { counts, rows } = this
    return counts.size === 0 && rows === 0 ? NOTHING_DROPPED : { counts: new Map(counts), rows }
  }

  /** Forgets what was dropped since: the batch was not accepted, or is written again. */
  goBackTo({ counts, rows }: DroppedMark): void {
    this.counts = new Map(counts)
    this.rows = rows
  }

  /** How many rows were left out since the last call. */
  takeRows(): number {
    const { rows } = this
    this.rows = 0
    return rows
  }

  /** How many values were dropped, by column. */
  get byColumn(): { readonly [column: string]: number } {
    return Object.fromEntries(this.counts)
  }

  /** The columns whose first value was dropped since the last call, and why. */
  takeUnreported(): ReadonlyArray<{ readonly column: string; readonly why: string }> {
    const columns = this.unreported
    this.unreported = []
    return columns
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export const NOTHING_DROPPED: DroppedMark = { counts: new Map(), rows: 0 }
