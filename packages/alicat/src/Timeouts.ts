/**
 * Time-outs that this process cannot cause itself. If the process stood still, bytes that arrived in that time are read
 * before the time-out ends.
 */
import { Effect } from "effect"
import { NoReply } from "./RequestError.ts"

const SLICES = 5

/** Sleeps in slices. However long the process stands still, only one slice passes. */
export const sleepAwake = (ms: number): Effect.Effect<unknown> =>
  Effect.repeat(Effect.sleep(ms / SLICES), { times: SLICES - 1 })

/** Fails with `NoReply` after this time. */
export const within = (afterMs: number) => <A, E>(reply: Effect.Effect<A, E>): Effect.Effect<A, E | NoReply> =>
  Effect.raceFirst(
    reply,
    Effect.andThen(sleepAwake(afterMs), Effect.suspend(() => Effect.fail(new NoReply({ afterMs }))))
  )
