/**
 * The bytes of a port, in both directions. A transport knows nothing of what they mean.
 */
import type { SourceDependencyError, SourceOpenError } from "@sampleline/core"
import type { Effect, Scope } from "effect"

export interface Transport {
  /** Hands bytes to the port. Waits for as long as the port takes nothing, so give it a time-out. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, Error>
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
