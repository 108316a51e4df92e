/**
 * The bytes of one Parquet page, in a buffer that is reused. The encodings are those of
 * https://parquet.apache.org/docs/file-format/data-pages/encodings/. They take typed arrays: a BigInt, or an array of any values,
 * for each cell is what makes an encoder slow. Pure.
 */

/** The layout of deltas. */
const BLOCK = 128
const MINIBLOCKS = 4
const MINIBLOCK = BLOCK / MINIBLOCKS

/** As many bits as can be added to seven that wait, in 32 bits. */
const BITS_AT_ONCE = 24

/** The numbers of a column as deltas: no difference of two of them, or of two differences, loses a bit of a double. */
export const fitDeltas = (least: number, most: number): boolean => least >= -(2 ** 52) && most - least <= 2 ** 51

/** How many bits hold the whole numbers from 0 to `most`. */
export const bitsFor = (most: number): number =>
  most < 2 ** 32 ? 32 - Math.clz32(most) : 64 - Math.clz32(Math.floor(most / 2 ** 32))

export class PageBytes {
  private bytes = new Uint8Array(1 << 16)
  private view = new DataView(this.bytes.buffer)
  private end = 0
  private readonly deltas = new Float64Array(BLOCK)

  clear(): void {
    this.end = 0
  }

  /** What was written since `clear`. Valid until the next write. */
  content(): Uint8Array {
    return this.bytes.subarray(0, this.end)
  }

  get length(): number {
    return this.end
  }

  byte(byte: number): void {
    this.ensure(1)
    this.bytes[this.end++] = byte
  }

  /** DOUBLE, PLAIN. */
  doubles(values: Float64Array): void {
    this.ensure(values.length * 8)
    for (let at = 0; at < values.length; at++) this.view.setFloat64(this.end + at * 8, values[at]!, true)
    this.end += values.length * 8
  }

  /** INT64, PLAIN, of whole numbers up to 2^53. */
  integers(values: Float64Array): void {
    this.ensure(values.length * 8)
    for (let at = 0; at < values.length; at++) {
      const value = values[at]!
      const high = Math.floor(value / 2 ** 32)
      this.view.setUint32(this.end, value - high * 2 ** 32, true)
      this.view.setInt32(this.end + 4, high, true)
      this.end += 8
    }
  }

  /** BYTE_ARRAY, PLAIN: one text in UTF-8. */
  text(utf8: Uint8Array): void {
    this.ensure(4 + utf8.length)
    this.view.setUint32(this.end, utf8.length, true)
    this.bytes.set(utf8, this.end + 4)
    this.end += 4 + utf8.length
  }

  /** RLE: runs of eight or more equal values, and packed bits between them. At most 24 bits a value. */
  hybrid(values: Int32Array, bits: number): void {
    let packedFrom = 0
    for (let at = 0; at < values.length;) {
      const value = values[at]!
      let end = at + 1
      while (end < values.length && values[end] === value) end++
      if (end - at < 8) at += 8
      else {
        this.packed(values, packedFrom, at, bits)
        this.varint((end - at) * 2)
        for (let width = bits, rest = value; width > 0; width -= 8, rest >>>= 8) this.byte(rest & 0xff)
        packedFrom = at = end
      }
    }
    this.packed(values, packedFrom, values.length, bits)
  }

  /** DELTA_BINARY_PACKED, of whole numbers that `fitDeltas`. */
  differences(values: Float64Array): void {
    const { deltas } = this
    this.varint(BLOCK)
    this.varint(MINIBLOCKS)
    this.varint(values.length)
    this.zigzag(values[0] ?? 0)
    for (let start = 1; start < values.length; start += BLOCK) {
      const size = Math.min(BLOCK, values.length - start)
      let least = Infinity
      for (let at = 0; at < size; at++) {
        const delta = values[start + at]! - values[start + at - 1]!
        deltas[at] = delta
        if (delta < least) least = delta
      }
      this.zigzag(least)
      // A last miniblock is filled up.
      for (let at = 0; at < BLOCK; at++) deltas[at] = at < size ? deltas[at]! - least : 0
      this.miniblocks()
    }
  }

  /** The widths of the miniblocks, then their values. */
  private miniblocks(): void {
    const widths = this.end
    this.ensure(MINIBLOCKS + BLOCK * 8)
    this.end += MINIBLOCKS
    for (let block = 0; block < MINIBLOCKS; block++) {
      const start = block * MINIBLOCK
      let most = 0
      for (let at = start; at < start + MINIBLOCK; at++) if (this.deltas[at]! > most) most = this.deltas[at]!
      const width = bitsFor(most)
      this.bytes[widths + block] = width
      if (width > 0) this.packDeltas(start, width)
    }
  }

  private packDeltas(start: number, width: number): void {
    const { bytes, deltas } = this
    let { end } = this
    let waiting = 0
    let bits = 0
    for (let at = start; at < start + MINIBLOCK; at++) {
      let rest = deltas[at]!
      for (let left = width; left > 0; left -= BITS_AT_ONCE) {
        const isLast = left <= BITS_AT_ONCE
        const part = isLast ? rest : rest % 2 ** BITS_AT_ONCE
        if (!isLast) rest = Math.floor(rest / 2 ** BITS_AT_ONCE)
        waiting |= part << bits
        bits += isLast ? left : BITS_AT_ONCE
        for (; bits >= 8; bits -= 8, waiting >>>= 8) bytes[end++] = waiting
      }
    }
    this.end = end
  }

  /** A run of packed bits, in groups of eight values. The last group is filled up with zeros. */
  private packed(values: Int32Array, from: number, to: number, width: number): void {
    if (from === to) return
    const groups = Math.ceil((to - from) / 8)
    this.varint(groups * 2 + 1)
    this.ensure(groups * width)
    const { bytes } = this
    let { end } = this
    let waiting = 0
    let bits = 0
    for (let at = from; at < from + groups * 8; at++) {
      waiting |= (at < to ? values[at]! : 0) << bits
      bits += width
      for (; bits >= 8; bits -= 8, waiting >>>= 8) bytes[end++] = waiting
    }
    this.end = end
  }

  /** A whole number from 0 to 2^54 that a double holds. */
  private varint(value: number): void {
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.byte((rest % 0x80) | 0x80)
    this.byte(rest)
  }

  private zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value)
  }

  private ensure(more: number): void {
    if (this.end + more <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.end + more))
    larger.set(this.content())
    this.bytes = larger
    this.view = new DataView(larger.buffer)
  }
}
