/**
 * The summary of a run as text: one line while it runs, and at its end for people or for programs.
 */
import { type AcquisitionSummary, formatTimestamp } from "@sampleline/core"
import { clockText } from "@sampleline/view"
import type { Left } from "./journal.ts"

/** The run so far, for one line. `behind` is what outputs lack. */
export const progressParts = (
  summary: AcquisitionSummary,
  seconds: number,
  behind: ReadonlyArray<string> = []
): ReadonlyArray<string> => [
  formatSeconds(seconds),
  ...behind,
  `${count(summary.samplesEmitted)} samples`,
  `${count(summary.samplesLate)} late ticks`,
  `${count(Object.values(summary.failures).reduce((sum, failures) => sum + failures, 0))} failures`
]

/** The summary for people. */
export const summaryText = (summary: AcquisitionSummary): string => {
  const seconds = ((summary.finishedAt ?? summary.startedAt) - summary.startedAt) / 1_000_000
  const failures = Object.entries(summary.failures).filter(([, failures]) => failures > 0)
  const lines = [
    `recorded ${count(summary.samplesEmitted)} samples in ${count(summary.ticks)} ticks, ${formatSeconds(seconds)}`,
    ...summary.sinks.map((sink) => {
      const dropped = Object.entries(sink.columnsDropped).map(([column, values]) => `${column} ${count(values)}`)
      return [
        `  ${sink.target}: ${count(sink.rows)} rows`,
        ...(dropped.length > 0 ? [`values dropped: ${dropped.join(", ")}`] : []),
        ...(sink.error === null ? [] : [`failed: ${sink.error.detail}`])
      ].join("; ")
    }),
    `  late ticks: ${count(summary.samplesLate)} (${count(summary.ticksSkipped)} skipped, ${
      count(summary.ticksDropped)
    } dropped); largest drift: ${summary.maxDriftMs.toFixed(1)} ms`,
    `  failures: ${failures.map(([device, failures]) => `${device} ${count(failures)}`).join(", ") || "none"}`
  ]
  const fields = Object.entries(summary.fieldFailures).flatMap(([device, fields]) =>
    Object.entries(fields).map(([field, failures]) => `${device} ${field} ${count(failures)}`)
  )
  if (fields.length > 0) lines.push(`  failures of single fields: ${fields.join(", ")}`)
  for (const [device, change] of Object.entries(summary.changedDevices)) lines.push(`  ${device}: ${change}`)
  const jumps = summary.clockSteps.length
  if (jumps > 0) {
    lines.push(`  the system clock jumped ${jumps === 1 ? "once" : `${jumps} times`}; see the warnings above`)
  }
  return lines.join("\n")
}

/** The summary for programs: one JSON object, times as text. `left` is what outputs lack that the journal has. */
export const summaryJson = (
  summary: AcquisitionSummary,
  left: Pick<Left, "path" | "outputs"> | null = null
): string =>
  JSON.stringify({
    ...summary,
    startedAt: formatTimestamp(summary.startedAt),
    finishedAt: summary.finishedAt === null ? null : formatTimestamp(summary.finishedAt),
    clockSteps: summary.clockSteps.map((step) => ({ ...step, at: formatTimestamp(step.at) })),
    sinks: summary.sinks.map((sink) => ({ ...sink, error: sink.error?.message ?? null })),
    journal: left === null ? null : { path: left.path, outputs: left.outputs }
  })

/** The target of a journal's output: `CsvSink run.csv` is `run.csv`. */
export const targetIn = (output: string): string => output.slice(output.indexOf(" ") + 1)

export const count = (value: number): string => value.toLocaleString("en-US")

/** `59.9 s`, and from a minute on `0:01:00`. */
export const formatSeconds = (seconds: number): string => {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  return clockText(seconds)
}
