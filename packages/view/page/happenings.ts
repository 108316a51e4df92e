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

/** Why ticks were skipped. */
const CAUSES = new Map([
  ["poll", "A device did not answer in time"],
  ["bus", "The devices took longer than a tick to answer"],
  ["buffer", "The outputs did not keep up"],
  ["machine", "The machine was busy"]
])

const happeningOf = (row: EventRow): Happening => {
  const at = microsOf(row.at)
  const since = row.since_at === null ? at : microsOf(row.since_at)
  const until = row.until_at === null ? at : microsOf(row.until_at)
  const concerned = { device: row.device, field: row.data?.field ?? null }
  const moment = { ...concerned, from: at, until: at }
  const stretch = { ...concerned, from: since, until }
  const named = (text: string) => row.device === null ? text : `${row.device}: ${text}`
  const lasted = row.duration_s === null ? "" : `, ${lengthText(row.duration_s * 1e6)}`
  const reason = row.event === "SlotsSkipped" ? CAUSES.get(row.reason ?? "") ?? null : row.reason
  const why = [reason, row.detail].filter((part) => part !== null).join(": ")
  const because = (text: string) => why === "" ? text : `${text}. ${why}`
  // An alarm of any device has a star in place of the name.
  const alarm = row.detail?.startsWith("*") === true ? named(row.detail) : row.detail
  switch (row.event) {
    case "DeviceFailing":
      return { kind: "hole", ...stretch, until: null, text: because(named("fails")) }
    case "DeviceBack":
      return { kind: "hole", ...stretch, text: because(named(`no values${lasted}`)) }
    case "DeviceLost":
      return { kind: "hole", ...stretch, text: because(named(`lost until the end of the run${lasted}`)) }
    case "SlotsSkipped":
      return { kind: "hole", ...stretch, text: because(`${row.count} ticks skipped${lasted}`) }
    case "TicksDropped":
      return { kind: "hole", ...stretch, text: because(`${row.count} ticks dropped${lasted}`) }
    case "AlarmRaised":
      return { kind: "alarm", ...stretch, until: null, text: `${alarm}, raised` }
    case "AlarmCleared":
      return { kind: "alarm", ...stretch, text: `${alarm}, cleared${lasted}` }
    case "Marker":
      return { kind: "marker", ...moment, text: row.detail ?? "" }
    case "RunStarted":
      return { kind: "run", ...moment, text: "The run started" }
    case "RunEnded":
      return { kind: "run", ...moment, text: because(`The run ended${lasted}`) }
    case "OutputFailing":
      return { kind: "output", ...moment, text: because(`${row.data?.target} fails`) }
    case "OutputBack":
      return { kind: "output", ...moment, text: because(`${row.data?.target} works again`) }
    case "OutputGap":
      return { kind: "output", ...moment, text: because(`${row.data?.target} lacks ${row.count} samples`) }
    case "ClockStepped":
      return { kind: "other", ...moment, text: "The system clock jumped" }
    case "DeviceChanged":
      return { kind: "other", ...moment, text: because(named("the device changed")) }
    default:
      return { kind: "other", ...moment, text: because(named(row.event)) }
  }
}

/** The happenings that are seen at a time. Moments are seen from nearby. */
export const happeningAt = (
  happenings: ReadonlyArray<Happening>,
  time: number,
  nearby: number
): ReadonlyArray<Happening> =>
  happenings.filter(({ from, until }) => from - nearby <= time && (until === null || time <= until + nearby))
