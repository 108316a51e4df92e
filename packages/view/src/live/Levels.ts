/**
 * The values of many series in levels: how small, how large, how many and what on average in each bucket of time. A bucket of the next
 * level is four times as long. So any range is drawn from some thousand buckets, and no peak is lost. Pure, but for the store.
 *
 * Buckets are counted from the epoch, so that those of all series begin at the same times, and an answer does not depend on the order in
 * which samples come. The buckets that grow are in memory; all others are in the store, in blocks.
 */

/** Where blocks are kept. */
export interface BlockStore {
  readonly get: (series: number, level: number, block: number) => Uint8Array | undefined
  /** The blocks from one number to another, in order. */
  readonly range: (
    series: number,
    level: number,
    from: number,
    until: number
  ) => Iterable<readonly [block: number, bytes: Uint8Array]>
  readonly put: (series: number, level: number, block: number, bytes: Uint8Array) => void
}

/** Buckets of one series that follow one another. Values are `base` plus a float; a bucket without values has NaN. */
export interface Buckets {
  readonly base: number
  readonly min: Float32Array
  readonly max: Float32Array
  readonly mean: Float32Array
  /** How many values are in each. */
  readonly counts: Uint32Array
}

const FACTOR = 4
/** With buckets of 0.16 s the longest have a week. */
const LEVELS = 12
/** Buckets in a block. */
export const BLOCK = 128

/** One of the stretches of buckets that make a level, while it grows. */
class Block {
  readonly block: number
  readonly min = new Float64Array(BLOCK).fill(Infinity)
  readonly max = new Float64Array(BLOCK).fill(-Infinity)
  readonly sum = new Float64Array(BLOCK)
  readonly counts = new Uint32Array(BLOCK)
  isStored = true

  constructor(block: number) {
    this.block = block
  }

  add(bucket: number, min: number, max: number, sum: number, count: number): void {
    if (min < this.min[bucket]!) this.min[bucket] = min
    if (max > this.max[bucket]!) this.max[bucket] = max
    this.sum[bucket]! += sum
    this.counts[bucket]! += count
    this.isStored = false
  }
}

const FLOATS_AT = 8
const COUNTS_AT = FLOATS_AT + 3 * 4 * BLOCK
const BLOCK_BYTES = COUNTS_AT + 4 * BLOCK

/** A block as bytes: the base, then min, max and mean as floats behind it, then the counts. Floats alone would be too coarse for totals. */
const encode = ({ counts, max, min, sum }: Block): Uint8Array => {
  const bytes = new Uint8Array(BLOCK_BYTES)
  const floats = new Float32Array(bytes.buffer, FLOATS_AT, 3 * BLOCK)
  const first = counts.findIndex((count) => count > 0)
  const base = sum[first]! / counts[first]!
  new Float64Array(bytes.buffer, 0, 1)[0] = base
  for (let n = 0; n < BLOCK; n++) {
    const count = counts[n]!
    floats[n] = count === 0 ? NaN : min[n]! - base
    floats[n + BLOCK] = count === 0 ? NaN : max[n]! - base
    floats[n + 2 * BLOCK] = count === 0 ? NaN : sum[n]! / count - base
  }
  new Uint32Array(bytes.buffer, COUNTS_AT, BLOCK).set(counts)
  return bytes
}

/** The parts of a block's bytes. */
const partsOf = (bytes: Uint8Array) => {
  // Bytes from a database need not be aligned.
  const { buffer, byteOffset } = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice()
  const floats = (part: number) => new Float32Array(buffer, byteOffset + FLOATS_AT + part * 4 * BLOCK, BLOCK)
  return {
    base: new Float64Array(buffer, byteOffset, 1)[0]!,
    min: floats(0),
    max: floats(1),
    mean: floats(2),
    counts: new Uint32Array(buffer, byteOffset + COUNTS_AT, BLOCK)
  }
}

const decode = (block: number, bytes: Uint8Array): Block => {
  const { base, counts, max, mean, min } = partsOf(bytes)
  const decoded = new Block(block)
  for (let n = 0; n < BLOCK; n++) {
    const count = counts[n]!
    if (count > 0) decoded.add(n, base + min[n]!, base + max[n]!, (base + mean[n]!) * count, count)
  }
  decoded.isStored = true
  return decoded
}

/** A series. At each level it has the bucket that its last value is in, and the block that this bucket will be in. */
class Series {
  readonly bucket = new Float64Array(LEVELS)
  readonly min = new Float64Array(LEVELS)
  readonly max = new Float64Array(LEVELS)
  readonly sum = new Float64Array(LEVELS)
  /** 0: nothing came yet. */
  readonly count = new Float64Array(LEVELS)
  readonly blocks: Array<Block | undefined> = []
}

export class Levels {
  /** How long a bucket of the first level is, in microseconds. */
  readonly firstWidth: number
  private readonly store: BlockStore
  private readonly series: Array<Series | undefined> = []

  constructor(firstWidth: number, store: BlockStore) {
    this.firstWidth = firstWidth
    this.store = store
  }

