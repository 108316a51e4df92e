/**
 * `record --append`: finishes what killed recordings have left, before the next one begins.
 *
 * What cannot be finished does not keep the next one from recording, and is not lost: its journal stays under its name, and the
 * next recording has another one. Each start tries again. A full disk is the exception, also that of the journal: a text file would
 * get the rows of the next recording first, and then the missing ones had no place in it.
 */
import { SinkWriteError } from "@sampleline/core"
import { type Journal, JournalError } from "@sampleline/journal"
import * as Effect from "effect/Effect"
import { RunError } from "./errors.ts"
import { finish, readJournal } from "./finish.ts"
import { lackIn, recordingIn, resumeCommand } from "./journal.ts"
import type { Settings } from "./settings.ts"
import { count } from "./summary.ts"

/** Finishes the journals that earlier recordings of the same outputs have left, one after the other. */
export const finishEarlier = (journals: ReadonlyArray<string>, settings: Settings): Effect.Effect<void, RunError> =>
  Effect.forEach(journals, (journal) => finishOne(journal, settings), { discard: true })

const finishOne = Effect.fnUntraced(function*(journal: string, settings: Settings) {
  const finished = yield* tryToFinish(journal, settings).pipe(
    Effect.catch((error) => Effect.as(notFinished(journal, error), null))
  )
  if (finished === null) return
  const { failures, left, written } = finished
  if (left === null) {
    const got = written.map(({ name, written }) => `${name} got ${count(written)} samples and events`)
    return yield* Effect.logInfo(`${journal} is finished: ${got.join(", ")}`)
  }
  const full = failures.find(isFullDisk)
  if (full !== undefined) return yield* noRoom(full.message)
  yield* stays(journal, left.lack)
})

/** One that is in use belongs to another recording: if that has the same file, opening it says so. */
const notFinished = (journal: string, error: Error) => {
  const reason = error instanceof JournalError ? error.reason : null
  if (reason === "Missing" || reason === "Busy") return Effect.void
  return reason === "DiskFull" ? noRoom(error.message) : stays(journal, error.message)
}

const noRoom = (problem: string) =>
  Effect.fail(
    new RunError({
      message: `${problem}. Samples of an earlier recording come before those of the next one: make room`
    })
  )

/** Null if the journal holds nothing. */
const tryToFinish = Effect.fnUntraced(function*(journal: string, { out, quiet }: Settings) {
  const found = yield* readJournal(journal)
  if (found.content.items === 0) return null
  yield* Effect.logInfo(
    `finishing ${journal} first, which ${recordingIn(found.content)} has left: ${lackIn(found.content)}`
  )
  return yield* finish(found, { urls: out, quiet, giveUp: allWait })
})

const stays = (journal: string, why: string) =>
  Effect.logWarning(
    `${journal} stays, and this recording begins without it: ${why}; finish it by \`${
      resumeCommand(journal)
    }\`, or by the next start`
  )

const LOOK_MILLIS = 250
const PATIENCE_MILLIS = 5000

/** Completes when all outputs that lack something have been failing for a while. */
const allWait = Effect.fnUntraced(function*(status: Journal.JournalStatus) {
  for (let waitedMillis = 0; waitedMillis < PATIENCE_MILLIS;) {
    yield* Effect.sleep(LOOK_MILLIS)
    const lacking = status.outputs.filter(({ behind }) => behind > 0)
    const wait = lacking.length > 0 && lacking.every(({ state }) => state !== "writing")
    waitedMillis = wait ? waitedMillis + LOOK_MILLIS : 0
  }
})

/** Whether a text file waits for room. */
const isFullDisk = (error: unknown): error is SinkWriteError =>
  error instanceof SinkWriteError && error.reason === "DiskFull" && ["CsvSink", "JsonlSink"].includes(error.sink)
