/**
 * The bytes of a port, in both directions; what they mean is none of its business.
 */
import type { SourceDependencyError, SourceOpenError } from "@sampleline/core"
import type { Effect, Scope } from "effect"

/**
 * @since 0.1.0
 * @category models
 */
export interface Transport {
  /** Hands bytes to the port. May wait for ever while the port takes nothing: bound it in time. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, Error>
  readonly setBaud: (baud: number) => Effect.Effect<void, Error>
}

/**
 * Called as things happen, outside of any fiber.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransportHandlers {
  readonly onData: (chunk: Uint8Array) => void
  /** The port is gone; nothing comes after this. */
  readonly onClose: (cause: Error | null) => void
}

/**
 * @since 0.1.0
 * @category models
 */
export type OpenTransport = (
  handlers: TransportHandlers,
  baud: number
) => Effect.Effect<Transport, SourceOpenError | SourceDependencyError, Scope.Scope>
