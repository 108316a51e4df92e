/**
 * The values of a range of time as bytes, for a page: 32 bits that say how long the JSON header is, the header, and the numbers. All are
 * little-endian, and each array begins at a multiple of eight bytes.
 */
import type { Buckets } from "./Levels.ts"

/** What is asked for. Times in microseconds since the epoch. */
export interface RangeQuery {
  readonly from: number
  readonly until: number
  /** The largest number of buckets. */
  readonly points: number
  readonly series: ReadonlyArray<number>
}

/** A series as buckets, or as single samples: their times, and NaN where there is no value. */
export type RangeAnswer =
  & {
    /** False: what is left out was not read yet. */
    readonly isComplete: boolean
  }
  & ({
    readonly kind: "buckets"
    /** How long a bucket is, in microseconds, and when the first begins. */
    readonly width: number
    readonly first: number
    readonly count: number
    readonly series: ReadonlyArray<{ readonly id: number; readonly buckets: Buckets }>
  } | {
    readonly kind: "points"
    readonly series: ReadonlyArray<{
      readonly id: number
      readonly times: Float64Array
      readonly values: Float64Array
    }>
  })

export const encodeRange = (answer: RangeAnswer, { from, until }: RangeQuery): Uint8Array => {
  const arrays: Array<Float32Array | Float64Array | Uint32Array> = []
  let at = 0
  const add = (...added: ReadonlyArray<Float32Array | Float64Array | Uint32Array>) => {
    const start = at
    for (const array of added) at += array.byteLength
    arrays.push(...added)
    // Four arrays of 32 bits, or two of 64, make a multiple of eight.
    return start
  }
  const series = answer.kind === "buckets"
    ? answer.series.map(({ buckets: { base, counts, max, mean, min }, id }) => ({
      id,
      base: Number.isNaN(base) ? 0 : base,
      at: add(min, max, mean, counts),
      count: counts.length
    }))
    : answer.series.map(({ id, times, values }) => ({ id, base: 0, at: add(times, values), count: times.length }))
  const { isComplete, kind } = answer
  const { count, first, width } = kind === "buckets" ? answer : { width: 0, first: from, count: 0 }
  const text = JSON.stringify({ kind, from, until, isComplete, width, first, count, series })
  const header = Buffer.from(text + " ".repeat((8 - (4 + Buffer.byteLength(text)) % 8) % 8))
  const bytes = Buffer.alloc(4 + header.length + at)
  bytes.writeUInt32LE(header.length)
  header.copy(bytes, 4)
  let offset = 4 + header.length
  for (const array of arrays) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), offset)
    offset += array.byteLength
  }
  return bytes
}
