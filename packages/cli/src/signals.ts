/**
 * SIGINT, SIGTERM and SIGHUP ask the command to end, and so does `sampleline stop`, which stands for a Ctrl-C from elsewhere. A second signal ends the process at once, but not a SIGHUP: a terminal that
 * closes sends it from the system and from the shell.
 *
 * A command without a terminal goes on after SIGHUP: it was started with `nohup`, or its terminal was closed behind it. Node takes
 * back the setting with which `nohup` ignores the signal.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { Ended } from "./errors.ts"

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const

const STOP = "sampleline stop"

export type Signal = (typeof SIGNALS)[number] | typeof STOP

const EXIT_CODES: { readonly [signal in Signal]: number } = { SIGINT: 130, [STOP]: 130, SIGTERM: 143, SIGHUP: 129 }

/** Whether the signal means no more than that the user has enough. */
export const isByUser = (signal: Signal): boolean => signal === "SIGINT" || signal === STOP

/**
 * Listens from now on while the scope is open. `first` returns the first signal, `hasCome` tells whether it has come, and `stop`
 * stands for one. What `beforeExit` is given runs when a second one ends the process.
 */
export const listen = Effect.gen(function*() {
  const first = yield* Deferred.make<Signal>()
  const context = yield* Effect.context()
  // What the streams are, not whether they still work: a terminal that was closed counts.
  const hasTerminal = process.stdout.isTTY || process.stderr.isTTY
  let lastWords = () => {}
  const onSignal = (signal: Signal) => {
    if (signal === "SIGHUP" && !hasTerminal) {
      Effect.runForkWith(context)(
        Effect.logInfo("SIGHUP is ignored, because there is no terminal; the command goes on")
      )
    } else if (!Deferred.doneUnsafe(first, Effect.succeed(signal)) && signal !== "SIGHUP") {
      lastWords()
      process.exit(EXIT_CODES[signal])
    }
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => SIGNALS.forEach((signal) => process.on(signal, onSignal))),
    () => Effect.sync(() => SIGNALS.forEach((signal) => process.off(signal, onSignal)))
  )
  return {
    first: Deferred.await(first),
    hasCome: () => Deferred.isDoneUnsafe(first),
    stop: Deferred.succeed(first, STOP),
    beforeExit: (run: () => void) => {
      lastWords = run
    }
  }
})

/** Ends the command with the exit code of the signal. */
export const end = (signal: Signal): Effect.Effect<never, Ended> =>
  Effect.fail(new Ended({ exitCode: EXIT_CODES[signal] }))
