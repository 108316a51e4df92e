/**
 * Data of a stretch of time, as the server sends it: single samples, or buckets with the least, the greatest and the mean value of
 * each. Pure. Times are microseconds since the epoch.
 */

export type Range = Buckets | Points

interface Stretch {
  readonly from: number
  readonly until: number
  /** False: the file is still being read, and there may be samples from some places only. */
  readonly isComplete: boolean
}

export interface Buckets extends Stretch {
  readonly kind: "buckets"
  readonly width: number
  /** Bucket k covers `[first + k * width, first + (k + 1) * width)`. */
  readonly first: number
  readonly count: number
  readonly series: ReadonlyMap<number, BucketSeries>
}

/** NaN, and `n` is 0: no value. */
export interface BucketSeries {
  readonly min: Float64Array
  readonly max: Float64Array
  readonly mean: Float64Array
  readonly n: Uint32Array
}

export interface Points extends Stretch {
  readonly kind: "points"
  readonly series: ReadonlyMap<number, PointSeries>
}

interface PointSeries {
  readonly times: Float64Array
  /** NaN: no value. */
  readonly values: Float64Array
}

/** The header of an answer. `at` is where the arrays of a series begin. */
interface Header extends Stretch {
  readonly kind: Range["kind"]
  readonly width: number
  readonly first: number
  readonly count: number
  readonly series: ReadonlyArray<
    { readonly id: number; readonly base: number; readonly at: number; readonly count: number }
  >
}

/** What the bytes of an answer say: the length of the header, the header as JSON, and the arrays. */
export const decodeRange = (bytes: ArrayBuffer): Range => {
  const length = new DataView(bytes).getUint32(0, true)
  const header: Header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)))
  const { count, first, from, isComplete, until, width } = header
  const body = 4 + length
  const stretch = { from, until, isComplete }
  if (header.kind === "points") {
    const series = header.series.map(({ at, count, id }): [number, PointSeries] => [id, {
      times: new Float64Array(bytes, body + at, count),
      values: new Float64Array(bytes, body + at + 8 * count, count)
    }])
    return { kind: "points", ...stretch, series: new Map(series) }
  }
  const series = header.series.map(({ at, base, id }): [number, BucketSeries] => {
    const column = (place: number) =>
      Float64Array.from(new Float32Array(bytes, body + at + place * 4 * count, count), (value) => base + value)
    return [id, {
      min: column(0),
      max: column(1),
      mean: column(2),
      n: new Uint32Array(bytes, body + at + 12 * count, count)
    }]
  })
  return { kind: "buckets", ...stretch, width, first, count, series: new Map(series) }
}

/**
 * What is kept, followed by a tail that was asked for later. The tail replaces what is kept from its start on; all that is before
 * `oldest` is dropped. Undefined: the two do not fit together.
 */
export const append = (kept: Range, tail: Range, oldest: number): Range | undefined =>
  kept.kind === "buckets" && tail.kind === "buckets"
    ? appendBuckets(kept, tail, oldest)
    : kept.kind === "points" && tail.kind === "points"
    ? appendPoints(kept, tail, oldest)
    : undefined

const appendBuckets = (kept: Buckets, tail: Buckets, oldest: number): Buckets | undefined => {
  const end = (tail.first - kept.first) / kept.width
  if (tail.width !== kept.width || !Number.isInteger(end) || end < 0 || end > kept.count) return undefined
  const start = Math.min(end, Math.max(0, Math.floor((oldest - kept.first) / kept.width)))
  const series = joined(kept.series, tail.series, (old, added) => ({
    min: concatenate(Float64Array, old.min.subarray(start, end), added.min),
    max: concatenate(Float64Array, old.max.subarray(start, end), added.max),
    mean: concatenate(Float64Array, old.mean.subarray(start, end), added.mean),
    n: concatenate(Uint32Array, old.n.subarray(start, end), added.n)
  }))
  return series && {
    ...tail,
    from: Math.max(kept.from, oldest),
    first: kept.first + start * kept.width,
    count: end - start + tail.count,
    series
  }
}

