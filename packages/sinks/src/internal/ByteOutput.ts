/**
 * Where the bytes of a text sink go: a file or a pipe.
 */
import type { RunEvent, SinkWriteError } from "@sampleline/core"
import type { Effect } from "effect"
import type { FilePlace } from "./Rewriting.ts"

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
  /** Keeps an event beside the rows, if it can. A pipe keeps none. */
  readonly event: (event: RunEvent) => Effect.Effect<void>
  /** Called once a run has begun: a new file then stays, even if no sample comes. */
  readonly began: () => void
  /** What was accepted and then lost: never read from a pipe, removed with its file, or not forced to disk. */
  readonly lost: () => SinkWriteError | undefined
  /** For a journal. A pipe cannot go back. */
  readonly resumable?: {
    /** Goes on behind a place, or, if that is null, behind what the output holds now. */
    readonly open: (place: TextPlace | null) => Effect.Effect<TextPlace, SinkWriteError>
    /** Keeps an event, or fails. */
    readonly event: (event: RunEvent) => Effect.Effect<void, SinkWriteError>
    /**
     * How far it is, before rows or an event are written. `isNew`: these go to another file than those before, so that earlier places
     * lead nowhere.
     */
    readonly place: (
      next: "rows" | "event"
    ) => Effect.Effect<{ readonly place: TextPlace; readonly isNew: boolean }, SinkWriteError>
    /** Whether a file that was moved away may hold the next samples already. They are then written one by one. */
    readonly isMoved: () => boolean
    readonly sync: Effect.Effect<void, SinkWriteError>
    /** Fails if the output holds more than what was written, unless a journal can have lost it. */
    readonly finish: Effect.Effect<void, SinkWriteError>
  } | undefined
}

/** How far a text file and the file of its events are. No events: they are not kept. */
export interface TextPlace {
  readonly rows: FilePlace
  readonly events: FilePlace | null
}
