/**
 * `sampleline status`: what a recording that another process makes is doing, and what has become of one that ended.
 */
import { Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import { Ended } from "./errors.ts"
import { journalArgument } from "./journalsHere.ts"
import type { JournalState } from "./journalState.ts"
import { statusLines } from "./statusText.ts"
import { print } from "./terminal.ts"

export const statusCommand = Command.make(
  "status",
  {
    journal: journalArgument,
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print one JSON object"),
      Flag.withDefault(false)
    ),
    watch: Flag.Boolean("watch").pipe(
      Flag.withDescription(
        "Look again each second until Ctrl-C: in place on a terminal, else with a new block or JSON line each time"
      ),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function*({ journal, json, watch }) {
    const { choose, EXIT_CODES, lineOf, stateOf } = yield* Effect.promise(() => import("./journalState.ts"))
    const linesOf = (found: JournalState) => {
      if (json) return [jsonOf(found)]
      return found.state === "live" ? statusLines(found) : [lineOf(found)]
    }
    const found = yield* choose(journal)
    if (watch) return yield* watchLines(linesOf(found), Effect.map(stateOf(found.journal), linesOf))
    print(linesOf(found).join("\n"))
    const exitCode = EXIT_CODES[found.state]
    if (exitCode !== 0) return yield* new Ended({ exitCode })
  })
).pipe(
  Command.withShortDescription("Show what a running recording does"),
  Command.withDescription(
    "Show what a recording on this machine does: devices with their last values, samples, late ticks, failures, and how far each "
      + "output is. Of a recording that does not run, one line says what has become of it. Changes nothing. A recording with "
      + "--no-journal cannot be asked. Exit codes: 0 it is live; 3 it has finished; 4 it was killed or outputs lack something, so run "
      + "`sampleline resume`; 5 its process cannot be asked now; 1 it is not a journal, or cannot be read."
  ),
  Command.withExamples([
    { command: "sampleline status", description: "The recording whose journal is in this folder" },
    { command: "sampleline status run.csv.journal --watch", description: "This one, again each second" },
    {
      command: "sampleline status --json | jq '.devices[] | select(.state != \"ok\")'",
      description: "The devices that do not answer"
    }
  ])
)

/** One object, whatever the state. What a recorder says of itself stands beside it. */
const jsonOf = (found: JournalState): string => {
  if (found.state !== "live") return JSON.stringify(found)
  const { address, bytes, journal, state, status: { reply: _, state: phase, ...status } } = found
  return JSON.stringify({ state, journal, pid: address.pid, host: address.host, phase, bytes, ...status })
}

const WATCH_INTERVAL = "1 second"

const watchLines = Effect.fnUntraced(function*(
  first: ReadonlyArray<string>,
  next: Effect.Effect<ReadonlyArray<string>>
) {
  let shown = show(first, 0)
  return yield* Effect.forever(
    Effect.andThen(Effect.sleep(WATCH_INTERVAL), Effect.map(next, (lines) => shown = show(lines, shown)))
  )
})

/** Prints lines; on a terminal over the `shown` ones that stand there, cut so that they fit. Gives how many stand there now. */
const show = (lines: ReadonlyArray<string>, shown: number): number => {
  const { columns, isTTY, rows } = process.stdout
  if (!isTTY) {
    print(lines.join("\n"))
    return 0
  }
  const fitting = lines.slice(0, rows - 1).map((line) => line.slice(0, columns - 1))
  print(`${shown === 0 ? "" : `\u001b[${shown}F`}\u001b[J${fitting.join("\n")}`)
  return fitting.length
}
