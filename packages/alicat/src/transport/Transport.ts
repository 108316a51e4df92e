/**
 * A way to send bytes to a port and to receive bytes from it.
 */
import type { SourceDependencyError, SourceOpenError } from "@sampleline/core"
import type { Effect, Scope } from "effect"

export interface Transport {
  /** Sends bytes. Waits while the port takes nothing, so give it a time-out. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, Error>
  readonly setBaud: (baud: number) => Effect.Effect<void, Error>
}

/** Called outside of any fiber. */
interface TransportHandlers {
  readonly onData: (chunk: Uint8Array) => void
  /** The port is gone. No other call follows. */
  readonly onClose: (cause: Error | null) => void
}

export type OpenTransport = (
  handlers: TransportHandlers,
  baud: number
) => Effect.Effect<Transport, SourceOpenError | SourceDependencyError, Scope.Scope>
