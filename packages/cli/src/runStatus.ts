/**
 * The status of a running recording, for those who ask.
 */
import { formatTimestamp, type Progress } from "@sampleline/core"
import type { Journal } from "@sampleline/journal"
import type { Status } from "./controlProtocol.ts"
import type { LastReadings } from "./lastReadings.ts"
import { withoutSecrets } from "./secrets.ts"

export interface RunParts {
  readonly progress: Progress
  readonly readings: LastReadings
  readonly outputs: ReadonlyArray<Journal.OutputStatus>
  readonly isEnding: boolean
  /** Microseconds since the epoch. */
  readonly now: number
}

export const statusOf = ({ isEnding, now, outputs, progress, readings }: RunParts): Status => {
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
    devices: (readings.run?.devices ?? []).map(({ identity, name }) => ({
      name,
      model: identity?.model ?? null,
      serialNumber: identity?.serialNumber ?? null,
      failures: summary.failures[name] ?? 0,
      ...stateOf(name, readings),
      ...lastOf(name, readings, now)
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
    })
  }
}

const stateOf = (name: string, { failures, samples }: LastReadings) => {
  const failure = failures.get(name)
  return failure === undefined
    ? { state: samples.has(name) ? "ok" : "waiting", detail: null } as const
    : { state: "failing", detail: withoutSecrets(failure.error.detail) } as const
}

const lastOf = (name: string, { samples }: LastReadings, now: number) => {
  const last = samples.get(name)
  if (last === undefined) return { lastAt: null, ageSeconds: null, values: [], status: [] }
  const { format, status, values } = last.frame
  return {
    lastAt: formatTimestamp(last.receivedAt),
    ageSeconds: secondsBetween(last.receivedAt, now),
    values: format.fields.map(({ name, unit }, at) => ({ field: name, value: jsonOf(values[at]), unit })),
    status
  }
}

/** JSON has no NaN and no infinities. */
const jsonOf = (value: string | number | null | undefined): string | number | null =>
  value === undefined || (typeof value === "number" && !Number.isFinite(value)) ? null : value

const secondsBetween = (from: number, to: number): number => Math.max(0, to - from) / 1_000_000
