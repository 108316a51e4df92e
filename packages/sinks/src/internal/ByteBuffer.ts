/**
 * The bytes of a batch, in a buffer that is reused. Pure.
 *
 * Texts are written four bytes at a time, which may write beyond their end. The next value overwrites that.
 */

/** More than any value takes that is not `Ready`, including the bytes beyond its end. */
const ROOM = 64

/** Text in the form in which it is written. */
export interface Ready {
  readonly length: number
  readonly words: Int32Array
}

export const ready = (text: string): Ready => readyBytes(Buffer.from(text))

export const readyBytes = (bytes: Buffer): Ready => {
  const padded = Buffer.concat([bytes, Buffer.alloc(3)])
  return {
    length: bytes.length,
    words: Int32Array.from({ length: Math.ceil(bytes.length / 4) }, (_, at) => padded.readInt32LE(at * 4))
  }
}

export class ByteBuffer {
  protected bytes = Buffer.allocUnsafe(1 << 16)
  protected view = viewOf(this.bytes)
  protected end = 0
  /** Before this position there is room for any one value. */
  private safe = this.bytes.length - ROOM

  clear(): void {
    this.end = 0
  }

  /** What was written since `clear`. Valid until the next write. */
  content(): Buffer {
    return this.bytes.subarray(0, this.end)
  }

  get length(): number {
    return this.end
  }

  byte(byte: number): void {
    this.ensure(0)
    this.view.setUint8(this.end++, byte)
  }

  ready(text: Ready): void {
    this.ensure(text.length)
    this.end = writeReady(this.view, this.end, text)
  }

  /** Makes room for one value and `more` bytes. */
  protected ensure(more: number): void {
    if (this.end + more > this.safe) this.grow(more)
  }

  private grow(more: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.end + more + ROOM))
    this.bytes.copy(larger, 0, 0, this.end)
    this.bytes = larger
    this.view = viewOf(larger)
    this.safe = larger.length - ROOM
  }
}

/** Writes at `end`; gives the new end. */
export const writeReady = (view: DataView, end: number, { length, words }: Ready): number => {
  for (let at = 0; at < words.length; at++) view.setInt32(end + at * 4, words[at]!, true)
  return end + length
}

const viewOf = (bytes: Buffer) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
