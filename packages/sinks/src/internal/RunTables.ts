/**
 * The tables beside the samples in a database: `<table>_runs` has a row for each run, `<table>_events` one for each of its events, as
 * `eventToRow` gives them, and `<table>_columns` one for each column of each device of each run. Pure.
 *
 * They are made with the table. Where tables are not made, they are written if they are there with these columns.
 */
import {
  END_UNKNOWN,
  type EventRow,
  eventToRow,
  formatTimestamp,
  type RunEvent,
  type Sample,
  type SchemaLock
} from "@sampleline/core"
import { describeDevices } from "./Description.ts"

export type RunColumnType = "text" | "time" | "float" | "int" | "json"

export const EVENT_COLUMNS = {
  run_id: "text",
  at: "time",
  event: "text",
  device: "text",
  reason: "text",
  detail: "text",
  since_at: "time",
  until_at: "time",
  duration_s: "float",
  count: "int",
  data: "json"
} satisfies { readonly [column in keyof EventRow]: RunColumnType }

export const RUN_COLUMNS = {
  run_id: "text",
  started_at: "time",
  finished_at: "time",
  ended_by: "text",
  ended_detail: "text",
  rate_hz: "float",
  host: "text",
  version: "text",
  metadata: "json",
  devices: "json",
  samples: "int",
  counts: "json"
} satisfies { readonly [column: string]: RunColumnType }

/** What the numbers of the table mean. A run has its own rows: its devices and their units may be others. */
export const DESCRIPTION_COLUMNS = {
  run_id: "text",
  device: "text",
  unit_id: "text",
  manufacturer: "text",
  model: "text",
  serial_number: "text",
  firmware: "text",
  calibration_date: "text",
  column_name: "text",
  unit: "text",
  statistic: "int"
} satisfies { readonly [column: string]: RunColumnType }

export const runsOf = (table: string): string => `${table}_runs`
export const eventsOf = (table: string): string => `${table}_events`
export const descriptionOf = (table: string): string => `${table}_columns`

/** What is said once if there are no tables for events. */
export const eventsNotKept = (table: string): string =>
  `events are not kept: there are no tables ${runsOf(table)} and ${eventsOf(table)} for them`

/** Events are beside the samples: recording goes on without one. */
export const eventNotWritten = (why: string): string => `an event was not written: ${why}`

/** A row of one of the tables. Times are RFC 3339 text, JSON is text. */
export type RunCells = { readonly [column: string]: string | number | null }

export const eventCells = ({ data, ...row }: EventRow): RunCells => ({ ...row, data: json(data) })

/** The row of a run that begins. */
export const startCells = (event: Extract<RunEvent, { readonly _tag: "RunStarted" }>): RunCells => ({
  run_id: event.runId,
  started_at: formatTimestamp(event.at),
  rate_hz: event.rateHz,
  host: event.host,
  version: event.version,
  metadata: json(event.metadata),
  devices: json(eventToRow(event).data?.["devices"])
})

/** The rows that say what the columns of a run mean. */
export const descriptionCells = (batch: ReadonlyArray<Sample>, lock: SchemaLock): ReadonlyArray<RunCells> =>
  describeDevices(batch, lock).flatMap(({ columns, ...device }) =>
    columns.map(({ column, ...meaning }) => ({
      run_id: batch[0]!.run.id,
      ...device,
      column_name: column,
      ...meaning
    }))
  )

/** What the end of a run changes in its row. */
export const endCells = ({ count, data, detail, reason, until_at }: EventRow): RunCells => ({
  finished_at: until_at,
  ended_by: reason,
  ended_detail: detail,
  samples: count,
  counts: json(data)
})

/**
 * The end of a run that was killed, behind the ends of what still failed then. Nobody knows how it ended; `lastRowAt` is the time of its
 * last row, if that is known. `outages` are the events of this run that tell of devices that fail, in their order.
 */
export const endsOfKilled = (
  { at, lastRowAt, outages, runId, startedAt }: {
    readonly runId: string
    readonly startedAt: string
    readonly lastRowAt: string | null
    readonly at: string
    readonly outages: ReadonlyArray<OutageRow>
  }
): readonly [...lost: ReadonlyArray<EventRow>, end: EventRow] => {
  const failing = new Map<string | null, OutageRow>()
  for (const row of outages) {
    if (row.event === "DeviceFailing") failing.set(row.device, row)
    else failing.delete(row.device)
  }
  const row = { run_id: runId, at, until_at: lastRowAt, duration_s: null, count: null, data: null }
  const lost = [...failing.values()].map(({ at: since_at, detail, device, reason }): EventRow => ({
    ...row,
    event: "DeviceLost",
    device,
    reason,
    detail,
    since_at,
    // It may have failed from the last row on.
    until_at: lastRowAt !== null && lastRowAt < since_at ? since_at : lastRowAt
  }))
  const end: EventRow = {
    ...row,
    event: "RunEnded",
    device: null,
    reason: "unknown",
    detail: END_UNKNOWN,
    since_at: startedAt
  }
  return [...lost, end]
}

/** What is known of an event that tells of a device that fails. */
export type OutageRow = Pick<EventRow, "at" | "device" | "reason" | "detail"> & { readonly event: string }

/** The events that tell of devices that fail. */
export const OUTAGE_EVENTS: ReadonlyArray<string> = ["DeviceFailing", "DeviceBack", "DeviceLost"]

/** A run without an end may still go on. It is taken for killed if no row came since this time. */
export const silentSince = ({ at }: RunEvent): string => formatTimestamp(at - 60_000_000)

const json = (value: unknown): string | null => value === null || value === undefined ? null : JSON.stringify(value)
