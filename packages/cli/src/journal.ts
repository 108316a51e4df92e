/**
 * The journal of a recording: where it is, what it keeps for `resume`, and what it still holds at the end.
 *
 * This file is loaded only for commands that need a journal.
 */
import {
  formatTimestamp,
  type InvalidOptionError,
  type PipeOptions,
  type Progress,
  Recorder,
  SampleClock
} from "@sampleline/core"
import { Journal, JournalError } from "@sampleline/journal"
import { SqliteDatabase } from "@sampleline/sqlite"
import type { Alarms, LiveTable } from "@sampleline/view"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Control from "./control.ts"
import { RunError } from "./errors.ts"
import { besideOutput, elsewhere, given, journalsInPlace, nthName } from "./journalPlaces.ts"
import { statusOf } from "./runStatus.ts"
import { withoutPassword } from "./secrets.ts"
import { JOURNAL_ENDING, type Settings } from "./settings.ts"
import type * as Signals from "./signals.ts"
import { count, targetIn } from "./summary.ts"
import { absolutePath, existingFolder, isPipe, isPostgres } from "./targets.ts"
import { say } from "./terminal.ts"

export { Journal }

/** What a recording needs of its journal. */
export interface RunJournal {
  /** Its folder. */
  readonly path: string
  readonly status: Journal.JournalStatus
  /** Lets `sampleline status`, `mark` and `stop` talk to the recording while the scope is open. */
  readonly openControl: (recording: OpenRecording) => Effect.Effect<Control.Control, never, Scope.Scope>
  readonly pipeToSink: (
    options: PipeOptions & { readonly control: Control.Control | null }
  ) => ReturnType<typeof Journal.pipeToSink>
  /** Says, as long as there is a journal, how to finish the outputs. */
  readonly sayLeft: () => void
  /** What outputs lack when the recording has ended; null if they have everything. */
  readonly left: Effect.Effect<Left | null>
}

/** What `status`, `mark` and `stop` look at and change. */
export interface OpenRecording {
  readonly progress: Progress
  readonly table: LiveTable.LiveTable
  /** Null: it has none. */
  readonly alarms: Alarms.RaisedAlarms | null
  readonly signals: Effect.Success<typeof Signals.listen>
}

/** The journal of a recording, in its place. It is made when the recording begins. */
export const prepare = Effect.fnUntraced(function*(settings: Settings): Effect.fn.Return<RunJournal> {
  const place = yield* freeName(yield* placeOf(settings))
  const status = new Journal.JournalStatus()
  return {
    path: place,
    status,
    openControl: Effect.fnUntraced(function*({ alarms, progress, signals, table }) {
      const clock = yield* SampleClock.current
      const isEnding = () => signals.hasCome() || progress.current.finishedAt !== null
      return yield* Control.open({
        status: () =>
          statusOf({
            progress,
            table,
            alarms,
            outputs: status.outputs,
            isEnding: isEnding(),
            now: clock.epochMicros()
          }),
        mark: Effect.fnUntraced(function*(text) {
          const at = clock.epochMicros()
          yield* Recorder.mark(text, at)
          yield* Effect.logInfo(`marked ${JSON.stringify(text)}`)
          return formatTimestamp(at)
        }),
        takesMarks: () => progress.current.runId !== null && !isEnding(),
        stop: signals.stop
      })
    }),
    pipeToSink: ({ control, ...options }) =>
      Journal.pipeToSink({
        ...options,
        onOpened: control?.announce(place),
        path: place,
        status,
        fsync: settings.fsync,
        maxBytes: settings["journal-max"],
        whenFull: settings["journal-full"],
        diskWait: settings["disk-wait"],
        settings: keptSettings(settings, place)
      }),
    sayLeft: () => {
      if (fs.existsSync(place)) say(`what outputs lack is in ${place}: run \`${resumeCommand(place)}\``)
    },
    left: Effect.suspend(() => leftIn(place))
  }
})

type JournalFailure = RunError | JournalError | InvalidOptionError

