/**
 * Whether a port has given nothing but failures for some time. Another program may have changed its settings, or a network
 * device dropped its connection: opening it again helps.
 */
import { Deferred, Effect } from "effect"

/** Failures must go on for this long, and be this many. A device that is switched off fails as well, which is no harm. */
const PATIENCE_NANOS = 5e9
const LEAST_FAILURES = 3

export class OnlyFailures {
  private readonly reached: Deferred.Deferred<void>
  private failures = 0
  private sinceNanos = 0

  private constructor(reached: Deferred.Deferred<void>) {
    this.reached = reached
  }

  static readonly make: Effect.Effect<OnlyFailures> = Effect.map(
    Deferred.make<void>(),
    (reached) => new OnlyFailures(reached)
  )

  /** A device on the port gave a reading. */
  reading(): void {
    this.failures = 0
  }

  /** A device on the port failed. */
  failure(nowNanos: number): void {
    if (this.failures++ === 0) this.sinceNanos = nowNanos
    if (this.failures >= LEAST_FAILURES && nowNanos - this.sinceNanos >= PATIENCE_NANOS) {
      Deferred.doneUnsafe(this.reached, Effect.void)
    }
  }

  /** Returns when there was nothing but failures for too long. */
  get await(): Effect.Effect<void> {
    return Deferred.await(this.reached)
  }
}
