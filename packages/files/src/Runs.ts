/**
 * The runs of a recording, from its events. Pure.
 */
import type { DeviceDescription, EventRow } from "@sampleline/core"
import { Option, Schema } from "effect"
import { timeOf } from "./internal/Times.ts"

/**
 * A run. Times are microseconds since the epoch, UTC.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedRun {
  readonly id: string
  readonly startedAt: number
  /** When it ended. Null if it goes on or nobody knows: `cause` tells. */
  readonly endedAt: number | null
  /** Why it ended, e.g. `interrupted`; `unknown` if it was killed. Null: no end was recorded, so it may go on. */
  readonly cause: string | null
  readonly detail: string | null
  /** Polls a second; null if it was not polled on a grid, or this is not known. */
  readonly rateHz: number | null
  readonly host: string | null
  /** The version of the recorder. */
  readonly version: string | null
  readonly metadata: { readonly [name: string]: string }
  readonly devices: ReadonlyArray<DeviceDescription>
}

/**
 * The runs that these events tell of, in the order of their starts. A run whose start is missing is left out.
 *
 * @since 0.1.0
 * @category conversions
 */
export const runsOf = (events: Iterable<EventRow>): ReadonlyArray<RecordedRun> => {
  const runs = new Map<string, RecordedRun>()
  for (const row of events) {
    const run = runs.get(row.run_id)
    // A start that was written twice is one run.
    if (row.event === "RunStarted" && run === undefined) runs.set(row.run_id, startedRun(row))
    if (row.event === "RunEnded" && run !== undefined) {
      const { detail, reason: cause, until_at } = row
      runs.set(row.run_id, { ...run, endedAt: until_at === null ? null : timeOf(until_at), cause, detail })
    }
  }
  return [...runs.values()]
}

const startedRun = ({ at, data, run_id }: EventRow): RecordedRun => {
  const { devices, host, metadata, rate_hz: rateHz, version } = Option.getOrElse(decodeStart(data), () => NOTHING)
  return {
    id: run_id,
    startedAt: timeOf(at),
    endedAt: null,
    cause: null,
    detail: null,
    rateHz,
    host,
    version,
    metadata,
    devices: devices.map(({ calibration_date, serial_number, unit_id, ...device }) => ({
      ...device,
      unitId: unit_id,
      serialNumber: serial_number,
      calibrationDate: calibration_date
    }))
  }
}

const NullableText = Schema.NullOr(Schema.String)

/** The data of a `RunStarted`, as `eventToRow` gives them. */
const Start = Schema.Struct({
  rate_hz: Schema.NullOr(Schema.Finite),
  host: NullableText,
  version: NullableText,
  metadata: Schema.Record(Schema.String, Schema.String),
  devices: Schema.Array(Schema.Struct({
    device: Schema.String,
    unit_id: Schema.String,
    manufacturer: NullableText,
    model: NullableText,
    serial_number: NullableText,
    firmware: NullableText,
    calibration_date: NullableText,
    fields: Schema.Array(Schema.Struct({
      name: Schema.String,
      unit: NullableText,
      statistic: Schema.NullOr(Schema.Finite),
      kind: Schema.String
    }))
  }))
})

const decodeStart = Schema.decodeUnknownOption(Start)
const NOTHING: typeof Start.Type = { rate_hz: null, host: null, version: null, metadata: {}, devices: [] }