/**
 * Fails if there is a journal already where that of a recording would be: a live one, or without `--append` one that an earlier
 * run has left; and if a folder for `--journal` cannot be made. Changes nothing.
 */
export const check = (settings: Settings): Effect.Effect<void, JournalFailure> =>
  Effect.andThen(
    settings.journal === undefined ? Effect.void : checkFolder(settings.journal),
    Effect.forEach(journalsInPlace(settings), (journal) => refuseExisting(journal, settings), { discard: true })
  )

/** The folder of a journal, or what is there of its path, must be one in which this user may write. */
const checkFolder = (journal: string) =>
  Effect.suspend(() => {
    const folder = existingFolder(path.dirname(journal))
    const refuse = (why: string) => Effect.fail(new RunError({ message: `--journal ${journal}: ${why}` }))
    if (!fs.statSync(folder).isDirectory()) {
      return refuse("a part of its path is a file, not a folder; choose another path")
    }
    return Effect.catch(
      Effect.try(() => fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK)),
      () => refuse(`you may not write in ${folder}; choose another path`)
    )
  })

/** The first name that is free. A journal that holds nothing is in nobody's way. */
const freeName = Effect.fnUntraced(function*(place: string) {
  for (let n = 1;; n++) {
    const name = nthName(place, n)
    if (!fs.existsSync(name)) return name
    const isRemoved = yield* Effect.catch(Journal.removeEmpty(name), (error) => Effect.succeed(isNone(error)))
    if (isRemoved) return name
  }
})

/** Whether there is no journal, because its recorder was killed before it had made it. */
const isNone = (error: unknown): boolean => error instanceof JournalError && error.reason === "Missing"

/** Beside the first file, where SQLite works there. */
const placeOf = Effect.fnUntraced(function*(settings: Settings) {
  if (settings.journal !== undefined) return given(settings.journal)
  const beside = besideOutput(settings)
  const tried = yield* Effect.result(tryIn(path.dirname(beside)))
  if (Result.isSuccess(tried)) return beside
  const place = elsewhere(beside)
  yield* Effect.logInfo(
    `the journal is ${place}, because there can be none beside the outputs: ${tried.failure.message}`
  )
  return place
})

/**
 * Fails if SQLite does not work in a folder, or in the folder in which that will be made. A journal needs a write-ahead log, shared
 * memory and locks; network shares often lack one of them.
 */
