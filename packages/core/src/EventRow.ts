/**
 * A run event as a row: the same columns for all events, in every output.
 */
import { deviceToRow } from "./DeviceDescription.ts"
import { formatTimestamp } from "./formatTimestamp.ts"
import { RunEvent } from "./RunEvent.ts"

/**
 * One event as a row. `count` is the number of failed polls, skipped slots or dropped ticks. For an alarm it is how often it was
 * raised since its last event, and for the end of a run the number of samples. `data` has everything else.
 *
 * @since 0.1.0
 * @category models
 */
export interface EventRow {
  readonly run_id: string
  /** RFC 3339, UTC, with microseconds, like all times here. */
  readonly at: string
  /** E.g. `DeviceBack`. */
  readonly event: RunEvent["_tag"]
  readonly device: string | null
  readonly reason: string | null
  readonly detail: string | null
  /**
   * From when to when something was missing. For a step of the system clock: what it showed before and after. For the end of a
   * run: the time of the run.
   */
  readonly since_at: string | null
  readonly until_at: string | null
  /** How long that was, in seconds. Unlike the times it does not jump with the system clock; a step itself takes no time. */
  readonly duration_s: number | null
  readonly count: number | null
  readonly data: { readonly [key: string]: unknown } | null
}

/**
 * @since 0.1.0
 * @category conversions
 */
export const eventToRow = (event: RunEvent): EventRow => {
  const row = (columns: Partial<EventRow>): EventRow => ({
    run_id: event.runId,
    at: formatTimestamp(event.at),
    event: event._tag,
    device: null,
    reason: null,
    detail: null,
    since_at: null,
    until_at: null,
    duration_s: null,
    count: null,
    data: null,
    ...columns
  })
  // Its times are in the data: those of the columns are holes.
  const alarm = ({ alarm, count, device, field, target, threshold, unit, value }: Alarm, times: Partial<EventRow>) =>
    row({ device, detail: alarm, count, data: { target, field, value, unit, threshold, ...times } })
  const outage = ({ detail, device, failures, reason, reasons, ...stretch }: Outage) =>
    row({ device, reason, detail, ...between(stretch), count: failures, data: { reasons } })
  return RunEvent.match(event, {
    RunStarted: ({ devices, host, metadata, rateHz, version }) =>
      row({ data: { rate_hz: rateHz, host, version, metadata, devices: devices.map(deviceToRow) } }),
    DeviceFailing: ({ detail, device, reason }) => row({ device, reason, detail }),
    DeviceChanged: ({ detail, device }) => row({ device, detail }),
    DeviceBack: outage,
    DeviceLost: outage,
    SlotsSkipped: ({ cause, causes, count, fromTick, toTick, ...stretch }) =>
      row({ reason: cause, ...between(stretch), count, data: { causes, from_tick: fromTick, to_tick: toTick } }),
    TicksDropped: ({ count, failures, ...stretch }) =>
      row({ reason: "buffer", ...between(stretch), count, data: { failures } }),
    ClockStepped: ({ at, jumpMicros }) =>
      row({
        reason: "clock",
        ...between({ since: at - jumpMicros, until: at, lastedMicros: 0 }),
        data: { jump_us: jumpMicros }
      }),
    OutputFailing: ({ detail, sink, target }) => row({ detail, data: { sink, target } }),
    OutputBack: ({ sink, target }) => row({ data: { sink, target } }),
    OutputGap: ({ count, detail, sink, target }) => row({ detail, count, data: { sink, target } }),
    Marker: ({ text }) => row({ detail: text }),
    AlarmRaised: (raised) => alarm(raised, { since_at: formatTimestamp(raised.since) }),
    AlarmCleared: (cleared) => alarm(cleared, between(cleared)),
    RunEnded: ({ at, cause, detail, lastedMicros, samples, startedAt, ...end }) =>
      row({
        reason: cause,
        detail,
        ...between({ since: startedAt, until: at, lastedMicros }),
        count: samples,
        data: {
          ticks: end.ticks,
          thinned: end.thinned,
          ticks_skipped: end.ticksSkipped,
          ticks_dropped: end.ticksDropped,
          max_drift_ms: end.maxDriftMs,
          failures: end.failures,
          field_failures: end.fieldFailures,
          outputs: end.outputs.map(({ columnsDropped, ...output }) => ({ ...output, columns_dropped: columnsDropped }))
        }
      })
  })
}

type Outage = Extract<RunEvent, { readonly _tag: "DeviceBack" | "DeviceLost" }>

type Alarm = Extract<RunEvent, { readonly _tag: "AlarmRaised" | "AlarmCleared" }>

const between = (
  { lastedMicros, since, until }: {
    readonly since: number
    readonly until: number
    readonly lastedMicros: number | null
  }
) => ({
  since_at: formatTimestamp(since),
  until_at: formatTimestamp(until),
  duration_s: lastedMicros === null ? null : lastedMicros / 1_000_000
})
