/**
 * Where the bytes of a text sink go: a file or a pipe.
 */
import type { SinkWriteError } from "@sampleline/core"
import type { Effect } from "effect"

export interface ByteOutput {
  /**
   * Takes all the bytes of a batch, or none. `encode` runs when the bytes are taken and nothing runs in between, so all
   * batches can be encoded in the same memory.
   */
  readonly write: (encode: () => Uint8Array, samples: number) => Effect.Effect<void, SinkWriteError>
  /** Called once a run has begun: a new file then stays, even if no sample comes. */
  readonly began: () => void
  /** What was accepted and then lost: never read from a pipe, or not forced to disk. */
  readonly lost: () => SinkWriteError | undefined
}
