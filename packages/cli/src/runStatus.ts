/**
 * The status of a running recording, for those who ask.
 */
import { formatTimestamp, type Progress } from "@sampleline/core"
import type { Journal } from "@sampleline/journal"
import type { Alarms, LiveTable } from "@sampleline/view"
import type { Status } from "./controlProtocol.ts"
import { withoutSecrets } from "./secrets.ts"

export interface RunParts {
  readonly progress: Progress
  readonly table: LiveTable.LiveTable
  readonly outputs: ReadonlyArray<Journal.OutputStatus>
  /** Null: it has none. */
  readonly alarms: Alarms.RaisedAlarms | null
  readonly isEnding: boolean
  /** Microseconds since the epoch. */
  readonly now: number
}

export const statusOf = ({ alarms, isEnding, now, outputs, progress, table }: RunParts): Status => {
  const summary = progress.current
  return {
    reply: "status",
    state: isEnding ? "ending" : "recording",
    runId: summary.runId,
    startedAt: formatTimestamp(summary.startedAt),
    at: formatTimestamp(now),
    seconds: secondsBetween(summary.startedAt, now),
    ticks: summary.ticks,
    samples: summary.samplesEmitted,
    lateTicks: summary.samplesLate,
    failures: Object.values(summary.failures).reduce((sum, failures) => sum + failures, 0),
    devices: table.snapshot.devices.map(({ ageSeconds, error, fields, identity, lastAt, name, state, status }) => ({
      name,
      model: identity?.model ?? null,
      serialNumber: identity?.serialNumber ?? null,
      state,
      detail: error === null ? null : withoutSecrets(error.detail),
      failures: summary.failures[name] ?? 0,
      lastAt: lastAt === null ? null : formatTimestamp(lastAt),
      ageSeconds,
      values: lastAt === null
        ? []
        : fields.map(({ name, unit, value }) => ({ field: name, value: jsonOf(value), unit })),
      status
    })),
    outputs: outputs.map(({ behind, state, target }) => {
      const sink = summary.sinks.find((sink) => sink.target === target)
      const error = sink?.error ?? null
      return {
        target,
        state,
        rows: sink?.rows ?? 0,
        behind,
        error: error === null ? null : withoutSecrets(error.detail)
      }
    }),
    alarms: (alarms?.all ?? []).map(({ alarm, message, since }) => ({
      alarm: withoutSecrets(alarm),
      message: withoutSecrets(message),
      since: formatTimestamp(since)
    }))
  }
}

/** JSON has no NaN and no infinities. */
const jsonOf = (value: string | number | null | undefined): string | number | null =>
  value === undefined || (typeof value === "number" && !Number.isFinite(value)) ? null : value

const secondsBetween = (from: number, to: number): number => Math.max(0, to - from) / 1_000_000
