/**
 * Text as bytes, in a buffer that is used again and again: a batch makes no strings. Pure; what `number` and `timestamp` write is
 * exactly the text of `String` and `formatTimestamp`, got faster for the values that instruments send.
 *
 * Bytes are written four at a time, where that is faster also beyond the end of what is meant: the next ones overwrite them.
 */
import { formatTimestamp } from "@sampleline/core"

const POINT = 0x2e
const MINUS = 0x2d
const ZERO = 0x30
const Z = 0x5a
/** More than any number or time takes, with what is written beyond its end. */
const ROOM = 64
/** `2026-03-01T12:00` */
const MINUTE_LENGTH = 16
const MINUTE_MICROS = 60_000_000

/** Text that is written as it is. */
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

/** 0 to 999 with leading zeros, and without. */
const THREE_DIGITS = Int32Array.from({ length: 1000 }, (_, value) => ready(String(value).padStart(3, "0")).words[0]!)
const DIGITS = Int32Array.from({ length: 1000 }, (_, value) => ready(String(value)).words[0]!)

/** `:00.` to `:59.` */
const SECONDS = Int32Array.from({ length: 60 }, (_, value) => ready(`:${String(value).padStart(2, "0")}.`).words[0]!)

export class TextBuffer {
  private bytes = Buffer.allocUnsafe(1 << 16)
  private view = viewOf(this.bytes)
  private end = 0
  /** Up to here there is room for any number or time. */
  private safe = this.bytes.length - ROOM
  /** The begin of the last time's minute, in microseconds, and its text. */
  private minute = Number.NaN
  private minuteText = ready("")

  clear(): void {
    this.end = 0
  }

  /** What was written since `clear`; valid until something else is written. */
  content(): Buffer {
    return this.bytes.subarray(0, this.end)
  }

  get length(): number {
    return this.end
  }

  byte(byte: number): void {
    if (this.end > this.safe) this.grow(1)
    this.view.setUint8(this.end++, byte)
  }

  /** Writes over the last byte. */
  lastByte(byte: number): void {
    this.view.setUint8(this.end - 1, byte)
  }

  ready(text: Ready): void {
    if (this.end + text.length > this.safe) this.grow(text.length)
    this.end = writeReady(this.view, this.end, text)
  }

  /** A finite number, as `String` gives it. */
  number(value: number): void {
    if (this.end > this.safe) this.grow(0)
    const end = writeDecimal(this.view, this.end, value)
    this.end = end >= 0 ? end : this.end + this.bytes.write(String(value), this.end, "latin1")
  }

  /** Microseconds since the epoch, as `formatTimestamp` gives them. */
  timestamp(micros: number): void {
    if (this.end > this.safe) this.grow(0)
    let rest = micros - this.minute
    if (!(rest >= 0 && rest < MINUTE_MICROS)) {
      this.minute = Math.floor(micros / MINUTE_MICROS) * MINUTE_MICROS
      this.minuteText = ready(formatTimestamp(micros).slice(0, -":00.000000Z".length))
      rest = micros - this.minute
    }
    const { minuteText, view } = this
    // All but the years before 0 and after 9999 have this length.
    const end = minuteText.length === MINUTE_LENGTH
      ? writeMinute(view, this.end, minuteText.words)
      : writeReady(view, this.end, minuteText)
    const inMinute = rest | 0
    const second = (inMinute / 1_000_000) | 0
    view.setInt32(end, SECONDS[second]!, true)
    this.end = writeSixDigits(view, end + 4, inMinute - second * 1_000_000) + 1
    view.setUint8(this.end - 1, Z)
  }

  private grow(room: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.end + room + ROOM))
    this.bytes.copy(larger, 0, 0, this.end)
    this.bytes = larger
    this.view = viewOf(larger)
    this.safe = larger.length - ROOM
  }
}

export const viewOf = (bytes: Buffer) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

// Each writes at `end` and gives the new end.

export const writeReady = (view: DataView, end: number, { length, words }: Ready): number => {
  for (let at = 0; at < words.length; at++) view.setInt32(end + at * 4, words[at]!, true)
  return end + length
}

const writeMinute = (view: DataView, end: number, words: Int32Array): number => {
  view.setInt32(end, words[0]!, true)
  view.setInt32(end + 4, words[1]!, true)
  view.setInt32(end + 8, words[2]!, true)
  view.setInt32(end + 12, words[3]!, true)
  return end + MINUTE_LENGTH
}

/**
 * A number of at most three or six decimals, from its digits: they are those of the shortest text that gives this number, as long
 * as there are no more than fifteen of them. Gives -1, and has written nothing that counts, where it is another number.
 */
const writeDecimal = (view: DataView, start: number, value: number): number => {
  const size = value < 0 ? -value : value
  let end = start
  if (value < 0) view.setUint8(end++, MINUS)
  if (size < 2_000_000) {
    const thousandths = (size * 1000 + 0.5) | 0
    if (thousandths / 1000 === size) {
      const whole = (thousandths / 1000) | 0
      const fraction = thousandths - whole * 1000
      end = writeWhole(view, end, whole)
      if (fraction === 0) return end
      view.setUint8(end, POINT)
      view.setInt32(end + 1, THREE_DIGITS[fraction]!, true)
      return fraction % 10 !== 0 ? end + 4 : fraction % 100 !== 0 ? end + 3 : end + 2
    }
    if (size >= 2000) return -1
    const millionths = (size * 1_000_000 + 0.5) | 0
    if (millionths / 1_000_000 !== size) return -1
    const whole = (millionths / 1_000_000) | 0
    end = writeWhole(view, end, whole)
    view.setUint8(end, POINT)
    end = writeSixDigits(view, end + 1, millionths - whole * 1_000_000)
    while (view.getUint8(end - 1) === ZERO) end--
    return end
  }
  return (size | 0) === size ? writeWhole(view, end, size) : -1
}

/** A whole number below 2^31. */
const writeWhole = (view: DataView, end: number, value: number): number => {
  if (value >= 1000) {
    const thousands = (value / 1000) | 0
    const after = writeWhole(view, end, thousands)
    view.setInt32(after, THREE_DIGITS[value - thousands * 1000]!, true)
    return after + 3
  }
  view.setInt32(end, DIGITS[value]!, true)
  return value < 10 ? end + 1 : value < 100 ? end + 2 : end + 3
}

const writeSixDigits = (view: DataView, end: number, value: number): number => {
  const thousands = (value / 1000) | 0
  view.setInt32(end, THREE_DIGITS[thousands]!, true)
  view.setInt32(end + 3, THREE_DIGITS[value - thousands * 1000]!, true)
  return end + 6
}

/**
 * Texts as they are written, kept by their value: names, gases and status codes are the same few in all rows, and mostly those of
 * the row before. Texts that are not are forgotten in time.
 */
export class TextCache {
  private readonly last: Array<{ readonly text: string; readonly ready: Ready } | undefined> = []
  private readonly known = new Map<string, { readonly text: string; readonly ready: Ready }>()
  private readonly write: (text: string) => Ready

  constructor(write: (text: string) => Ready) {
    this.write = write
  }

  /** `at` is the text's place in its row. */
  get(text: string, at: number): Ready {
    const last = this.last[at]
    if (last !== undefined && last.text === text) return last.ready
    const found = this.known.get(text) ?? { text, ready: this.write(text) }
    this.last[at] = found
    if (this.known.size === MAX_TEXTS) this.known.clear()
    if (text.length <= MAX_LENGTH) this.known.set(text, found)
    return found.ready
  }
}

const MAX_TEXTS = 1000
const MAX_LENGTH = 100
