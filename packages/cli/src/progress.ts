/**
 * Progress on stderr while a run goes on, and on a terminal the keys of the run.
 */
import { EndSignal, messageOf } from "@sampleline/core"
import type { Journal } from "@sampleline/journal"
import type { TableView } from "@sampleline/view"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { beforeAbruptSignals } from "./abruptSignals.ts"
import { isInBackground } from "./jobControl.ts"
import type { Keyboard } from "./keyboard.ts"
import { endOf, type MarkLine } from "./markLine.ts"
import { HINT, makeRunKeys } from "./runKeys.ts"
import { count, formatSeconds } from "./summary.ts"
import { TableScreen } from "./tableScreen.ts"
import type { Target } from "./targets.ts"
import {
  clearLine,
  clearStatus,
  clearTerminal,
  forgetShown,
  redrawTable,
  say,
  showStatus,
  statusColumns,
  tableSize,
  timeText
} from "./terminal.ts"

const FRAME_INTERVAL = "250 millis"
const STATUS_INTERVAL = "500 millis"
const LINE_INTERVAL = "10 seconds"
const KEY_INTERVAL = "20 millis"
const GAP = "   "

/** What an output lacks. One that keeps up lacks an open batch, and the one that is being written: that counts as nothing. */
export const lacking = (
  { behind, state }: Pick<Journal.OutputStatus, "behind" | "state">,
  batchSize: number
): number => state === "writing" && behind <= 2 * batchSize ? 0 : behind

/** What outputs lack that do not keep up, such as `postgres 12,345 behind`. */
export const behindParts = (
  targets: ReadonlyArray<Pick<Target, "label">>,
  outputs: () => ReadonlyArray<Journal.OutputStatus>,
  batchSize: number
) =>
(): ReadonlyArray<string> =>
  outputs().flatMap((output, at) =>
    output.state === "writing" && lacking(output, batchSize) === 0
      ? []
      : [`${targets[at]?.label(output.target) ?? ""} ${count(output.behind)} behind`]
  )

/** What is shown of a run. */
export interface RunReport {
  /** The run so far, for one line: the time first. */
  readonly parts: () => ReadonlyArray<string>
  /** How far a moment is from the start. The moment is in microseconds since the epoch. */
  readonly secondsAt: (at: number) => number
  /** What the table shows; null for no table. */
  readonly table: (() => TableView) | null
  /** Null if there are no keys. */
  readonly keyboard: Keyboard | null
  /** Whether there is a recording to mark. */
  readonly marks: boolean
  /** The address of a page that shows it too; null if there is none. */
  readonly page: string | null
}

/**
 * Reports forever: a table or a status line on a terminal, a new line every ten seconds elsewhere. A bug in what is shown ends no
 * recording.
 */
export const reportProgress = Effect.fnUntraced(
  function*(report: RunReport): Effect.fn.Return<never> {
    const { keyboard, marks, page, parts } = report
    if (!process.stderr.isTTY) {
      const line = Effect.map(DateTime.nowAsDate, (now) => say(`${timeText(now)} ${parts().join(GAP)}`))
      return yield* Effect.forever(Effect.andThen(Effect.sleep(LINE_INTERVAL), line))
    }

    const ending = yield* EndSignal
    const table = report.table === null ? null : new TableScreen(report.table)
    const sizeOfTable = () => table === null ? null : tableSize()
    const keys = yield* makeRunKeys({ marks, table: () => table === null || tableSize() === null ? {} : table.keys })
    const promptFor = (line: MarkLine, columns: number): string => {
      const prompt = `${parts()[0]}${GAP}mark at ${formatSeconds(report.secondsAt(line.at))}: `
      return prompt + endOf(line.text, columns - prompt.length)
    }
    /** In the background the terminal shows what another program writes. */
    const show = Effect.suspend(() => {
      if (isInBackground() === true) return Effect.sync(forgetShown)
      const line = keys.line()
      const hasKeys = keyboard?.isOn() === true
      const size = sizeOfTable()
      if (table !== null && size !== null) {
        const prompt = line === null ? null : promptFor(line, size.columns)
        return Effect.sync(() => table.draw(size, { hasKeys, marks, page, prompt, isEnding: ending.isEnded() }))
      }
      return showStatus(line === null ? statusOf(parts(), hasKeys && marks) : promptFor(line, statusColumns()))
    })
    const pressKeys = Effect.suspend(() => {
      const typed = keyboard?.read() ?? []
      return typed.length === 0 ? Effect.void : Effect.andThen(keys.press(typed), show)
    })
    const tellUnset = Effect.suspend(() => {
      const line = keys.line()
      return line === null
        ? Effect.void
        : Effect.logWarning(`the mark ${JSON.stringify(line.text)} was not set: the recording ended before Enter`)
    })
    const interval = Effect.sync(() => sizeOfTable() === null ? STATUS_INTERVAL : FRAME_INTERVAL)
    return yield* Effect.raceFirst(
      Effect.forever(Effect.andThen(Effect.flatMap(interval, Effect.sleep), show)),
      Effect.forever(Effect.andThen(Effect.sleep(KEY_INTERVAL), pressKeys))
    ).pipe(Effect.ensuring(Effect.andThen(Effect.sync(clearLine), tellUnset)))
  },
  Effect.catchDefect((bug) =>
    Effect.sync(clearStatus).pipe(
      Effect.andThen(Effect.logError(`nothing more is shown, but the recording goes on: ${messageOf(bug)}`)),
      Effect.andThen(Effect.never)
    )
  )
)

/**
 * Removes what is shown on the terminal when the effect has ended, and before the process is stopped. Until then the log lines of
 * its end wait, so this stands around the whole recording.
 */
export const clearingTerminal = <A, E, R>(run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      process.on("SIGCONT", redrawTable)
      return beforeAbruptSignals(clearTerminal)
    }),
    () => run,
    (forget) =>
      Effect.sync(() => {
        forget()
        process.off("SIGCONT", redrawTable)
        clearStatus()
      })
  )

/** As many parts as fit, and what the keys do. */
const statusOf = (parts: ReadonlyArray<string>, hasKeys: boolean): string => {
  const hint = hasKeys ? [HINT] : []
  const count = parts.findLastIndex((_, at) => [...parts.slice(0, at + 1), ...hint].join(GAP).length <= statusColumns())
  return [...parts.slice(0, count + 1), ...hint].join(GAP)
}
