/**
 * Reads what a page's server answers.
 */
import { assert } from "@effect/vitest"

interface ReadSeries {
  readonly id: number
  /** Buckets. */
  readonly min: ReadonlyArray<number>
  readonly max: ReadonlyArray<number>
  readonly mean: ReadonlyArray<number>
  readonly counts: ReadonlyArray<number>
  /** Points. */
  readonly times: ReadonlyArray<number>
  readonly values: ReadonlyArray<number>
}

export interface ReadRange {
  readonly kind: "buckets" | "points"
  readonly isComplete: boolean
  readonly width: number
  readonly first: number
  readonly count: number
  readonly series: ReadonlyArray<ReadSeries>
}

/** A range as it came. */
export const readRange = (bytes: Uint8Array): ReadRange => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(0, true)
  assert.strictEqual((4 + length) % 8, 0)
  const { series, ...header } = JSON.parse(Buffer.from(bytes.subarray(4, 4 + length)).toString())
  return {
    ...header,
    series: series.map(({ at, base, count, id }: { id: number; base: number; at: number; count: number }) => {
      assert.strictEqual(at % 8, 0)
      const start = 4 + length + at
      const numbers = (part: number, size: 4 | 8, read: (at: number) => number) =>
        Array.from({ length: count }, (_, n) => read(start + (part * count + n) * size))
      const float = (part: number) => numbers(part, 4, (at) => base + view.getFloat32(at, true))
      const double = (part: number) => numbers(part, 8, (at) => view.getFloat64(at, true))
      return header.kind === "points"
        ? { id, min: [], max: [], mean: [], counts: [], times: double(0), values: double(1) }
        : {
          id,
          min: float(0),
          max: float(1),
          mean: float(2),
          counts: numbers(3, 4, (at) => view.getUint32(at, true)),
          times: [],
          values: []
        }
    })
  }
}
