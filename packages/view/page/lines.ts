/**
 * The lines of a plot: what uPlot draws for a range. Pure.
 *
 * A bucket is two points, its least and its greatest value, so no peak is lost. The one that is nearer to the value before it comes
 * first: a rising and a falling line stay smooth. All series of a plot have the same times; `undefined` is a time of other series,
 * `null` breaks the line.
 */
import type { Buckets, BucketSeries, Points, Range } from "./range.ts"

/** The times, and the values of each series. */
export interface Lines {
  readonly times: Float64Array
  readonly values: ReadonlyArray<Array<Value>>
}

type Value = number | null | undefined

export interface LineOptions {
  readonly rateHz: number | null
  /** Values that are not above zero have no place on a logarithmic axis. They break the line. */
  readonly isLog: boolean
}

export const linesOf = (range: Range, ids: ReadonlyArray<number>, options: LineOptions): Lines => {
  const lines = range.kind === "buckets" ? linesOfBuckets(range, ids, options) : linesOfPoints(range, ids, options)
  if (options.isLog) {
    for (const values of lines.values) {
      values.forEach((value, at) => typeof value === "number" && value <= 0 && (values[at] = null))
    }
  }
  lines.values.forEach(widenBreaks)
  return lines
}

/** A break reaches from value to value: uPlot leaves out the line only between times next to each other. */
const widenBreaks = (values: Array<Value>): void => {
  for (let at = 1; at < values.length; at++) if (values[at - 1] === null && values[at] === undefined) values[at] = null
  for (let at = values.length - 2; at >= 0; at--) {
    if (values[at + 1] === null && values[at] === undefined) values[at] = null
  }
}

const linesOfBuckets = (
  { count, first, series, width }: Buckets,
  ids: ReadonlyArray<number>,
  options: LineOptions
): Lines => {
  const times = new Float64Array(2 * count)
  for (let at = 0; at < count; at++) {
    times[2 * at] = first + (at + 0.25) * width
    times[2 * at + 1] = first + (at + 0.75) * width
  }
  return { times, values: ids.map((id) => lineOfBuckets(series.get(id), count, width, options.rateHz)) }
}

const lineOfBuckets = (
  series: BucketSeries | undefined,
  count: number,
  width: number,
  rateHz: number | null
): Array<Value> => {
  const line = Array<Value>(2 * count).fill(null)
  if (series === undefined) return line
  const { max, min, n } = series
  const longest = longestStep(stepOfBuckets(n, width), rateHz)
  let before = -1
  let last = 0
  for (let at = 0; at < count; at++) {
    if (n[at] === 0) continue
    if (before >= 0 && (at - before) * width <= longest) line.fill(undefined, 2 * before + 2, 2 * at)
    const isMinFirst = before < 0 || Math.abs(min[at]! - last) <= Math.abs(max[at]! - last)
    line[2 * at] = isMinFirst ? min[at]! : max[at]!
    line[2 * at + 1] = last = isMinFirst ? max[at]! : min[at]!
    before = at
  }
  return line
}

/** The places of values that no line leads to or from: a sample, or the two points of a bucket, between breaks. */
export const loneIn = (values: ArrayLike<Value>): Array<number> => {
  const lone: Array<number> = []
  let run: Array<number> = []
  for (let at = 0; at <= values.length; at++) {
    if (at < values.length && values[at] === undefined) continue
    if (at < values.length && values[at] !== null) run.push(at)
    else {
      if (run.length === 1 || run.length === 2) lone.push(run[0]!)
      run = []
    }
  }
  return lone
}

/** So many values are enough for a median. */
const ENOUGH = 100

/** The median step between samples: from one bucket with samples to the next, by the samples in a bucket. */
const stepOfBuckets = (n: Uint32Array, width: number): number => {
  const counts: Array<number> = []
  const steps: Array<number> = []
  for (let at = 0; at < n.length; at += Math.ceil(n.length / ENOUGH)) {
    if (n[at] === 0) continue
    counts.push(n[at]!)
    let next = at + 1
    while (n[next] === 0) next++
    if (next < n.length) steps.push(next - at)
  }
  return steps.length === 0 ? 0 : median(steps) * width / median(counts)
}

const stepOfPoints = (times: Float64Array): number => {
  const steps: Array<number> = []
  for (let at = 1; at < times.length; at += Math.ceil(times.length / ENOUGH)) steps.push(times[at]! - times[at - 1]!)
  return median(steps)
}

const linesOfPoints = ({ series }: Points, ids: ReadonlyArray<number>, options: LineOptions): Lines => {
  const lines = ids.map((id) => lineOfPoints(series.get(id), options.rateHz))
  const times = union(lines.map(({ times }) => times))
  return {
    times,
    values: lines.map((line) => {
      const values = Array<Value>(times.length).fill(undefined)
      let next = 0
      for (let at = 0; at < times.length && next < line.times.length; at++) {
        if (times[at] === line.times[next]) values[at] = line.values[next++]
      }
      return values
    })
  }
}

/** With a break where the next sample comes late. */
const lineOfPoints = (
  series: { readonly times: Float64Array; readonly values: Float64Array } | undefined,
  rateHz: number | null
): { readonly times: ReadonlyArray<number>; readonly values: ReadonlyArray<Value> } => {
  if (series === undefined) return { times: [], values: [] }
  const longest = longestStep(stepOfPoints(series.times), rateHz)
  const times: Array<number> = []
  const values: Array<Value> = []
  series.times.forEach((time, at) => {
    const before = series.times[at - 1]
    if (before === time) return
    if (before !== undefined && time - before > longest) {
      times.push((before + time) / 2)
      values.push(null)
    }
    times.push(time)
    values.push(Number.isNaN(series.values[at]) ? null : series.values[at])
  })
  return { times, values }
}

/**
 * The longest step that a line is drawn across: 2.5 periods. Where samples come more rarely than that, as they do without a rate or
 * in an output that was thinned, five times the median step.
 */
const longestStep = (medianStep: number, rateHz: number | null): number => {
  const byRate = rateHz === null ? 0 : 2.5e6 / rateHz
  return medianStep > byRate ? 5 * medianStep : byRate
}

const median = (values: ReadonlyArray<number>): number =>
  values.length === 0 ? 0 : Float64Array.from(values).toSorted()[values.length >> 1]!

const union = (all: ReadonlyArray<ReadonlyArray<number>>): Float64Array => {
  const sorted = Float64Array.from(all.flat()).toSorted()
  let count = 0
  for (const time of sorted) if (count === 0 || time !== sorted[count - 1]) sorted[count++] = time
  return sorted.slice(0, count)
}
