/**
 * The journal that a command is about, and those in the working directory, of which it takes one if none is given.
 */
import { messageOf } from "@sampleline/core"
import { Argument } from "effect/cli"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { RunError } from "./errors.ts"
import { JOURNAL_ENDING } from "./settings.ts"

export const journalArgument = Argument.String("JOURNAL").pipe(
  Argument.withDescription("The journal's folder (default: that of the recording in the working directory)"),
  Argument.optional
)

export const journalsHere: Effect.Effect<ReadonlyArray<string>, RunError> = Effect.try({
  try: () =>
    fs.readdirSync(".", { withFileTypes: true })
      .filter((entry) => entry.name.endsWith(JOURNAL_ENDING) && entry.isDirectory())
      .map(({ name }) => name),
  catch: (cause) => new RunError({ message: messageOf(cause) })
})
