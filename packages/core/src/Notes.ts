/**
 * What is noted of a recording while it goes on, beside its ticks: marks that a user sets, such as "valve opened", and alarms.
 */
import { Context, Effect, type Scope } from "effect"
import type { RunEvent } from "./RunEvent.ts"
import { current as currentClock } from "./SampleClock.ts"

type WithoutRun<Event> = Event extends RunEvent ? Omit<Event, "runId"> : never

/**
 * An event that lacks only its run.
 *
 * @since 0.1.0
 * @category models
 */
export type NotedEvent = WithoutRun<
  Extract<RunEvent, { readonly _tag: "Marker" | "AlarmRaised" | "AlarmCleared" }>
>

export class Note {
  readonly event: NotedEvent

  constructor(event: NotedEvent) {
    this.event = event
  }
}

type Listener = (note: Note) => Effect.Effect<unknown>

/** The recordings that go on. */
const Listeners: Context.Reference<Set<Listener>> = Context.Reference("@sampleline/core/Notes", {
  defaultValue: () => new Set<Listener>()
})

/**
 * Adds an event to all recordings that go on in this program. It waits for room in them, as their ticks do. Where nothing is recorded, it
 * does nothing.
 *
 * @since 0.1.0
 * @category combinators
 */
export const note = Effect.fnUntraced(function*(event: NotedEvent): Effect.fn.Return<void> {
  const noted = new Note(event)
  yield* Effect.forEach(yield* Listeners, (listen) => listen(noted), { discard: true })
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
  const { size } = yield* Listeners
  if (size === 0) yield* Effect.logWarning(`the mark ${JSON.stringify(text)} is lost: nothing is recorded`)
  yield* note({ _tag: "Marker", at: at ?? clock.epochMicros(), text })
})

/** Hears of notes until the scope closes. */
export const onNote = (listen: Listener): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Listeners, (listeners) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => listeners.add(listen)),
      () => Effect.sync(() => listeners.delete(listen))
    )))
