/**
 * `record --append`: finishes what killed recordings have left, before the next one begins.
 *
 * What cannot be finished does not keep the next one from recording, and is not lost: its journal stays under its name, and the
 * next recording has another one. Each start tries again. A full disk is the exception: a text file that waits for room would get
 * the rows of the next recording first, and then the missing ones had no place in it.
 */
import { SinkWriteError } from "@sampleline/core"
import type { Journal } from "@sampleline/journal"
import * as Effect from "effect/Effect"
import { RunError } from "./errors.ts"
import { finish, readJournal } from "./finish.ts"
import { earlierJournals, isNone, lackIn, recordingIn, resumeCommand } from "./journal.ts"
import type { Settings } from "./settings.ts"
import { count } from "./summary.ts"

/** Finishes all journals that earlier recordings of the same outputs have left, the oldest first. */
export const finishEarlier = (settings: Settings): Effect.Effect<void, RunError> =>
  Effect.forEach(earlierJournals(settings), (journal) => finishOne(journal, settings), { discard: true })

const finishOne = Effect.fnUntraced(function*(journal: string, settings: Settings) {
  const finished = yield* tryToFinish(journal, settings).pipe(
    Effect.catch((error) => Effect.as(isNone(error) ? Effect.void : stays(journal, error.message), null))
  )
  if (finished === null) return
  const { failures, left, written } = finished
  if (left === null) {
    const got = written.map(({ name, written }) => `${name} got ${count(written)} samples and events`)
    return yield* Effect.logInfo(`${journal} is finished: ${got.join(", ")}`)
  }
  const full = failures.find(isFullDisk)
  if (full !== undefined) {
    return yield* new RunError({
      message:
        `${full.message}. It lacks samples of an earlier recording, which come before those of the next one: make room`
    })
  }
  yield* stays(journal, left.lack)
})

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
    `${journal} stays, and this recording has a journal of its own: ${why}; finish it by \`${
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
