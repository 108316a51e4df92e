/**
 * Numbers and times as the bytes of their text, without making strings. Pure. `int` and `timestamp` write exactly the text of
 * `String` and `formatTimestamp`, but faster for values that instruments send. `float` adds `.0` to a whole number: readers
 * that guess types must not take a column of floats for integers.
 */
import { formatTimestamp } from "@sampleline/core"
import { ByteBuffer, ready, writeReady } from "./ByteBuffer.ts"

const POINT = 0x2e
const MINUS = 0x2d
const ZERO = 0x30
const Z = 0x5a
/** `2026-03-01T12:00` */
const MINUTE_LENGTH = 16
const MINUTE_MICROS = 60_000_000

/** The bytes of at most four characters, as one integer. */
const word = (ascii: string): number =>
  Array.from(ascii).reduce((bytes, char, at) => bytes | char.charCodeAt(0) << (8 * at), 0)

/** 0 to 999 with leading zeros, and without. */
const THREE_DIGITS = Int32Array.from({ length: 1000 }, (_, value) => word(String(value).padStart(3, "0")))
const DIGITS = Int32Array.from({ length: 1000 }, (_, value) => word(String(value)))

/** `.0`, `.001` to `.999`, without zeros at the end. */
const fractions = Array.from(
  { length: 1000 },
  (_, value) => `.${String(value).padStart(3, "0").replace(/0{1,2}$/, "")}`
)
const FRACTIONS = Int32Array.from(fractions, word)
const FRACTION_LENGTHS = Uint8Array.from(fractions, ({ length }) => length)

/** `:00.` to `:59.` */
const SECONDS = Int32Array.from({ length: 60 }, (_, value) => word(`:${String(value).padStart(2, "0")}.`))

export class TextBuffer extends ByteBuffer {
  /** When the minute of the last time began, in microseconds, and its text. */
  private minute = Number.NaN
  private minuteText = ready("")

  /** Writes over the last byte. */
  lastByte(byte: number): void {
    this.view.setUint8(this.end - 1, byte)
  }

  /** A number as `String` gives it, but always with a point or an exponent; or `NaN`, `Infinity`, `-Infinity`. */
  float(value: number): void {
    this.ensure(0)
    const end = writeDecimal(this.view, this.end, value)
    if (end >= 0) this.end = end
    else this.ascii(floatText(value))
  }

  /** A number as `String` gives it. */
  int(value: number): void {
    this.ensure(0)
    if (value >= 0 && (value | 0) === value) this.end = writeWhole(this.view, this.end, value)
    else this.ascii(String(value))
  }

  /** Microseconds since the epoch, as `formatTimestamp` gives them. */
  timestamp(micros: number): void {
    this.ensure(0)
    let rest = micros - this.minute
    if (!(rest >= 0 && rest < MINUTE_MICROS)) {
      this.minute = Math.floor(micros / MINUTE_MICROS) * MINUTE_MICROS
      this.minuteText = ready(formatTimestamp(micros).slice(0, -":00.000000Z".length))
      rest = micros - this.minute
    }
    const { minuteText, view } = this
    // Every year from 0 to 9999 has this length.
    const end = minuteText.length === MINUTE_LENGTH
      ? writeMinute(view, this.end, minuteText.words)
      : writeReady(view, this.end, minuteText)
    const inMinute = rest | 0
    const second = (inMinute / 1_000_000) | 0
    view.setInt32(end, SECONDS[second]!, true)
    this.end = writeSixDigits(view, end + 4, inMinute - second * 1_000_000) + 1
    view.setUint8(this.end - 1, Z)
  }

  /** Shorter than the room for one value. */
  private ascii(text: string): void {
    this.end += this.bytes.write(text, this.end, "latin1")
  }
}

const floatText = (value: number): string => {
  const text = String(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

// Each of these writes at `end` and gives the new end.

const writeMinute = (view: DataView, end: number, words: Int32Array): number => {
  view.setInt32(end, words[0]!, true)
  view.setInt32(end + 4, words[1]!, true)
  view.setInt32(end + 8, words[2]!, true)
  view.setInt32(end + 12, words[3]!, true)
  return end + MINUTE_LENGTH
}

/**
 * A number of at most six decimals, and at least one, from its digits. Up to fifteen digits they are the shortest text that gives this number. Gives
 * -1 for any other number; what it has written then does not count.
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
      view.setInt32(end, FRACTIONS[fraction]!, true)
      return end + FRACTION_LENGTHS[fraction]!
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
  if ((size | 0) !== size) return -1
  end = writeWhole(view, end, size)
  view.setInt32(end, FRACTIONS[0]!, true)
  return end + FRACTION_LENGTHS[0]!
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
