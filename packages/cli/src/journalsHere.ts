/**
 * The journals in the working directory, which commands take if none is given.
 */
import { messageOf } from "@sampleline/core"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { RunError } from "./errors.ts"
import { JOURNAL_ENDING } from "./settings.ts"

export const journalsHere: Effect.Effect<ReadonlyArray<string>, RunError> = Effect.try({
  try: () =>
    fs.readdirSync(".", { withFileTypes: true })
      .filter((entry) => entry.name.endsWith(JOURNAL_ENDING) && entry.isDirectory())
      .map(({ name }) => name),
  catch: (cause) => new RunError({ message: messageOf(cause) })
})
