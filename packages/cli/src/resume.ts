/**
 * `sampleline resume`: gives the outputs of a recording that was cut off what they lack, from its journal.
 */
import { Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import { RunError, UsageError } from "./errors.ts"
import { journalArgument, journalsHere } from "./journalsHere.ts"
import { withoutSecrets } from "./secrets.ts"
import * as Signals from "./signals.ts"
import { count } from "./summary.ts"
import { print, say } from "./terminal.ts"

export const resumeCommand = Command.make(
  "resume",
  {
    journal: journalArgument,
    out: Flag.String("out").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription(
        "The postgres:// URL of an output of the recording, to give its password. It is not needed if the password is found as "
          + "psql finds it: PGPASSWORD, ~/.pgpass"
      ),
      Flag.atLeast(0)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print the result as one JSON object"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function*({ journal: given, json, out }) {
    const { first: signal } = yield* Signals.listen
    const journal = yield* chosen(given)
    yield* Effect.raceFirst(
      resume({ journal, out, json }),
      Effect.flatMap(signal, (signal) => leave(signal, journal))
    )
  }, Effect.scoped)
).pipe(
  Command.withShortDescription("Finish the outputs of a recording that was cut off"),
  Command.withDescription(
    "Give the outputs of a recording what they lack, from the journal that it left: after a kill -9, a power cut, or an output that "
      + "failed. Writes exactly the missing samples and events, and removes the journal when all outputs have everything. If it is "
      + "ended by Ctrl-C, resume goes on from there."
  ),
  Command.withExamples([
    { command: "sampleline resume", description: "Finish the recording whose journal is in this folder" },
    { command: "sampleline resume run.csv.journal", description: "Finish this one" },
    {
      command: "sampleline resume samples.journal --out postgres://me:PASSWORD@db/lab",
      description: "Finish it with the password of its database"
    },
    {
      command: "sampleline resume run.csv.journal --json | jq .outputs",
      description: "What was written, for another program"
    }
  ])
)

interface Wish {
  /** The journal's folder. */
  readonly journal: string
  readonly out: ReadonlyArray<string>
  readonly json: boolean
}

/** The journal that was given, or the only one here. */
const chosen = Effect.fnUntraced(
  function*(given: Option.Option<string>): Effect.fn.Return<string, UsageError | RunError> {
    if (Option.isSome(given)) return given.value
    const [only, ...others] = yield* journalsHere
    if (only === undefined) {
      return yield* new RunError({
        message:
          "there is no *.journal in this folder, so there is nothing to resume here; give the journal's folder if it is elsewhere"
      })
    }
    if (others.length > 0) {
      return yield* new UsageError({
        message: `several journals are here; give one of them: ${[only, ...others].join(", ")}`
      })
    }
    return only
  }
)

const resume = Effect.fnUntraced(function*({ journal, json, out }: Wish) {
  const { finish, isSameDatabase, readJournal } = yield* Effect.promise(() => import("./finish.ts"))
  if (!fs.existsSync(journal)) return tellNothing(journal, json)
  const found = yield* readJournal(journal)
  const unknown = out.find((url) => !found.kept.out.some((text) => isSameDatabase(text, url)))
  if (unknown !== undefined) {
    return yield* new UsageError({
      message: `--out ${withoutSecrets(unknown)} is no database of the recording; its outputs are ${
        found.kept.out.map(withoutSecrets).join(", ")
      }`
    })
  }
  const { left, written } = yield* finish(found, { urls: out })
  if (json) print(JSON.stringify({ journal, outputs: written, left: left?.outputs ?? [] }))
  else for (const output of written) print(`${output.name}: ${count(output.written)} samples and events written`)
  if (left !== null) return yield* new RunError({ message: left.message })
})

/** The journal may never have been there, or it is gone because all outputs have everything. */
const tellNothing = (journal: string, json: boolean): void =>
  print(
    json
      ? JSON.stringify({ journal, outputs: [], left: [] })
      : `nothing to resume: there is no journal ${journal}; it goes when all outputs have everything`
  )

/** Says how to go on. A second signal ends the process at once. */
const leave = Effect.fnUntraced(function*(signal: Signals.Signal, journal: string) {
  const { resumeCommand } = yield* Effect.promise(() => import("./journal.ts"))
  say(`nothing is lost: \`${resumeCommand(journal)}\` goes on from here`)
  return yield* Signals.end(signal)
})