  /** Adds a value. NaN and infinities are none. */
  add(series: number, at: number, value: number): void {
    if (value - value !== 0) return
    const to = this.series[series] ??= new Series()
    this.gather(series, to, 0, Math.floor(at / this.firstWidth), value, value, value, 1)
  }

  /** How long a bucket of a level is, in microseconds. */
  widthOf(level: number): number {
    return this.firstWidth * FACTOR ** level
  }

  /** The finest level whose buckets are at least so long. */
  levelOf(width: number): number {
    let level = 0
    while (level < LEVELS - 1 && this.widthOf(level) < width) level++
    return level
  }

  /** Buckets of a series at a level, from the bucket with a number on. */
  read(series: number, level: number, first: number, count: number): Buckets {
    const found = this.series[series]
    if (found !== undefined) this.finishAll(series, found)
    const buckets = {
      base: NaN,
      min: new Float32Array(count).fill(NaN),
      max: new Float32Array(count).fill(NaN),
      mean: new Float32Array(count).fill(NaN),
      counts: new Uint32Array(count)
    }
    const growing = found?.blocks[level]
    const from = Math.floor(first / BLOCK)
    const until = Math.floor((first + count - 1) / BLOCK)
    for (const [block, bytes] of this.store.range(series, level, from, until)) {
      if (block !== growing?.block) copy(block, bytes, first, buckets)
    }
    if (growing !== undefined && growing.block >= from && growing.block <= until) {
      copy(growing.block, encode(growing), first, buckets)
    }
    return buckets
  }

  /** Stores what is in memory. */
  save(): void {
    for (const [n, series] of this.series.entries()) {
      if (series === undefined) continue
      this.finishAll(n, series)
      for (const [level, block] of series.blocks.entries()) this.keep(n, level, block)
    }
  }

  /** Adds values to the bucket that grows at a level. One that they are not in is finished. */
  private gather(
    n: number,
    series: Series,
    level: number,
    bucket: number,
    min: number,
    max: number,
    sum: number,
    count: number
  ): void {
    if (bucket === series.bucket[level] && series.count[level]! > 0) {
      if (min < series.min[level]!) series.min[level] = min
      if (max > series.max[level]!) series.max[level] = max
      series.sum[level]! += sum
      series.count[level]! += count
      return
    }
    this.finish(n, series, level)
    series.bucket[level] = bucket
    series.min[level] = min
    series.max[level] = max
    series.sum[level] = sum
    series.count[level] = count
  }

  /** Puts the bucket that grows into its block, and its values into the next level. More may come for it. */
  private finish(n: number, series: Series, level: number): void {
    const count = series.count[level]!
    if (count === 0) return
    const bucket = series.bucket[level]!
    const min = series.min[level]!
    const max = series.max[level]!
    const sum = series.sum[level]!
    series.count[level] = 0
    const number = Math.floor(bucket / BLOCK)
    let block = series.blocks[level]
    if (block?.block !== number) {
      this.keep(n, level, block)
      const stored = this.store.get(n, level, number)
      series.blocks[level] = block = stored === undefined ? new Block(number) : decode(number, stored)
    }
    block.add(bucket - number * BLOCK, min, max, sum, count)
    if (level + 1 < LEVELS) this.gather(n, series, level + 1, Math.floor(bucket / FACTOR), min, max, sum, count)
  }

  private finishAll(n: number, series: Series): void {
    for (let level = 0; level < LEVELS; level++) this.finish(n, series, level)
  }

  private keep(series: number, level: number, block: Block | undefined): void {
    if (block === undefined || block.isStored) return
    this.store.put(series, level, block.block, encode(block))
    block.isStored = true
  }
}

/** Copies what an answer needs of a block. The first value that is found is the answer's base. */
const copy = (block: number, bytes: Uint8Array, first: number, to: { base: number } & Buckets): void => {
  const { base, counts, max, mean, min } = partsOf(bytes)
  if (Number.isNaN(to.base)) to.base = base
  const offset = base - to.base
  const start = block * BLOCK - first
  const from = Math.max(0, -start)
  const until = Math.min(BLOCK, to.counts.length - start)
  for (let n = from; n < until; n++) {
    const count = counts[n]!
    if (count === 0) continue
    to.min[start + n] = min[n]! + offset
    to.max[start + n] = max[n]! + offset
    to.mean[start + n] = mean[n]! + offset
    to.counts[start + n] = count
  }
}

/** A store in memory, for what is small. */
export const memoryStore = (): BlockStore => {
  const blocks = new Map<string, Map<number, Uint8Array>>()
  return {
    get: (series, level, block) => blocks.get(`${series} ${level}`)?.get(block),
    range: (series, level, from, until) =>
      [...blocks.get(`${series} ${level}`) ?? []].filter(([block]) => block >= from && block <= until),
    put: (series, level, block, bytes) => {
      const key = `${series} ${level}`
      const known = blocks.get(key) ?? new Map<number, Uint8Array>()
      blocks.set(key, known.set(block, bytes))
    }
  }
}
