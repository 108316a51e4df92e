/**
 * What a run tells people and programs: progress on stderr, the summary at the end.
 */
import { type AcquisitionSummary, formatTimestamp, type Progress, SampleClock } from "@sampleline/core"
import * as Effect from "effect/Effect"
import { say, showStatus } from "./terminal.ts"

const STATUS_INTERVAL = "500 millis"
const LINE_INTERVAL = "10 seconds"

/** Tells how the run goes, for ever: a status line on a terminal, a line every ten seconds elsewhere. */
export const reportProgress = Effect.fnUntraced(function*(progress: Progress): Effect.fn.Return<never> {
  const clock = yield* SampleClock.current
  const isTerminal = process.stderr.isTTY
  while (true) {
    yield* Effect.sleep(isTerminal ? STATUS_INTERVAL : LINE_INTERVAL)
    const summary = progress.current
    const text = progressText(summary, (clock.epochMicros() - summary.startedAt) / 1_000_000)
    yield* isTerminal ? showStatus(text) : Effect.sync(() => say(text))
  }
})

const progressText = (summary: AcquisitionSummary, seconds: number): string =>
  [
    formatSeconds(seconds),
    `${count(summary.samplesEmitted)} samples`,
    `${count(summary.samplesLate)} late`,
    `${count(failuresOf(summary))} failures`
  ].join("   ")

/** The summary for people. */
export const summaryText = (summary: AcquisitionSummary): string => {
  const seconds = ((summary.finishedAt ?? summary.startedAt) - summary.startedAt) / 1_000_000
  const lines = [
    `recorded ${count(summary.samplesEmitted)} samples in ${count(summary.ticks)} ticks, ${formatSeconds(seconds)}`,
    ...summary.sinks.map((sink) =>
      `  ${sink.target}: ${count(sink.rows)} rows${
        Object.keys(sink.columnsDropped).length > 0
          ? `, dropped values of ${Object.keys(sink.columnsDropped).join(", ")}`
          : ""
      }${sink.error === null ? "" : `, then failed: ${sink.error.detail}`}`
    ),
    `  late: ${count(summary.samplesLate)} (${count(summary.ticksSkipped)} skipped, ${
      count(summary.ticksDropped)
    } dropped), largest drift ${summary.maxDriftMs.toFixed(1)} ms`,
    `  failures: ${
      Object.entries(summary.failures).filter(([, failures]) => failures > 0)
        .map(([device, failures]) => `${device} ${count(failures)}`).join(", ") || "0"
    }`
  ]
  if (summary.clockSteps.length > 0) {
    lines.push(`  the system clock jumped ${summary.clockSteps.length} times; see the warnings above`)
  }
  return lines.join("\n")
}

/** The summary for programs: one JSON object, times as text. */
export const summaryJson = (summary: AcquisitionSummary): string =>
  JSON.stringify({
    ...summary,
    startedAt: formatTimestamp(summary.startedAt),
    finishedAt: summary.finishedAt === null ? null : formatTimestamp(summary.finishedAt),
    clockSteps: summary.clockSteps.map((step) => ({ ...step, at: formatTimestamp(step.at) })),
    sinks: summary.sinks.map((sink) => ({ ...sink, error: sink.error?.message ?? null }))
  })

const failuresOf = (summary: AcquisitionSummary): number =>
  Object.values(summary.failures).reduce((sum, failures) => sum + failures, 0)

const count = (value: number): string => value.toLocaleString("en-US")

const formatSeconds = (seconds: number): string => {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.floor(seconds)
  const clock = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0")).join(":")
  return `${Math.floor(whole / 3600)}:${clock}`
}
