/**
 * How a range of time is answered: by single samples where they are few, else by the finest buckets that are not more than asked for.
 */
import type { Levels } from "./Levels.ts"
import type { RangeAnswer, RangeQuery } from "./RangeAnswer.ts"

/** Samples in a bucket of the first level, at the rate of the recording. */
export const SAMPLES_IN_BUCKET = 16

/** Without a rate: as for a hundred samples a second. Where they are fewer, most buckets are empty and take no room. */
const UNKNOWN_PERIOD_MICROS = 10_000

/** How long the buckets of the first level are, in microseconds. */
export const firstWidthOf = (rateHz: number | null): number =>
  SAMPLES_IN_BUCKET * (rateHz === null ? UNKNOWN_PERIOD_MICROS : Math.max(1, Math.round(1_000_000 / rateHz)))

/** Two numbers are drawn for a bucket, its smallest and its largest value, and one for a sample. */
const samplesFor = (points: number): number => 2 * points

/** Whether a range has few enough samples of each series, as far as the rate tells. */
export const isFine = ({ firstWidth }: Levels, { from, points, until }: RangeQuery): boolean =>
  (until - from) / firstWidth * SAMPLES_IN_BUCKET <= samplesFor(points)

/** The part of a range that has data; null if none has. */
export const within = (query: RangeQuery, data: { readonly from: number; readonly until: number } | null) => {
  if (data === null) return null
  const from = Math.max(query.from, data.from)
  const until = Math.min(query.until, data.until)
  return from > until ? null : { ...query, from, until: Math.max(until, from + 1) }
}

/** Single samples; null if they are too many. */
export const pointsOf = (
  query: RangeQuery,
  read: (series: number) => { readonly times: Float64Array; readonly values: Float64Array }
): RangeAnswer | null => {
  const series = query.series.map((id) => ({ id, ...inOrder(read(id)) }))
  return series.some(({ times }) => times.length > samplesFor(query.points))
    ? null
    : { kind: "points", isComplete: true, series }
}

export const NOTHING: RangeAnswer = { kind: "points", isComplete: true, series: [] }

/** Buckets. `forgotten` is the last block of the finest level that is not there any more. */
export const bucketsOf = (levels: Levels, query: RangeQuery, forgottenUntil: number): RangeAnswer => {
  const { from, points, until } = query
  let level = levels.levelOf((until - from) / (points - 1))
  if (level === 0 && from < forgottenUntil) level = 1
  const width = levels.widthOf(level)
  const first = Math.floor(from / width)
  const count = Math.floor(until / width) - first + 1
  return {
    kind: "buckets",
    isComplete: true,
    width,
    first: first * width,
    count,
    series: query.series.map((id) => ({ id, buckets: levels.read(id, level, first, count) }))
  }
}

/** The clock may have been set back meanwhile. */
const inOrder = (points: { readonly times: Float64Array; readonly values: Float64Array }) => {
  const { times, values } = points
  if (times.every((at, n) => n === 0 || at >= times[n - 1]!)) return points
  const order = Array.from(times.keys()).toSorted((a, b) => times[a]! - times[b]!)
  return { times: times.map((_, n) => times[order[n]!]!), values: values.map((_, n) => values[order[n]!]!) }
}
