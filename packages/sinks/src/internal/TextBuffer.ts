/**
 * Text as bytes, in a buffer that is used again and again: a batch makes no strings. Pure; what `number` and `timestamp` write is
 * exactly the text of `String` and `formatTimestamp`, got faster for the values that instruments send.
 */
import { formatTimestamp } from "@sampleline/core"

/** The three digits of 0 to 999, one after the other. */
const DIGITS = Uint8Array.from(
  { length: 3000 },
  (_, at) => 0x30 + Math.floor(Math.floor(at / 3) / 10 ** (2 - at % 3)) % 10
)

const ZERO = 0x30
const POINT = 0x2e
const MINUS = 0x2d
const MICROS = 1_000_000
/** More than any number or time takes. */
const ROOM = 64

export class TextBuffer {
  private bytes = Buffer.allocUnsafe(1 << 16)
  private end = 0
  /** The second of the last time, and its text up to the point. */
  private second = Number.NaN
  private secondText = new Uint8Array()

  clear(): void {
    this.end = 0
  }

  /** What was written since `clear`; valid until something else is written. */
  content(): Uint8Array {
    return this.bytes.subarray(0, this.end)
  }

  byte(byte: number): void {
    if (this.end === this.bytes.length) this.ensure(1)
    this.bytes[this.end++] = byte
  }

  /** Bytes that are text already. */
  raw(bytes: Uint8Array): void {
    this.ensure(bytes.length)
    for (let at = 0; at < bytes.length; at++) this.bytes[this.end++] = bytes[at]!
  }

  /** Any text, in UTF-8. */
  text(text: string): void {
    this.ensure(text.length * 3)
    this.end += this.bytes.write(text, this.end)
  }

  /** The text if it has only characters of `plain`, a table of what is written as it is; writes nothing otherwise. */
  plain(text: string, plain: Uint8Array): boolean {
    const { length } = text
    this.ensure(length)
    const { bytes, end } = this
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(at)
      if (plain[code] !== 1) return false
      bytes[end + at] = code
    }
    this.end = end + length
    return true
  }

  /** A finite number, as `String` gives it. */
  number(value: number): void {
    this.ensure(ROOM)
    const size = Math.abs(value)
    if (size < 1e9) {
      const thousandths = Math.round(size * 1000)
      if (thousandths / 1000 === size) {
        return this.decimal(value < 0, Math.floor(thousandths / 1000), thousandths % 1000 * 1000)
      }
      const millionths = Math.round(size * MICROS)
      if (millionths / MICROS === size) {
        return this.decimal(value < 0, Math.floor(millionths / MICROS), millionths % MICROS)
      }
    }
    this.end += this.bytes.write(String(value), this.end, "latin1")
  }

  /** Microseconds since the epoch, as `formatTimestamp` gives them. */
  timestamp(micros: number): void {
    this.ensure(ROOM)
    const second = Math.floor(micros / MICROS)
    if (second !== this.second) {
      this.secondText = Buffer.from(formatTimestamp(second * MICROS).slice(0, -7), "latin1")
      this.second = second
    }
    const { bytes, secondText } = this
    for (let at = 0; at < secondText.length; at++) bytes[this.end++] = secondText[at]!
    this.sixDigits(micros - second * MICROS)
    bytes[this.end++] = 0x5a
  }

  private decimal(isNegative: boolean, whole: number, millionths: number): void {
    const { bytes } = this
    if (isNegative) bytes[this.end++] = MINUS
    this.whole(whole)
    if (millionths === 0) return
    bytes[this.end++] = POINT
    this.sixDigits(millionths)
    while (bytes[this.end - 1] === ZERO) this.end--
  }

  /** A whole number below 10^9, without leading zeros. */
  private whole(value: number): void {
    const { bytes } = this
    if (value >= 1000) {
      const thousands = Math.floor(value / 1000)
      this.whole(thousands)
      this.threeDigits(value - thousands * 1000)
      return
    }
    if (value >= 100) bytes[this.end++] = DIGITS[value * 3]!
    if (value >= 10) bytes[this.end++] = DIGITS[value * 3 + 1]!
    bytes[this.end++] = DIGITS[value * 3 + 2]!
  }

  private sixDigits(value: number): void {
    const thousands = Math.floor(value / 1000)
    this.threeDigits(thousands)
    this.threeDigits(value - thousands * 1000)
  }

  private threeDigits(value: number): void {
    const { bytes, end } = this
    const from = value * 3
    bytes[end] = DIGITS[from]!
    bytes[end + 1] = DIGITS[from + 1]!
    bytes[end + 2] = DIGITS[from + 2]!
    this.end = end + 3
  }

  private ensure(room: number): void {
    if (this.end + room <= this.bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.end + room))
    this.bytes.copy(larger, 0, 0, this.end)
    this.bytes = larger
  }
}

/** The table of characters for `plain`: printable ASCII but for these. */
export const printableBut = (special: string): Uint8Array =>
  Uint8Array.from(
    { length: 128 },
    (_, code) => code < 0x20 || code > 0x7e || special.includes(String.fromCharCode(code)) ? 0 : 1
  )
