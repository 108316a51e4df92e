/**
 * `sampleline stop`: ends a recording that another process makes, as Ctrl-C in its terminal does.
 */
import { Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import { ask, open } from "./controlClient.ts"
import { type Address, VERSION } from "./controlProtocol.ts"
import { RunError } from "./errors.ts"
import { journalArgument } from "./journalsHere.ts"
import * as Signals from "./signals.ts"
import { outputText } from "./statusText.ts"
import { clearStatus, print, say, showStatus } from "./terminal.ts"

export const stopCommand = Command.make(
  "stop",
  {
    journal: journalArgument,
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print the summary of the recording as one JSON object"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function*({ journal, json }) {
    const { chooseLive } = yield* Effect.promise(() => import("./journalState.ts"))
    const live = yield* chooseLive(journal, "stopped")
    const { first: signal } = yield* Signals.listen
    const { failure, summary, text } = yield* stop(live.address).pipe(
      Effect.mapError(({ message }) => new RunError({ message: `${live.journal}: ${message}` })),
      Effect.raceFirst(Effect.flatMap(signal, leave))
    )
    print(json ? summary : text)
    if (failure !== null) return yield* new RunError({ message: failure })
  }, Effect.scoped)
).pipe(
  Command.withShortDescription("End a running recording"),
  Command.withDescription(
    "End a recording that runs on this machine under your user, as Ctrl-C in its terminal does: everything that was polled gets into "
      + "its outputs. Waits until it has ended, and prints its summary. The exit code is 1 if it has failed, or an output was left to "
      + "the journal. Ctrl-C ends only the waiting. A supervisor starts the recording again: stop it there, such as by systemctl stop."
  ),
  Command.withExamples([
    { command: "sampleline stop", description: "End the recording whose journal is in this folder" },
    { command: "sampleline stop run.csv.journal", description: "End this one" },
    { command: "sampleline stop --json | jq .samplesEmitted", description: "End it, and use its summary" }
  ])
)

/** How long the process may take to end when everything else is done. */
const LAST_PATIENCE = "5 seconds"

const SHOW_INTERVAL = "250 millis"

/** Ends the recording. Returns when its process is gone. */
const stop = Effect.fnUntraced(function*(address: Address) {
  const replies = yield* open(address, { version: VERSION, ask: "stop" })
  yield* replies.next("ending")
  say(`process ${address.pid} is ending`)
  const ended = yield* Effect.raceFirst(replies.later("ended"), showOutputs(address))
  yield* Effect.timeoutOption(replies.closed, LAST_PATIENCE)
  return ended
}, Effect.scoped)

/** Shows forever how far the outputs are. */
const showOutputs = (address: Address): Effect.Effect<never> =>
  ask(address, { version: VERSION, ask: "status" }, "status").pipe(
    Effect.flatMap(({ outputs }) =>
      process.stderr.isTTY ? showStatus(`ending   ${outputs.map(outputText).join("   ")}`) : Effect.void
    ),
    Effect.ignore,
    Effect.andThen(Effect.sleep(SHOW_INTERVAL)),
    Effect.forever,
    Effect.ensuring(Effect.sync(clearStatus))
  )

const leave = (signal: Signals.Signal) => {
  say("the recording goes on ending")
  return Signals.end(signal)
}
