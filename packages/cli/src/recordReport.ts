/**
 * What is shown of a recording while it goes on: the run in one line, and on a terminal the table with devices and outputs.
 */
import { type Progress, SampleClock } from "@sampleline/core"
import type { Alarms, LiveTable, OutputView, TableView } from "@sampleline/view"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { RunJournal } from "./journal.ts"
import type { Keyboard } from "./keyboard.ts"
import { OutputSizes } from "./outputSizes.ts"
import { behindParts, lacking, reportProgress } from "./progress.ts"
import { withoutSecrets } from "./secrets.ts"
import type { Settings } from "./settings.ts"
import { progressParts } from "./summary.ts"
import { isFile, type Target } from "./targets.ts"
import { canShowTable, latestLog } from "./terminal.ts"

/** What is looked at. */
export interface Shown {
  readonly settings: Settings
  readonly targets: ReadonlyArray<Target>
  readonly progress: Progress
  readonly table: LiveTable.LiveTable
  readonly alarms: Alarms.RaisedAlarms | null
  readonly journal: RunJournal | null
  readonly keyboard: Keyboard | null
  /** The address of its page; null if it has none. */
  readonly page: string | null
}

const UNKNOWN_SIZE = { bytes: null, freeBytes: null }

/** How far each output is. */
export const outputsShown = (
  { journal, progress, settings, targets }: Pick<Shown, "journal" | "progress" | "settings" | "targets">,
  sizeOf: (target: string) => Pick<OutputView, "bytes" | "freeBytes"> = () => UNKNOWN_SIZE
) =>
(): ReadonlyArray<OutputView> =>
  progress.current.sinks.map(({ error, rows, target }, at) => {
    const status = journal?.status.outputs[at]
    return {
      name: targets[at]?.label(target) ?? target,
      state: status?.state ?? (error === null ? "writing" : "stopped"),
      rows,
      behind: status === undefined ? null : lacking(status, settings["batch-size"]),
      ...sizeOf(target)
    }
  })

/** Shows the recording forever. */
export const showRecording = Effect.fnUntraced(function*(
  { alarms, journal, keyboard, page, progress, settings, table, targets }: Shown
): Effect.fn.Return<never> {
  const { "batch-size": batchSize, out, plain } = settings
  const clock = yield* SampleClock.current
  const statuses = () => journal?.status.outputs ?? []
  const behind = behindParts(targets, statuses, batchSize)
  const secondsAt = (at: number) => (at - progress.current.startedAt) / 1_000_000
  const parts = () => progressParts(progress.current, secondsAt(clock.epochMicros()), behind())
  const lines = { parts, secondsAt, marks: true, keyboard, page }
  const isTaken = out.includes("-") && process.stdout.isTTY
  if (plain || isTaken || !canShowTable()) return yield* reportProgress({ ...lines, table: null })

  const sizes = new OutputSizes()
  const outputs = outputsShown({ journal, progress, settings, targets }, (target) => sizes.of(target))
  const view = (): TableView => ({
    ...table.snapshot,
    outputs: outputs(),
    journal: journal === null ? undefined : {
      name: path.basename(journal.path),
      items: Math.max(0, ...statuses().map(({ behind }) => behind)),
      bytes: sizes.of(journal.path).bytes
    },
    alarms: (alarms?.all ?? []).map(({ message, since }) => ({
      text: withoutSecrets(message.replace(/^alarm /, "")),
      sinceSeconds: Math.max(0, clock.epochMicros() - since) / 1_000_000
    })),
    log: latestLog()
  })
  const places = () => [
    ...progress.current.sinks.map(({ target }) => target).filter((_, at) => isFile(targets[at]?.text ?? "-")),
    ...journal === null ? [] : [journal.path]
  ]
  return yield* Effect.raceFirst(reportProgress({ ...lines, table: view }), sizes.watch(places))
})
