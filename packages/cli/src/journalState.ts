/**
 * What has become of a journal: its recorder lives, or was killed, or has ended, or there is no journal any more. Looking changes
 * nothing.
 *
 * This file is loaded only for commands that need it.
 */
import type { InvalidOptionError } from "@sampleline/core"
import { Journal, type JournalError } from "@sampleline/journal"
import { OwnerLock } from "@sampleline/sqlite"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { addressIn, ask } from "./controlClient.ts"
import { type Address, type Status, VERSION } from "./controlProtocol.ts"
import { RunError, UsageError } from "./errors.ts"
import { lackIn, resumeCommand } from "./journal.ts"
import { journalsHere } from "./journalsHere.ts"
import { targetIn } from "./summary.ts"

export interface LiveJournal {
  readonly state: "live"
  readonly journal: string
  readonly address: Address
  readonly status: Status
  /** The size of the journal's files, in bytes. */
  readonly bytes: number
}

/** One whose recorder cannot be asked. */
export interface OtherJournal {
  /**
   * `held`: a process has it that cannot be asked. `killed`: its recorder is gone. `left`: its recorder has ended, and outputs lack
   * something. `finished`: it is gone because all outputs have everything. `foreign`: not a journal, or of another version.
   * `unreadable`: it is damaged, or may not be read.
   */
  readonly state: "held" | "killed" | "left" | "finished" | "foreign" | "unreadable"
  readonly journal: string
  /** What is known, and what to do. */
  readonly detail: string
  /** What each output lacks, if it is known. */
  readonly outputs: Journal.JournalContent["outputs"]
}

export type JournalState = LiveJournal | OtherJournal

/** What a script learns from `status`. */
export const EXIT_CODES: { readonly [state in JournalState["state"]]: number } = {
  live: 0,
  foreign: 1,
  unreadable: 1,
  finished: 3,
  killed: 4,
  left: 4,
  held: 5
}

export const stateOf = Effect.fnUntraced(function*(journal: string): Effect.fn.Return<JournalState> {
  if (!fs.existsSync(journal)) return finished(journal)
  const address = addressIn(journal)
  if (address?.host === os.hostname()) {
    const found = yield* ask(address, { version: VERSION, ask: "status" }, "status").pipe(
      Effect.map((status): JournalState => ({ state: "live", journal, address, status, bytes: sizeOf(journal) })),
      Effect.catch(({ message, reason }) => {
        // A socket of another user cannot tell whether anybody listens.
        const isGone = reason === "Gone" || (reason === "NotAllowed" && !OwnerLock.isRunning(address.pid))
        return Effect.succeed(isGone ? null : other(journal, "held", message))
      })
    )
    if (found !== null) return found
  }
  return yield* Journal.peek(journal).pipe(
    Effect.map((content): JournalState =>
      other(
        journal,
        address === null ? "left" : "killed",
        `${
          address === null
            ? "its recorder has ended"
            : `its recorder, process ${address.pid} on ${address.host}, is gone`
        }; ${lackIn(content)}; run \`${resumeCommand(journal)}\``,
        content.outputs.map(({ behind, name }) => ({ name: targetIn(name), behind }))
      )
    ),
    Effect.catch((error) => Effect.succeed(fs.existsSync(journal) ? refusedState(journal, error) : finished(journal)))
  )
})

const other = (
  journal: string,
  state: OtherJournal["state"],
  detail: string,
  outputs: OtherJournal["outputs"] = []
): OtherJournal => ({ state, journal, detail, outputs })

const finished = (journal: string): OtherJournal =>
  other(
    journal,
    "finished",
    "there is no journal, because every output has everything, or nothing was recorded under this name"
  )

const refusedState = (journal: string, error: JournalError | InvalidOptionError): OtherJournal => {
  if (error._tag === "InvalidOptionError") return other(journal, "unreadable", error.message)
  const { cause, detail, reason } = error
  switch (reason) {
    case "Busy": {
      const owner = cause instanceof OwnerLock.OwnedError ? cause.owner : null
      const process = owner === null ? "another process" : `process ${owner.pid} on ${owner.host}`
      return other(
        journal,
        "held",
        `${process} begins, resumes or finishes it now, or records without a control socket, as its log says`
      )
    }
    case "Missing":
      return other(journal, "foreign", "it is no journal, or nothing was recorded in it")
    case "Version":
      return other(journal, "foreign", detail)
    default:
      return other(journal, "unreadable", detail)
  }
}

/** Files may go meanwhile, and the folder too. */
const sizeOf = (folder: string): number =>
  fs.globSync("*", { cwd: folder }).reduce(
    (sum, name) => sum + (fs.statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0
  )

/** The journal that was given. Else of those in the working directory the only one whose recorder lives, or the only one. */
export const choose = Effect.fnUntraced(
  function*(given: Option.Option<string>): Effect.fn.Return<JournalState, RunError | UsageError> {
    if (Option.isSome(given)) return yield* stateOf(given.value)
    const names = yield* journalsHere
    if (names.length === 0) {
      return yield* new RunError({
        message:
          "there is no *.journal in this folder, so nothing is recorded here; give the journal's folder if it is elsewhere"
      })
    }
    const states = yield* Effect.forEach(names, stateOf)
    const live = states.filter(({ state }) => state === "live")
    const [only, ...others] = live.length > 0 ? live : states
    if (only === undefined || others.length > 0) {
      return yield* new UsageError({
        message: `several journals are here; give one of them: ${
          states.map(({ journal, state }) => `${journal} (${state})`).join(", ")
        }`
      })
    }
    return only
  }
)

/** The same, for what only a live recorder can do. */
export const chooseLive = Effect.fnUntraced(
  function*(
    given: Option.Option<string>,
    goal: "marked" | "stopped"
  ): Effect.fn.Return<LiveJournal, RunError | UsageError> {
    const found = yield* choose(given)
    if (found.state === "live") return found
    const line = lineOf(found)
    return yield* new RunError({ message: found.state === "held" ? `not ${goal}: ${line}` : line })
  }
)

/** The truth in one line. */
export const lineOf = ({ detail, journal, state }: OtherJournal): string => `${journal}: ${state}: ${detail}`
