/**
 * `sampleline mark`: sets a marker in a recording that another process makes.
 */
import { Argument, Command } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ask } from "./controlClient.ts"
import { LONGEST_MARK, VERSION } from "./controlProtocol.ts"
import { RunError, UsageError } from "./errors.ts"
import { print } from "./terminal.ts"

export const markCommand = Command.make(
  "mark",
  {
    words: Argument.String("[JOURNAL] TEXT").pipe(
      Argument.withDescription(
        "The journal's folder (default: that of the recording in the working directory), and what happened, in quotes, on one line of "
          + `at most ${LONGEST_MARK} characters`
      ),
      Argument.between(1, 2)
    )
  },
  Effect.fnUntraced(function*({ words: [first = "", second] }) {
    const [journal, text] = second === undefined ? [Option.none(), first] : [Option.some(first), second]
    if (text.trim() === "") return yield* new UsageError({ message: "the mark has no text; say what happened" })
    const { chooseLive } = yield* Effect.promise(() => import("./journalState.ts"))
    const live = yield* chooseLive(journal, "marked")
    const { at } = yield* Effect.mapError(
      ask(live.address, { version: VERSION, ask: "mark", text }, "marked"),
      ({ message }) => new RunError({ message: `${live.journal}: ${message}` })
    )
    print(`marked ${JSON.stringify(text.trim())} at ${at}`)
  })
).pipe(
  Command.withShortDescription("Mark this moment in a running recording"),
  Command.withDescription(
    "Mark this moment in a recording that runs on this machine under your user. The mark is an event in all its outputs."
  ),
  Command.withExamples([
    { command: "sampleline mark \"valve opened\"", description: "In the recording whose journal is in this folder" },
    { command: "sampleline mark run.csv.journal \"valve opened\"", description: "In this one" }
  ])
)
