/**
 * SIGINT, SIGTERM and SIGHUP ask the command to end. A second signal ends the process at once.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { Ended } from "./errors.ts"

export type Signal = "SIGINT" | "SIGTERM" | "SIGHUP"

const EXIT_CODES: { readonly [signal in Signal]: number } = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }

/** Listens from now on while the scope is open. `first` returns the first signal. */
export const listen = Effect.gen(function*() {
  const first = yield* Deferred.make<Signal>()
  const onSignal = (signal: Signal) => {
    if (!Deferred.doneUnsafe(first, Effect.succeed(signal))) process.exit(EXIT_CODES[signal])
  }
  const signals = Object.keys(EXIT_CODES) as ReadonlyArray<Signal>
  yield* Effect.acquireRelease(
    Effect.sync(() => signals.forEach((signal) => process.on(signal, onSignal))),
    () => Effect.sync(() => signals.forEach((signal) => process.off(signal, onSignal)))
  )
  return { first: Deferred.await(first) }
})

/** Ends the command with the exit code of the signal. */
export const end = (signal: Signal): Effect.Effect<never, Ended> =>
  Effect.fail(new Ended({ exitCode: EXIT_CODES[signal] }))