const tryIn = (folder: string) =>
  Effect.gen(function*() {
    const made = yield* Effect.acquireRelease(
      SqliteDatabase.attempt(() => fs.mkdtempSync(path.join(existingFolder(folder), ".sampleline-"))),
      (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
    )
    const file = path.join(made, "try.db")
    const first = yield* SqliteDatabase.open(file)
    const second = yield* SqliteDatabase.open(file)
    yield* SqliteDatabase.attempt(() => {
      const [mode] = first.prepare("PRAGMA journal_mode = WAL").all([])
      if (mode?.["journal_mode"] !== "wal") throw new Error("SQLite can keep no write-ahead log there")
      first.exec(
        "PRAGMA synchronous = OFF; CREATE TABLE tries (n INTEGER); BEGIN IMMEDIATE; INSERT INTO tries VALUES (1)"
      )
      if (canLock(second)) throw new Error("locks do not work there")
      first.exec("COMMIT")
      if (second.prepare("SELECT n FROM tries").all([]).length !== 1) {
        throw new Error("SQLite has no shared memory there")
      }
    })
  }).pipe(Effect.scoped)

const canLock = (database: SqliteDatabase.SqliteDatabase): boolean => {
  try {
    database.exec("BEGIN IMMEDIATE; ROLLBACK")
    return true
  } catch {
    return false
  }
}

/** A journal that is there is live, or an earlier run left it. */
const refuseExisting = Effect.fnUntraced(function*(
  place: string,
  { append }: Settings
): Effect.fn.Return<void, JournalFailure> {
  const found = yield* Effect.result(Journal.inspect(place))
  if (Result.isFailure(found)) {
    const error = found.failure
    if (error._tag === "JournalError" && error.reason === "Busy") {
      return yield* new RunError({
        message: `${error.message}, or record with a journal of its own: --journal NAME${JOURNAL_ENDING}`
      })
    }
    return append || isNone(error) ? undefined : yield* error
  }
  const content = found.success
  if (append || content.items === 0) return
  return yield* new RunError({
    message: `${place} is the journal of ${recordingIn(content)} that was cut off: ${lackIn(content)}. Finish it by \`${
      resumeCommand(place)
    }\`, or give --append, which finishes it first, or record under another name`
  })
})

/** `a recording of 2026-11-28 20:00:01 UTC`. */
export const recordingIn = ({ run }: Journal.JournalContent): string =>
  run === null
    ? "a recording"
    : `a recording of ${formatTimestamp(run.startedAt).slice(0, 19).replace("T", " ")} UTC`

/** What the outputs of a journal lack, in words. */
export const lackIn = ({ items, outputs }: Journal.JournalContent): string => {
  const lacking = lackingOf(outputs)
  return lacking.length === 0 ? `its outputs have all ${count(items)} samples and events of it` : lackText(lacking)
}

/** What outputs of a journal lack. */
export interface Left {
  /** The journal's folder. */
  readonly path: string
  /** Samples and events that each output lacks. */
  readonly outputs: ReadonlyArray<{ readonly name: string; readonly behind: number }>
  /** What they lack, in words. */
  readonly lack: string
  /** The same, and how to finish them. */
  readonly message: string
}

/** What the outputs of a journal lack; null if it is gone, as it is when they have everything. */
export const leftIn = (place: string): Effect.Effect<Left | null> =>
  fs.existsSync(place)
    ? Journal.inspect(place).pipe(
      Effect.map((content) => {
        const lack = lackIn(content)
        const message = `${lack}; run \`${resumeCommand(place)}\``
        return { path: place, outputs: lackingOf(content.outputs), lack, message }
      }),
      Effect.catch((error) => Effect.as(Effect.logError(error.message), null))
    )
    : Effect.succeed(null)

/** The outputs that lack something, under the names of their targets. */
const lackingOf = (outputs: Left["outputs"]): Left["outputs"] =>
  outputs.filter(({ behind }) => behind > 0).map(({ behind, name }) => ({
    name: targetIn(name),
    behind
  }))

/** `run.db lacks 120 samples and events` for each output that lacks something. */
const lackText = (outputs: Left["outputs"]): string =>
  outputs.map(({ behind, name }) => `${name} lacks ${count(behind)} samples and events`).join(", ")

export const resumeCommand = (place: string): string =>
  `sampleline resume ${/[^\w./:\\-]/.test(place) ? JSON.stringify(place) : place}`

/** What `resume` needs to open the same outputs. */
export const KeptSettings = Schema.Struct({
  version: Schema.Literal(1),
  /** The working directory of the recording, from the journal's folder: both may be moved together. */
  folder: Schema.String,
  /** As they were given, without passwords. */
  out: Schema.Array(Schema.String),
  table: Schema.String,
  "create-table": Schema.Boolean,
  "row-ids": Schema.Boolean
})

const keptSettings = (settings: Settings, place: string): string => {
  const { "create-table": createTable, out, "row-ids": rowIds, table } = settings
  const workingDirectory = absolutePath(".")
  const kept: typeof KeptSettings.Type = {
    version: 1,
    folder: workingDirectory === null ? "." : path.relative(path.resolve(place), workingDirectory),
    out: out.filter((text) => !isPipe(text)).map((text) => isPostgres(text) ? withoutPassword(text) : text),
    table,
    "create-table": createTable,
    "row-ids": rowIds
  }
  return JSON.stringify(kept)
}

/** The settings that a journal was made with. Fails if a program of its own made it. */
export const settingsIn = (place: string, text: string | null) =>
  Schema.decodeEffect(Schema.fromJsonString(KeptSettings))(text ?? "").pipe(
    Effect.mapError(() =>
      new RunError({
        message:
          `${place} was not made by \`sampleline record\`; the program that made it finishes it by Journal.resume`
      })
    )
  )
