/**
 * Ends a run from outside without losing a sample. The recorder stops polling, its buffer drains, the open batch is written,
 * and the program succeeds with its summary. An interruption also writes the open batch, but then nobody gets the summary.
 */
import { Context, Deferred, Effect, Exit, Fiber, type Scope } from "effect"

/**
 * Who ended a run, and how: e.g. the name of a signal.
 *
 * @since 0.1.0
 * @category models
 */
export interface EndedBy {
  readonly cause: "stopped" | "interrupted"
  readonly detail: string | null
}

/**
 * @since 0.1.0
 * @category models
 */
export interface EndSignal {
  readonly isEnded: () => boolean
  /** The first call counts. */
  readonly end: (by: EndedBy) => Effect.Effect<void>
  /** Null before the end. */
  readonly endedBy: () => EndedBy | null
  /** Completes when the run is told to end. */
  readonly await: Effect.Effect<void>
  /**
   * Registers, for a scope, a stream that ends itself on this signal. `pipeToSink` then gives it time to end. `backlog` is the
   * number of samples that the stream has polled and not yet handed on.
   */
  readonly observe: (backlog: () => number) => Effect.Effect<void, never, Scope.Scope>
  /** Whether a stream is registered. */
  readonly isObserved: () => boolean
  /** The backlog of all registered streams, in samples. */
  readonly backlog: () => number
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (): EndSignal => {
  const deferred = Deferred.makeUnsafe<void>()
  let endedBy: EndedBy | null = null
  const observers = new Set<() => number>()
  return {
    isEnded: () => endedBy !== null,
    end: (by) =>
      Effect.suspend(() => {
        endedBy ??= by
        return Effect.asVoid(Deferred.succeed(deferred, undefined))
      }),
    endedBy: () => endedBy,
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
 * The signal that the running program listens to. By default it never comes.
 *
 * @since 0.1.0
 * @category services
 */
export const EndSignal: Context.Reference<EndSignal> = Context.Reference("@sampleline/core/EndSignal", {
  defaultValue: (): EndSignal => ({
    isEnded: () => false,
    end: () => Effect.void,
    endedBy: () => null,
    await: Effect.never,
    observe: () => Effect.void,
    isObserved: () => false,
    backlog: () => 0
  })
})

/**
 * Ends the recordings inside a program when `signal` completes. The program itself goes on to its end. Calls can be nested:
 * the first signal ends the recordings. A text that `signal` gives, such as `SIGINT`, is kept as what ended the run.
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
        Effect.forkChild(Effect.flatMap(
          Effect.exit(Effect.raceFirst(signal, ambient.await)),
          (exit) => ending.end(ambient.endedBy() ?? { cause: "stopped", detail: textOf(exit) })
        )),
        (waiting) =>
          program.pipe(
            Effect.provideService(EndSignal, ending),
            Effect.ensuring(Fiber.interrupt(waiting))
          )
      )
    })

const textOf = (exit: Exit.Exit<unknown>): string | null =>
  Exit.isSuccess(exit) && typeof exit.value === "string" ? exit.value : null
