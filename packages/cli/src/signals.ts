/**
 * SIGINT, SIGTERM and SIGHUP as a request to end; the second one leaves at once.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

export type Signal = "SIGINT" | "SIGTERM" | "SIGHUP"

export const exitCodes: { readonly [signal in Signal]: number } = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }

/** Listens from now on, for as long as the scope is open; `first` returns the first signal. */
export const listen = Effect.gen(function*() {
  const first = yield* Deferred.make<Signal>()
  const onSignal = (signal: Signal) => {
    if (!Deferred.doneUnsafe(first, Effect.succeed(signal))) process.exit(exitCodes[signal])
  }
  const signals = Object.keys(exitCodes) as ReadonlyArray<Signal>
  yield* Effect.acquireRelease(
    Effect.sync(() => signals.forEach((signal) => process.on(signal, onSignal))),
    () => Effect.sync(() => signals.forEach((signal) => process.off(signal, onSignal)))
  )
  return { first: Deferred.await(first) }
})
