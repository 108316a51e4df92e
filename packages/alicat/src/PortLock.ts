/**
 * Who may use a port: one request at a time, or one device that streams.
 */
import { Effect, type Option, type Scope, Semaphore } from "effect"
import { PortStreams } from "./RequestError.ts"

export class PortLock {
  private readonly path: string
  private readonly inFlight: Semaphore.Semaphore
  private streamingUnit: string | null = null

  private constructor(path: string, inFlight: Semaphore.Semaphore) {
    this.path = path
    this.inFlight = inFlight
  }

  static readonly make = (path: string): Effect.Effect<PortLock> =>
    Effect.map(Semaphore.make(1), (inFlight) => new PortLock(path, inFlight))

  /** Runs requests one after the other. While a device streams they fail at once, and no byte is sent. */
  request<A, E>(request: Effect.Effect<A, E>): Effect.Effect<A, E | PortStreams> {
    return Effect.suspend((): Effect.Effect<A, E | PortStreams> =>
      this.streamingUnit === null ? this.inFlight.withPermits(1)(request) : this.refuse(this.streamingUnit)
    )
  }

  /** Runs a request if the port is free now. */
  requestIfFree<A, E>(request: Effect.Effect<A, E>): Effect.Effect<Option.Option<A>, E> {
    return Effect.suspend(() => this.inFlight.withPermitsIfAvailable(1)(request))
  }

  /** Reserves the port for this unit until the scope ends. Waits for a request under way. */
  stream(unitId: string): Effect.Effect<void, PortStreams, Scope.Scope> {
    return Effect.suspend(() =>
      this.streamingUnit !== null ? this.refuse(this.streamingUnit) : Effect.asVoid(Effect.acquireRelease(
        Effect.suspend(() => {
          this.streamingUnit = unitId
          return this.inFlight.take(1)
        }),
        () =>
          Effect.suspend(() => {
            this.streamingUnit = null
            return this.inFlight.release(1)
          })
      ))
    )
  }

  private refuse(unitId: string): Effect.Effect<never, PortStreams> {
    return Effect.fail(new PortStreams({ path: this.path, unitId }))
  }
}
