/**
 * Marks that a user sets while a recording goes on, such as "valve opened".
 */
import { Context, Effect, type Scope } from "effect"
import { current as currentClock } from "./SampleClock.ts"

export class Mark {
  /** Microseconds since the epoch. */
  readonly at: number
  readonly text: string

  constructor(at: number, text: string) {
    this.at = at
    this.text = text
  }
}

type Listener = (mark: Mark) => Effect.Effect<unknown>

/** The recordings that go on. */
const Listeners: Context.Reference<Set<Listener>> = Context.Reference("@sampleline/core/Marks", {
  defaultValue: () => new Set<Listener>()
})

/**
 * Marks all recordings that go on in this program. The text is kept with their events. `at` is the time that is marked, in
 * microseconds since the epoch. Default: this moment.
 *
 * @example
 * Effect.andThen(openValve, Recorder.mark("valve opened"))
 *
 * @since 0.1.0
 * @category combinators
 */
export const mark = Effect.fnUntraced(function*(
  text: string,
  at?: number
): Effect.fn.Return<void> {
  const clock = yield* currentClock
  const marked = new Mark(at ?? clock.epochMicros(), text)
  const listeners = yield* Listeners
  if (listeners.size === 0) yield* Effect.logWarning(`the mark ${JSON.stringify(text)} is lost: nothing is recorded`)
  yield* Effect.forEach(listeners, (listen) => listen(marked), { discard: true })
})

/** Hears of marks until the scope closes. */
export const onMark = (listen: Listener): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Listeners, (listeners) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => listeners.add(listen)),
      () => Effect.sync(() => listeners.delete(listen))
    )))
