/**
 * Where the bytes of a text sink go: a file or a pipe.
 */
import type { RunEvent, SinkWriteError } from "@sampleline/core"
import type { Effect } from "effect"

/**
 * For the first batch in a file: whether it follows what was there before. Null for any other batch and for pipes.
 */
export type FirstInFile = { readonly isAppended: boolean } | null

export interface ByteOutput {
  /**
   * Takes all the bytes of a batch, or none. `encode` runs when the bytes are taken and nothing runs in between, so all
   * batches can be encoded in the same memory. It is told whether nothing stands before the batch.
   */
  readonly write: (
    encode: (isBeginning: boolean) => Uint8Array,
    samples: number
  ) => Effect.Effect<FirstInFile, SinkWriteError>
  /** Keeps an event beside the rows. A pipe keeps none. */
  readonly event: (event: RunEvent) => Effect.Effect<void>
  /** Called once a run has begun: a new file then stays, even if no sample comes. */
  readonly began: () => void
  /** What was accepted and then lost: never read from a pipe, removed with its file, or not forced to disk. */
  readonly lost: () => SinkWriteError | undefined
}
