/**
 * `sampleline resume`: gives the outputs of a recording that was cut off what they lack, from its journal.
 */
import { messageOf, SampleSink } from "@sampleline/core"
import type { Journal } from "@sampleline/journal"
import * as Array from "effect/Array"
import { Argument, Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { Ended, RunError, UsageError } from "./errors.ts"
import type { KeptSettings } from "./journal.ts"
import { reportResuming } from "./resumeProgress.ts"
import { withoutSecrets } from "./secrets.ts"
import { JOURNAL_ENDING } from "./settings.ts"
import * as Signals from "./signals.ts"
import { count, targetIn } from "./summary.ts"
import { isParquet, isPostgres, targetAt } from "./targets.ts"
import { complain, print } from "./terminal.ts"

export const resumeCommand = Command.make(
  "resume",
  {
    journal: Argument.String("JOURNAL").pipe(
      Argument.withDescription("The journal's folder (default: the only *.journal in the working directory)"),
      Argument.optional
    ),
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
  Effect.fnUntraced(function*({ journal, json, out }) {
    const { first: signal } = yield* Signals.listen
    yield* Effect.raceFirst(
      resume({ journal: yield* chosen(journal), out, json }),
      Effect.flatMap(signal, Signals.end)
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
    const entries = yield* attempt(() => fs.readdirSync(".", { withFileTypes: true }))
    const [only, ...others] = entries.filter((entry) => entry.name.endsWith(JOURNAL_ENDING) && entry.isDirectory())
      .map(({ name }) => name)
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

const attempt = <A>(run: () => A): Effect.Effect<A, RunError> =>
  Effect.try({ try: run, catch: (cause) => new RunError({ message: messageOf(cause) }) })

const resume = Effect.fnUntraced(function*({ journal: given, json, out }: Wish) {
  const { Journal, leftIn, settingsIn } = yield* Effect.promise(() => import("./journal.ts"))
  const journal = path.resolve(given)
  if (!fs.existsSync(journal)) return tellNothing(given, json)
  const content = yield* Journal.inspect(given)
  const kept = yield* settingsIn(given, content.settings)
  // The outputs are named from there, in the journal too.
  yield* attempt(() => process.chdir(path.resolve(journal, kept.folder)))
  const texts = yield* withPasswords(kept.out, out)
  const opened = yield* Effect.forEach(texts, (_, at) => Effect.result(openOutput(texts, at, kept, content)))
  for (const output of opened) if (Result.isFailure(output)) complain(output.failure)
  const sinks = opened.flatMap((output) => Result.isSuccess(output) ? output.success : [])
  if (!Array.isReadonlyArrayNonEmpty(sinks)) return yield* new Ended({ exitCode: 1 })

  const status = new Journal.JournalStatus()
  const exit = yield* Journal.resume({ path: journal, status }).pipe(
    Effect.raceFirst(reportResuming(status)),
    Effect.provide(SampleSink.layerAll(Array.map(sinks, (sink) => Layer.succeed(SampleSink, sink)))),
    Effect.exit
  )
  const left = yield* leftIn(journal)
  const outputs = status.outputs.map(({ name, written }) => ({ name: targetIn(name), written }))
  if (json) print(JSON.stringify({ journal: given, outputs, left: left?.outputs ?? [] }))
  else for (const { name, written } of outputs) print(`${name}: ${count(written)} samples and events written`)
  if (left !== null) return yield* new RunError({ message: left.message })
  yield* exit
}, Effect.scoped)

/** The journal may never have been there, or it is gone because all outputs have everything. */
const tellNothing = (journal: string, json: boolean): void =>
  print(
    json
      ? JSON.stringify({ journal, outputs: [], left: [] })
      : `nothing to resume: there is no journal ${journal}; it goes when all outputs have everything`
  )

/** Opens an output that lacks something, where it stands. None for one that needs nothing more. */
const openOutput = Effect.fnUntraced(function*(
  texts: ReadonlyArray<string>,
  at: number,
  kept: typeof KeptSettings.Type,
  { outputs }: Journal.JournalContent
) {
  const text = texts[at]!
  // A finished Parquet file cannot be opened again, and it lacks nothing.
  const isComplete = outputs.some(({ behind, name }) => targetIn(name) === text && behind === 0)
  if (isParquet(text) && isComplete && fs.existsSync(text)) return []
  const { layer } = yield* targetAt(texts, at, {
    mode: "append",
    fsync: "never",
    rowIds: kept["row-ids"],
    table: kept.table,
    createTable: kept["create-table"]
  })
  const sink = yield* Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(SampleSink, context))
  if (outputs.some(({ name }) => name === `${sink.name} ${sink.target}`)) return [sink]
  // Another server, found by other environment variables, would get everything once more.
  return yield* new RunError({
    message: `${withoutSecrets(text)} leads to ${sink.target}, which is no output of the recording; those are ${
      outputs.map(({ name }) => targetIn(name)).join(", ")
    }. Set the variables such as PGHOST as they were, or give the URL by --out`
  })
})

/** The outputs of the recording, with the URLs that are given again. */
const withPasswords = Effect.fnUntraced(function*(
  kept: ReadonlyArray<string>,
  given: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<string>, UsageError> {
  const isSame = (a: string, b: string) => isPostgres(a) && isPostgres(b) && withoutSecrets(a) === withoutSecrets(b)
  const unknown = given.find((url) => !kept.some((text) => isSame(text, url)))
  if (unknown !== undefined) {
    return yield* new UsageError({
      message: `--out ${withoutSecrets(unknown)} is no database of the recording; its outputs are ${
        kept.map(withoutSecrets).join(", ")
      }`
    })
  }
  return kept.map((text) => given.find((url) => isSame(text, url)) ?? text)
})
