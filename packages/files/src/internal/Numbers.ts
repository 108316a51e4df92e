/**
 * Decimal text as a double. Pure.
 *
 * The grammar is that of JSON, with `NaN`, `Infinity` and `-Infinity`: `007` and `+1` are texts, not numbers.
 */

const [MINUS, POINT, ZERO] = [0x2d, 0x2e, 0x30]
/** A number of so many digits, and a power of ten, are exact: dividing them rounds once, as it must. */
const EXACT_DIGITS = 15
const POWERS = Float64Array.from({ length: EXACT_DIGITS + 1 }, (_, exponent) => 10 ** exponent)
const FORM = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/i

/** The number that these bytes are; NaN for `NaN` and for what is no number: `isNaNText` tells. */
export const numberIn = (bytes: Uint8Array, from: number, to: number): number => {
  const isNegative = bytes[from] === MINUS
  const start = isNegative ? from + 1 : from
  let value = 0
  let point = -1
  for (let at = start; at < to; at++) {
    const byte = bytes[at]!
    const digit = byte - ZERO
    if (digit >>> 0 <= 9) value = value * 10 + digit
    else if (byte === POINT && point < 0) point = at
    else return slowly(bytes, from, to)
  }
  const whole = (point < 0 ? to : point) - start
  const decimals = point < 0 ? 0 : to - point - 1
  const isPlain = whole > 0 && (whole === 1 || bytes[start] !== ZERO) && (point < 0 || decimals > 0)
  if (!isPlain || whole + decimals > EXACT_DIGITS) return slowly(bytes, from, to)
  const size = decimals === 0 ? value : value / POWERS[decimals]!
  return isNegative && size !== 0 ? -size : size
}

const slowly = (bytes: Uint8Array, from: number, to: number): number =>
  numberOf(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1"))

/** The number that a text is; NaN if it is none. */
const numberOf = (text: string): number =>
  FORM.test(text) ? Number(text) + 0 : text === "Infinity" ? Infinity : text === "-Infinity" ? -Infinity : Number.NaN

/** Whether these bytes are `NaN`. */
export const isNaNText = (bytes: Uint8Array, from: number, to: number): boolean =>
  to - from === 3 && bytes[from] === 0x4e && bytes[from + 1] === 0x61 && bytes[from + 2] === 0x4e

/** Whether a text is a number, or `NaN`. */
export const isNumber = (text: string): boolean => text === "NaN" || !Number.isNaN(numberOf(text))
