import { Effect } from "effect"

/** Root may do everything, so the effect runs as nobody. */
export const asNobody = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  process.getuid?.() === 0
    ? Effect.acquireUseRelease(
      Effect.sync(() => process.seteuid!(65534)),
      () => effect,
      () => Effect.sync(() => process.seteuid!(0))
    )
    : effect
