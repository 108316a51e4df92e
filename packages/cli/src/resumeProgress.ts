/**
 * Progress on stderr while `resume` writes: a bar on a terminal, a line every ten seconds elsewhere.
 */
import type { Journal } from "@sampleline/journal"
import * as Effect from "effect/Effect"
import { isInBackground } from "./jobControl.ts"
import { count } from "./summary.ts"
import { clearStatus, say, showStatus, statusColumns } from "./terminal.ts"

const BAR_INTERVAL = "200 millis"
const LINE_INTERVAL = "10 seconds"

/** Reports forever. */
export const reportResuming = (status: Journal.JournalStatus): Effect.Effect<never> =>
  process.stderr.isTTY
    ? Effect.forever(Effect.andThen(Effect.sleep(BAR_INTERVAL), Effect.suspend(() => show(status)))).pipe(
      Effect.ensuring(Effect.sync(clearStatus))
    )
    : Effect.forever(
      Effect.andThen(Effect.sleep(LINE_INTERVAL), Effect.sync(() => say(textOf(sumOf(status.outputs)))))
    )

const show = ({ outputs }: Journal.JournalStatus): Effect.Effect<void> =>
  isInBackground() === true ? Effect.sync(clearStatus) : showStatus(barOf(sumOf(outputs), statusColumns()))

interface Sum {
  readonly written: number
  readonly lacking: number
}

const sumOf = (outputs: ReadonlyArray<Journal.OutputStatus>): Sum => ({
  written: outputs.reduce((sum, { written }) => sum + written, 0),
  lacking: outputs.reduce((sum, { behind, written }) => sum + written + behind, 0)
})

const textOf = ({ lacking, written }: Sum): string => `${count(written)} of ${count(lacking)} written`

const SHORTEST_BAR = 10
const LONGEST_BAR = 40

/** A bar and its numbers; the numbers alone where there is no room for both. */
export const barOf = (sum: Sum, columns: number): string => {
  const part = sum.lacking === 0 ? 0 : sum.written / sum.lacking
  const text = `${String(Math.floor(100 * part)).padStart(3)} %   ${textOf(sum)}`
  const room = Math.min(LONGEST_BAR, columns - text.length - 1)
  if (room < SHORTEST_BAR) return text.trimStart().slice(0, columns)
  const full = Math.round(part * room)
  return `${"█".repeat(full)}${"░".repeat(room - full)} ${text}`
}
