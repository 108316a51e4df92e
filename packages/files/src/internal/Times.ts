/**
 * RFC 3339 text as microseconds since the epoch. Pure.
 *
 * A time without a zone is none: nobody knows where it was.
 */

const LENGTH = "2026-03-01T12:00:00.000123Z".length
const [DASH, T, COLON, POINT, Z] = [0x2d, 0x54, 0x3a, 0x2e, 0x5a]
const DAY_MICROS = 86_400_000_000

/** The time that these bytes are; NaN if they are none. All times of our own have one form: it needs no string. */
export const timeIn = (bytes: Uint8Array, from: number, to: number): number => {
  if (
    to - from !== LENGTH || bytes[from + 4] !== DASH || bytes[from + 7] !== DASH || bytes[from + 10] !== T
    || bytes[from + 13] !== COLON || bytes[from + 16] !== COLON || bytes[from + 19] !== POINT || bytes[from + 26] !== Z
  ) return timeOf(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1"))
  const day = dayMicros(
    pair(bytes, from) * 100 + pair(bytes, from + 2),
    pair(bytes, from + 5),
    pair(bytes, from + 8)
  )
  const [hour, minute, second] = [pair(bytes, from + 11), pair(bytes, from + 14), pair(bytes, from + 17)]
  const [a, b, c] = [pair(bytes, from + 20), pair(bytes, from + 22), pair(bytes, from + 24)]
  return isClock(hour, minute, second) && a >= 0 && b >= 0 && c >= 0
    ? day + ((hour * 60 + minute) * 60 + second) * 1_000_000 + a * 10_000 + b * 100 + c
    : Number.NaN
}

/**
 * The time that a text such as `2026-03-01T12:00:00.000123Z` is, in microseconds since the epoch; NaN if it is none.
 *
 * @since 0.1.0
 * @category conversions
 */
export const timeOf = (text: string): number => {
  if (text.length === LENGTH && text.charCodeAt(LENGTH - 1) === Z) {
    scratch.write(text, "latin1")
    if (scratch[4] === DASH && scratch[19] === POINT) return timeIn(scratch, 0, LENGTH)
  }
  const [, year, month, day, hour, minute, second, fraction = "", zone = ""] = FORM.exec(text) ?? []
  if (year === undefined || !isClock(Number(hour), Number(minute), Number(second))) return Number.NaN
  const seconds = (Number(hour) * 60 + Number(minute)) * 60 + Number(second)
  const micros = Number(fraction.slice(0, 6).padEnd(6, "0"))
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(zone) ?? []
  const offset = sign === undefined ? 0 : (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60
  return dayMicros(Number(year), Number(month), Number(day)) + (seconds - offset) * 1_000_000 + micros
}

const FORM = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:?\d\d)$/

const scratch = Buffer.alloc(LENGTH)

/** Two digits as a number; far below zero if they are none. */
const pair = (bytes: Uint8Array, at: number): number => {
  const [tens, ones] = [bytes[at]! - 0x30, bytes[at + 1]! - 0x30]
  return tens >>> 0 <= 9 && ones >>> 0 <= 9 ? tens * 10 + ones : -1_000_000
}

/** A leap second counts as the first of the next minute, as in every clock of a computer. */
const isClock = (hour: number, minute: number, second: number): boolean =>
  hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second <= 60

/** The last day: times mostly come in order. */
let last = { day: Number.NaN, micros: Number.NaN }

const dayMicros = (year: number, month: number, day: number): number => {
  const key = (year * 100 + month) * 100 + day
  if (key !== last.day) last = { day: key, micros: startOfDay(year, month, day) }
  return last.micros
}

/** NaN if there is no such day. */
const startOfDay = (year: number, month: number, day: number): number => {
  if (year < 0 || month < 1 || month > 12 || day < 1) return Number.NaN
  // `Date.UTC` would take the years before 100 for those of the 20th century.
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return date.getUTCDate() === day ? Math.round(date.getTime() / 86_400_000) * DAY_MICROS : Number.NaN
}
