/**
 * What sees the samples and events of recordings on their way to the outputs, such as a live page.
 */
import { Context, Effect, type Scope } from "effect"
import type { RunEvent } from "./RunEvent.ts"
import type { Sample } from "./Sample.ts"

/**
 * Called with samples and events in their order. It must be quick, and may not throw: a tick waits for it.
 *
 * @since 0.1.0
 * @category models
 */
export type Observer = (items: ReadonlyArray<Sample | RunEvent>) => void

/** Those of this program. */
export const Observers: Context.Reference<Set<Observer>> = Context.Reference("@sampleline/core/Observers", {
  defaultValue: () => new Set<Observer>()
})

/**
 * Shows an observer all samples and events of the recordings in this program, until the scope closes.
 *
 * @since 0.1.0
 * @category combinators
 */
export const observe = (observer: Observer): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Observers, (observers) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => observers.add(observer)),
      () => Effect.sync(() => observers.delete(observer))
    )))
