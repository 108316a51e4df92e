/**
 * What is shown of a recording while it goes on: the run in one line, and on a terminal the table with devices and outputs.
 */
import { type Progress, SampleClock, type Tick } from "@sampleline/core"
import { LiveTable, type OutputView, type TableView } from "@sampleline/view"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import * as path from "node:path"
import type { RunJournal } from "./journal.ts"
import type { Keyboard } from "./keyboard.ts"
import { OutputSizes } from "./outputSizes.ts"
import { behindParts, lacking, reportProgress } from "./progress.ts"
import type { Settings } from "./settings.ts"
import { progressParts } from "./summary.ts"
import { isFile, type Target } from "./targets.ts"
import { canShowTable, latestLog } from "./terminal.ts"

/** The field whose trend is shown, where a device has it. */
export const TREND_FIELD = "Mass_Flow"

export interface RecordReport {
  /** The same ticks, seen by what is shown. */
  readonly observe: <E, R>(ticks: Stream.Stream<Tick, E, R>) => Stream.Stream<Tick, E, R>
  /** Shows the recording forever. */
  readonly show: (keyboard: Keyboard | null) => Effect.Effect<never>
}

export const reportOf = Effect.fnUntraced(function*(
  { "batch-size": batchSize, duration, out, plain, quiet }: Settings,
  targets: ReadonlyArray<Target>,
  progress: Progress,
  journal: RunJournal | null
): Effect.fn.Return<RecordReport> {
  const clock = yield* SampleClock.current
  const statuses = () => journal?.status.outputs ?? []
  const behind = behindParts(targets, statuses, batchSize)
  const secondsAt = (at: number) => (at - progress.current.startedAt) / 1_000_000
  const parts = () => progressParts(progress.current, secondsAt(clock.epochMicros()), behind())
  const lines = { parts, secondsAt, marks: true }
  const isTaken = out.includes("-") && process.stdout.isTTY
  if (quiet || plain || isTaken || !canShowTable()) {
    return { observe: (ticks) => ticks, show: (keyboard) => reportProgress({ ...lines, keyboard, table: null }) }
  }

  const table = yield* LiveTable.make({
    trendField: TREND_FIELD,
    durationSeconds: duration === undefined ? undefined : Duration.toSeconds(duration)
  })
  const sizes = new OutputSizes()
  const outputs = (): ReadonlyArray<OutputView> =>
    progress.current.sinks.map(({ error, rows, target }, at) => {
      const status = statuses()[at]
      return {
        name: targets[at]?.label(target) ?? target,
        state: status?.state ?? (error === null ? "writing" : "stopped"),
        rows,
        behind: status === undefined ? null : lacking(status, batchSize),
        ...sizes.of(target)
      }
    })
  const view = (): TableView => ({
    ...table.snapshot,
    outputs: outputs(),
    journal: journal === null ? undefined : {
      name: path.basename(journal.path),
      items: Math.max(0, ...statuses().map(({ behind }) => behind)),
      bytes: sizes.of(journal.path).bytes
    },
    log: latestLog()
  })
  const places = () => [
    ...progress.current.sinks.map(({ target }) => target).filter((_, at) => isFile(targets[at]?.text ?? "-")),
    ...journal === null ? [] : [journal.path]
  ]
  return {
    observe: LiveTable.observe(table),
    show: (keyboard) => Effect.raceFirst(reportProgress({ ...lines, keyboard, table: view }), sizes.watch(places))
  }
})
