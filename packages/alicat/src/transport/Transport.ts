/**
 * The bytes of a port, in both directions. A transport knows nothing of what they mean.
 */
import type { SourceDependencyError, SourceOpenError } from "@sampleline/core"
import type { Effect, Scope } from "effect"

export interface Transport {
  /**
   * Hands bytes to the port, outside of any fiber. `done` is called when it has taken them, or has failed. It may never be called
   * by a port that takes nothing. Gives what makes it not be called.
   */
  readonly write: (bytes: Uint8Array, done: (error: Error | null) => void) => () => void
  readonly setBaud: (baud: number) => Effect.Effect<void, Error>
}

/** Called as things happen, outside of any fiber. */
interface TransportHandlers {
  readonly onData: (chunk: Uint8Array) => void
  /** The port is gone; nothing comes after this. */
  readonly onClose: (cause: Error | null) => void
}

export type OpenTransport = (
  handlers: TransportHandlers,
  baud: number
) => Effect.Effect<Transport, SourceOpenError | SourceDependencyError, Scope.Scope>
