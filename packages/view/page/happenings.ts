/**
 * What happened, made of run events: what the list says, and what is marked in the plots. Pure. Times are microseconds since the epoch.
 */
import type { EventRow } from "./api.ts"
import { lengthText, microsOf } from "./times.ts"

export const KINDS = ["hole", "alarm", "marker", "run", "output", "other"] as const

export type Kind = typeof KINDS[number]

export interface Happening {
  readonly kind: Kind
  /** Null: it concerns all devices. */
  readonly device: string | null
  /** Of an alarm; null: it concerns all fields. */
  readonly field: string | null
  readonly text: string
  readonly from: number
  /** Null: it goes on. The same as `from`: a moment. */
  readonly until: number | null
}

/** In the order of their beginnings. A hole and an alarm are one happening each, from its begin to its end. */
export const happeningsOf = (events: ReadonlyArray<EventRow>): ReadonlyArray<Happening> => {
  const happenings: Array<Happening> = []
  /** What goes on, by what ends it. */
  const open = new Map<string, Happening>()
  const close = (key: string) => {
    const begun = open.get(key)
    if (begun !== undefined) happenings.splice(happenings.indexOf(begun), 1)
    open.delete(key)
  }
  for (const row of events) {
    const key = `${row.event.startsWith("Alarm") ? `alarm ${row.detail}` : "device"} ${row.device}`
    const happening = happeningOf(row)
    if (row.event === "RunStarted") open.clear()
    if (ENDS.has(row.event)) close(key)
    if (BEGINS.has(row.event)) {
      close(key)
      open.set(key, happening)
    }
    if (row.event === "RunEnded") {
      for (const [key, begun] of open) {
        happenings[happenings.indexOf(begun)] = { ...begun, until: microsOf(row.at) }
        open.delete(key)
      }
    }
    happenings.push(happening)
  }
  return happenings.toSorted((a, b) => a.from - b.from)
}

const BEGINS = new Set(["DeviceFailing", "AlarmRaised"])
const ENDS = new Set(["DeviceBack", "DeviceLost", "AlarmCleared"])

const happeningOf = (row: EventRow): Happening => {
  const at = microsOf(row.at)
  const since = row.since_at === null ? at : microsOf(row.since_at)
  const until = row.until_at === null ? at : microsOf(row.until_at)
  const named = (text: string) => row.device === null || text.includes(row.device) ? text : `${row.device}: ${text}`
  const lasted = row.duration_s === null ? "" : `, ${lengthText(row.duration_s * 1e6)}`
  const concerned = { device: row.device, field: row.data?.field ?? null }
  const moment = { ...concerned, from: at, until: at }
  const stretch = { ...concerned, from: since, until }
  const why = [row.reason, row.detail].filter((part) => part !== null).join(": ")
  switch (row.event) {
    case "DeviceFailing":
      return { kind: "hole", ...stretch, until: null, text: named(`fails. ${why}`) }
    case "DeviceBack":
      return { kind: "hole", ...stretch, text: named(`no values${lasted}. ${why}`) }
    case "DeviceLost":
      return { kind: "hole", ...stretch, text: named(`lost until the end of the run${lasted}. ${why}`) }
    case "SlotsSkipped":
      return { kind: "hole", ...stretch, text: `${row.count} ticks skipped${lasted}. ${why}` }
    case "TicksDropped":
      return { kind: "hole", ...stretch, text: `${row.count} ticks dropped${lasted}. ${why}` }
    case "AlarmRaised":
      return { kind: "alarm", ...stretch, until: null, text: named(`${row.detail}, raised`) }
    case "AlarmCleared":
      return { kind: "alarm", ...stretch, text: named(`${row.detail}, cleared${lasted}`) }
    case "Marker":
      return { kind: "marker", ...moment, text: row.detail ?? "" }
    case "RunStarted":
      return { kind: "run", ...moment, text: "The run started." }
    case "RunEnded":
      return { kind: "run", ...moment, text: `The run ended${lasted}. ${why}` }
    case "OutputFailing":
    case "OutputBack":
    case "OutputGap":
      return { kind: "output", ...moment, text: `${SPOKEN[row.event]}. ${why}` }
    default:
      return { kind: "other", ...moment, text: named(`${SPOKEN[row.event] ?? row.event}. ${why}`) }
  }
}

const SPOKEN: { readonly [event: string]: string } = {
  OutputFailing: "An output fails",
  OutputBack: "An output works again",
  OutputGap: "An output lacks samples",
  ClockStepped: "The system clock jumped",
  DeviceChanged: "The device changed"
}

/** The happenings of these kinds that are seen at a time. Moments are seen from nearby. */
export const happeningAt = (
  happenings: ReadonlyArray<Happening>,
  time: number,
  nearby: number
): ReadonlyArray<Happening> =>
  happenings.filter(({ from, until }) => from - nearby <= time && (until === null || time <= until + nearby))
