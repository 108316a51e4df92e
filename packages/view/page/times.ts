/**
 * Times, spans and numbers as texts. Times are microseconds since the epoch.
 */

/** How clocks are read: as they are where the page is looked at, or in UTC. */
export interface Zone {
  readonly isUtc: boolean
}

const SECOND = 1e6
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

/** What to add to a time so that UTC reads as the zone does. */
const offsetAt = (time: number, { isUtc }: Zone): number =>
  isUtc ? 0 : -new Date(time / 1000).getTimezoneOffset() * MINUTE

/** `UTC`, `UTC+01:00`. */
export const zoneText = (time: number, zone: Zone): string => {
  const minutes = offsetAt(time, zone) / MINUTE
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
  return minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "-" : "+"}${two(hours)}:${two(rest)}`
}

const two = (value: number): string => String(value).padStart(2, "0")

/** The parts of a time as the zone reads it: `2026-11-29`, `14:03:10`, `123456`. */
const partsOf = (time: number, zone: Zone) => {
  const text = isoText(time + offsetAt(time, zone))
  return { date: text.slice(0, 10), clock: text.slice(11, 19), fraction: text.slice(20, 26) }
}

/** `2026-11-29T14:03:10.123456Z`. */
export const isoText = (time: number): string => {
  const micros = Math.round(time)
  const seconds = Math.floor(micros / SECOND)
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(micros - seconds * SECOND).padStart(6, "0")}Z`
}

/** A time of day with as many digits as a step of this length needs. */
export const clockText = (time: number, step: number, zone: Zone): string => {
  const { clock, fraction } = partsOf(time, zone)
  const digits = step >= SECOND ? 0 : Math.min(6, Math.ceil(-Math.log10(step / SECOND)))
  return digits === 0 ? clock : `${clock}.${fraction.slice(0, digits)}`
}

export const stampText = (time: number, step: number, zone: Zone): string =>
  `${partsOf(time, zone).date} ${clockText(time, step, zone)}`

/** Microseconds of a time such as `2026-11-29T14:03:10.123456Z`. */
export const microsOf = (iso: string): number => {
  const fraction = /\.(\d+)/.exec(iso)?.[1] ?? ""
  return Date.parse(iso.replace(/\.\d+/, "")) * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6))
}

/** `0:01:00`, in hours, minutes and seconds. */
export const elapsedText = (micros: number): string => {
  const seconds = Math.max(0, Math.floor(micros / SECOND))
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

/** `3.5 s`, `10 min`, with at most three digits. */
export const lengthText = (micros: number): string => {
  const [unit, name] = micros < 1000
    ? [1, "us"]
    : micros < SECOND
    ? [1000, "ms"]
    : micros < 2 * MINUTE
    ? [SECOND, "s"]
    : micros < 2 * HOUR
    ? [MINUTE, "min"]
    : micros < 2 * DAY
    ? [HOUR, "h"]
    : [DAY, "d"] as const
  return `${Number((micros / unit).toPrecision(3))} ${name}`
}

export const ageText = (seconds: number): string => seconds < 1 ? "<1 s" : lengthText(Math.floor(seconds) * SECOND)

/** A value with five digits, as narrow as it can be read. */
export const numberText = (value: number, digits = 5): string => {
  const size = Math.abs(value)
  if (!Number.isFinite(value)) return String(value)
  if (size !== 0 && (size >= 1e7 || size < 1e-4)) return value.toExponential(Math.min(3, digits - 1))
  const whole = size < 1 ? 1 : Math.floor(Math.log10(size)) + 1
  return value.toFixed(Math.max(0, digits - whole))
}

/** The steps between ticks of a time axis. */
export const TICK_STEPS = [
  ...[1, 10, 100, 1e3, 1e4, 1e5].flatMap((micros) => [micros, 2 * micros, 5 * micros]),
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 365].map((days) => days * DAY)
]

/** The ticks of a time axis: whole steps of the clock in its zone. */
export const ticksOf = (from: number, until: number, step: number, zone: Zone): Array<number> => {
  const ticks: Array<number> = []
  for (let at = Math.ceil((from + offsetAt(from, zone)) / step) * step;; at += step) {
    const tick = at - offsetAt(at - offsetAt(at, zone), zone)
    if (!(tick <= until)) return ticks
    // An hour that the clocks leave out has no tick of its own.
    if (tick !== ticks.at(-1)) ticks.push(tick)
  }
}

/** The texts of ticks. The first one, and the first of a day, have the date in a second line. */
export const tickTexts = (ticks: ReadonlyArray<number>, step: number, zone: Zone): Array<string> =>
  ticks.map((tick, at) => {
    const { date } = partsOf(tick, zone)
    const before = ticks[at - 1]
    const day = `${Number(date.slice(8))} ${MONTHS[Number(date.slice(5, 7)) - 1]}`
    if (step >= DAY) {
      return at === 0 || before !== undefined && partsOf(before, zone).date.slice(0, 4) !== date.slice(0, 4)
        ? `${day}\n${date.slice(0, 4)}`
        : day
    }
    const clock = clockText(tick, step, zone)
    const text = step >= MINUTE ? clock.slice(0, 5) : clock
    return before === undefined || partsOf(before, zone).date !== date ? `${text}\n${day}` : text
  })
