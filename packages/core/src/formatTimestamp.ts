/**
 * The text form of a time.
 */

/**
 * Microseconds since the epoch as RFC 3339 text, UTC, with six decimals: `2026-03-01T12:00:00.000123Z`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const formatTimestamp = (micros: number): string => {
  const second = Math.floor(micros / 1_000_000)
  if (second !== lastSecond.at) {
    lastSecond = { at: second, text: new Date(second * 1000).toISOString().slice(0, -4) }
  }
  return `${lastSecond.text}${String(1_000_000 + (micros - second * 1_000_000)).slice(1)}Z`
}

/** The text of the last second, up to the decimal point. Most times come in order, many in the same second. */
let lastSecond = { at: Number.NaN, text: "" }