const appendPoints = (kept: Points, tail: Points, oldest: number): Points | undefined => {
  const series = joined(kept.series, tail.series, (old, added) => {
    const start = firstAtOrAfter(old.times, oldest)
    const end = firstAtOrAfter(old.times, tail.from)
    return {
      times: concatenate(Float64Array, old.times.subarray(start, end), added.times),
      values: concatenate(Float64Array, old.values.subarray(start, end), added.values)
    }
  })
  return series && { ...tail, from: Math.max(kept.from, oldest), series }
}

/** Undefined: they do not have the same series. */
const joined = <A>(
  kept: ReadonlyMap<number, A>,
  tail: ReadonlyMap<number, A>,
  join: (kept: A, tail: A) => A
): ReadonlyMap<number, A> | undefined => {
  const series = new Map<number, A>()
  for (const [id, old] of kept) {
    const added = tail.get(id)
    if (added === undefined) return undefined
    series.set(id, join(old, added))
  }
  return series
}

const concatenate = <A extends Float64Array | Uint32Array>(make: new(length: number) => A, a: A, b: A): A => {
  const both = new make(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

/** The first place whose time is not before `time`; the length if there is none. */
export const firstAtOrAfter = (times: ArrayLike<number>, time: number): number => {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (times[middle]! < time) low = middle + 1
    else high = middle
  }
  return low
}

/** The most values that a series has. */
export const longest = (range: Range): number =>
  range.kind === "buckets" ? range.count : Math.max(0, ...[...range.series.values()].map(({ times }) => times.length))

/** A value that is shown: of one sample, or of the samples of a bucket. */
export interface Shown {
  readonly from: number
  readonly mean: number
  readonly min: number
  readonly max: number
  readonly n: number
}

/** What a series shows at a time: the bucket around it, or the nearest sample. Undefined: no value. */
export const shownAt = (range: Range, id: number, time: number): Shown | undefined => {
  if (range.kind === "buckets") return bucketAt(range, id, Math.floor((time - range.first) / range.width))
  const times = range.series.get(id)?.times ?? []
  const after = firstAtOrAfter(times, time)
  const isBefore = after > 0 && (after === times.length || time - times[after - 1]! < times[after]! - time)
  return pointAt(range, id, isBefore ? after - 1 : after)
}

/** The latest value before a time. */
export const latestBefore = (range: Range, id: number, time: number): Shown | undefined => {
  if (range.kind === "buckets") {
    for (let at = Math.min(range.count, Math.ceil((time - range.first) / range.width)) - 1; at >= 0; at--) {
      const shown = bucketAt(range, id, at)
      if (shown !== undefined) return shown
    }
    return undefined
  }
  for (let at = firstAtOrAfter(range.series.get(id)?.times ?? [], time + 1) - 1; at >= 0; at--) {
    const shown = pointAt(range, id, at)
    if (shown !== undefined) return shown
  }
  return undefined
}

/** All that a series shows between two times, from the first on. */
export const shownBetween = function*(range: Range, id: number, from: number, until: number): Generator<Shown> {
  const isBuckets = range.kind === "buckets"
  const at = isBuckets
    ? Math.max(0, Math.floor((from - range.first) / range.width))
    : firstAtOrAfter(range.series.get(id)?.times ?? [], from)
  const count = isBuckets ? range.count : range.series.get(id)?.times.length ?? 0
  for (let next = at; next < count; next++) {
    const time = isBuckets ? range.first + next * range.width : range.series.get(id)!.times[next]!
    if (time > until) return
    const shown = isBuckets ? bucketAt(range, id, next) : pointAt(range, id, next)
    if (shown !== undefined) yield shown
  }
}

const bucketAt = ({ first, series, width }: Buckets, id: number, at: number): Shown | undefined => {
  const found = series.get(id)
  const n = found?.n[at] ?? 0
  return found === undefined || n === 0
    ? undefined
    : { from: first + at * width, mean: found.mean[at]!, min: found.min[at]!, max: found.max[at]!, n }
}

const pointAt = ({ series }: Points, id: number, at: number): Shown | undefined => {
  const found = series.get(id)
  const value = found?.values[at]
  return found === undefined || value === undefined || Number.isNaN(value)
    ? undefined
    : { from: found.times[at]!, mean: value, min: value, max: value, n: 1 }
}
