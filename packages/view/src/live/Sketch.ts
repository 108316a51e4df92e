/**
 * Samples from some places all over a file that was not read yet.
 */
import type { Buckets } from "./Levels.ts"
import type { RangeAnswer } from "./RangeAnswer.ts"

interface Stroke {
  readonly at: number
  readonly min: number
  readonly max: number
  readonly mean: number
  readonly count: number
}

const PLACES = 256

/** The place at which bits come in the opposite order: each next place is in the middle of what is left. */
const reversed = (n: number): number => {
  let place = 0
  for (let bit = 1; bit < PLACES; bit *= 2) place = 2 * place + (n / bit & 1)
  return place
}

export class Sketch {
  /** Where to look, as parts of the file. The coarsest first, and the very end among them. */
  static readonly places: ReadonlyArray<number> = [
    0,
    0.9999,
    ...Array.from({ length: PLACES - 1 }, (_, n) => reversed(n + 1) / PLACES)
  ]
  /** How many samples to read at each. */
  static readonly rows = 128

  private readonly strokes = new Map<number, Array<Stroke>>()

  /** Adds some samples of a series that follow one another. */
  add(
    series: number,
    times: Float64Array,
    numbers: Float64Array,
    nulls: Uint8Array,
    rows: ReadonlyArray<number>
  ): void {
    const values = rows.filter((row) => nulls[row] === 0 && Number.isFinite(numbers[row])).map((row) => numbers[row]!)
    if (values.length === 0) return
    const strokes = this.strokes.get(series) ?? []
    this.strokes.set(series, strokes)
    strokes.push({
      at: times[rows[0]!]!,
      min: Math.min(...values),
      max: Math.max(...values),
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
      count: values.length
    })
  }

  clear(): void {
    this.strokes.clear()
  }

  /** The same answer, with strokes in buckets that are later than what was read. */
  over(answer: RangeAnswer, readUntil: number): RangeAnswer {
    if (answer.kind === "points") return { ...answer, isComplete: false }
    const { count, first, series, width } = answer
    return {
      ...answer,
      isComplete: false,
      series: series.map(({ buckets, id }) => {
        const strokes = (this.strokes.get(id) ?? []).filter(({ at }) =>
          at > readUntil && at >= first && at < first + count * width
        )
        return { id, buckets: strokes.reduce((drawn, stroke) => draw(drawn, stroke, first, width), buckets) }
      })
    }
  }
}

const draw = (buckets: Buckets, { at, count, max, mean, min }: Stroke, first: number, width: number): Buckets => {
  const n = Math.floor((at - first) / width)
  if (buckets.counts[n]! > 0) return buckets
  const base = Number.isNaN(buckets.base) ? mean : buckets.base
  buckets.min[n] = min - base
  buckets.max[n] = max - base
  buckets.mean[n] = mean - base
  buckets.counts[n] = count
  return { ...buckets, base }
}
