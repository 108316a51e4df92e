/**
 * Finishes the outputs of a recording that was cut off: opens each where it stands, and gives it what it lacks from the journal.
 *
 * This file is loaded only for commands that need a journal.
 */
import { type InvalidOptionError, messageOf, SampleSink } from "@sampleline/core"
import { Journal, type JournalError } from "@sampleline/journal"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as path from "node:path"
import { RunError } from "./errors.ts"
import { type KeptSettings, type Left, leftIn, settingsIn } from "./journal.ts"
import { reportResuming } from "./resumeProgress.ts"
import { withoutSecrets } from "./secrets.ts"
import { targetIn } from "./summary.ts"
import { isPostgres, targetAt } from "./targets.ts"

/** A journal that a recording has left. */
export interface LeftJournal {
  /** Its folder. */
  readonly journal: string
  readonly content: Journal.JournalContent
  readonly kept: typeof KeptSettings.Type
}

/** Reads what is in a journal. Fails if another process holds it, or `sampleline record` did not make it. */
export const readJournal = Effect.fnUntraced(function*(
  journal: string
): Effect.fn.Return<LeftJournal, JournalError | InvalidOptionError | RunError> {
  const content = yield* Journal.inspect(journal)
  return { journal, content, kept: yield* settingsIn(journal, content.settings) }
})

export interface FinishOptions {
  /** URLs of databases that are given again, with their passwords. */
  readonly urls: ReadonlyArray<string>
  /** Whether no progress is shown. Default: false. */
  readonly quiet?: boolean
  /** Given how far the outputs are. When it completes, what is not written yet is left. Default: never. */
  readonly giveUp?: (status: Journal.JournalStatus) => Effect.Effect<void>
}

/** What became of the outputs of a journal. */
export interface Finished {
  /** How many samples and events each output has got. */
  readonly written: ReadonlyArray<{ readonly name: string; readonly written: number }>
  /** Why outputs could not be opened, or have failed. It is in the log. */
  readonly failures: ReadonlyArray<unknown>
  /** What outputs still lack; null if the journal is gone because they have everything. */
  readonly left: Left | null
}

/** Gives the outputs of a journal what they lack. An output that cannot be finished holds up no other. */
export const finish = Effect.fnUntraced(function*(left: LeftJournal, options: FinishOptions) {
  const { exit, failures, status } = yield* Effect.scoped(finishOutputs(left, options))
  const stillLeft = yield* leftIn(left.journal)
  if (stillLeft === null) yield* exit
  return {
    written: status.outputs.map(({ target, written }) => ({ name: target, written })),
    failures,
    left: stillLeft
  } satisfies Finished
})

const finishOutputs = Effect.fnUntraced(function*(
  { content, journal, kept }: LeftJournal,
  { giveUp = () => Effect.never, quiet = false, urls }: FinishOptions
) {
  const folder = path.resolve(journal)
  // The outputs are named from there, in the journal too.
  yield* inFolder(path.resolve(folder, kept.folder))
  const texts = kept.out.map((text) => urls.find((url) => isSameDatabase(text, url)) ?? text)
  const opened = yield* Effect.forEach(texts, (_, at) => Effect.result(openOutput(texts, at, kept, content)))
  const [sinks, unopened] = Array.partition(opened, (output) => output)
  for (const { message } of unopened) yield* Effect.logError(message)
  const status = new Journal.JournalStatus()
  const exit = Array.isReadonlyArrayNonEmpty(sinks)
    ? yield* Journal.resume({ path: folder, status }).pipe(
      Effect.raceFirst(giveUp(status)),
      Effect.raceFirst(quiet ? Effect.never : reportResuming(status)),
      Effect.provide(SampleSink.layerAll(Array.map(sinks, (sink) => Layer.succeed(SampleSink, sink)))),
      Effect.exit
    )
    : Exit.void
  const failed = sinks.flatMap((sink) => sink.report().flatMap(({ error }) => error ?? []))
  return { status, exit, failures: [...unopened, ...failed] }
})

/** The working directory is there until the scope closes. */
const inFolder = (folder: string) =>
  Effect.acquireRelease(
    attempt(() => {
      const before = process.cwd()
      process.chdir(folder)
      return before
    }),
    (before) => Effect.ignore(attempt(() => process.chdir(before)))
  )

const attempt = <A>(run: () => A): Effect.Effect<A, RunError> =>
  Effect.try({ try: run, catch: (cause) => new RunError({ message: messageOf(cause) }) })

/** Whether two URLs lead to the same database. One of them may have the password. */
export const isSameDatabase = (a: string, b: string): boolean =>
  isPostgres(a) && isPostgres(b) && withoutSecrets(a) === withoutSecrets(b)

/** Opens an output where it stands. */
const openOutput = Effect.fnUntraced(function*(
  texts: ReadonlyArray<string>,
  at: number,
  kept: LeftJournal["kept"],
  { outputs }: Journal.JournalContent
) {
  const { layer } = yield* targetAt(texts, at, {
    mode: "append",
    fsync: "never",
    rowIds: kept["row-ids"],
    table: kept.table,
    createTable: kept["create-table"]
  })
  const sink = yield* Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(SampleSink, context))
  if (outputs.some(({ name }) => name === `${sink.name} ${sink.target}`)) return sink
  // Another server, found by other environment variables, would get everything once more.
  return yield* new RunError({
    message: `${withoutSecrets(texts[at]!)} leads to ${sink.target}, which is no output of the recording; those are ${
      outputs.map(({ name }) => targetIn(name)).join(", ")
    }. Set the variables such as PGHOST as they were, or give the URL by --out`
  })
})
