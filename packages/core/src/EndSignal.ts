/**
 * Ending a run from outside, without losing anything: the recorder stops polling, its buffer drains, the open batch is
 * written, and the program succeeds with its summary. Interrupting the program writes the open batch too, but leaves no
 * one to take the summary.
 */
import { Context, Deferred, Effect, Fiber, type Scope } from "effect"

/**
 * @since 0.1.0
 * @category models
 */
export interface EndSignal {
  readonly isEnded: () => boolean
  readonly end: Effect.Effect<void>
  /** Returns when the run is to end. */
  readonly await: Effect.Effect<void>
  /**
   * Declares, for a scope, that the upstream ends by itself on this signal; nobody else then cuts it off. `backlog` tells how
   * many samples it holds that were polled and not taken yet.
   */
  readonly observe: (backlog: () => number) => Effect.Effect<void, never, Scope.Scope>
  readonly isObserved: () => boolean
  readonly backlog: () => number
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (): EndSignal => {
  const deferred = Deferred.makeUnsafe<void>()
  let ended = false
  const observers = new Set<() => number>()
  return {
    isEnded: () => ended,
    end: Effect.suspend(() => {
      ended = true
      return Effect.asVoid(Deferred.succeed(deferred, undefined))
    }),
    await: Deferred.await(deferred),
    observe: (backlog) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => observers.add(backlog)),
        () => Effect.sync(() => observers.delete(backlog))
      )),
    isObserved: () => observers.size > 0,
    backlog: () => [...observers].reduce((samples, backlog) => samples + backlog(), 0)
  }
}

/**
 * The signal that the running program listens to. Default: one that never comes.
 *
 * @since 0.1.0
 * @category services
 */
export const EndSignal: Context.Reference<EndSignal> = Context.Reference("@sampleline/core/EndSignal", {
  defaultValue: (): EndSignal => ({
    isEnded: () => false,
    end: Effect.void,
    await: Effect.never,
    observe: () => Effect.void,
    isObserved: () => false,
    backlog: () => 0
  })
})

/**
 * Ends the recordings inside `program` when `signal` completes, and lets the program finish. Nests: the first signal counts.
 *
 * @example
 * program.pipe(endWhen(Effect.sleep("8 hours")))
 *
 * @since 0.1.0
 * @category combinators
 */
export const endWhen =
  <R2>(signal: Effect.Effect<unknown, never, R2>) =>
  <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | R2> =>
    Effect.flatMap(EndSignal, (ambient) => {
      const ending = make()
      return Effect.flatMap(
        Effect.forkChild(Effect.andThen(Effect.exit(Effect.raceFirst(signal, ambient.await)), ending.end)),
        (waiting) =>
          program.pipe(
            Effect.provideService(EndSignal, ending),
            Effect.ensuring(Fiber.interrupt(waiting))
          )
      )
    })
