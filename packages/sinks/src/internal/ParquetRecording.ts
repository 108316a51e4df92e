/**
 * The rows of a Parquet file on their way: one row group is collected while the encoder writes the one before it.
 */
import type { Sample, SchemaLock } from "@sampleline/core"
import { Deferred, Effect } from "effect"
import type { ParquetEncoder } from "./ParquetEncoder.ts"
import { RowGroup } from "./RowGroup.ts"

/** Row groups grow with their rows: most recordings never fill a large one. */
const LARGEST_CAPACITY = 10_000

export class ParquetRecording {
  readonly lock: SchemaLock
  readonly encoder: ParquetEncoder
  private readonly rowGroupSize: number
  /** The row group that is collected. */
  private open: RowGroup
  /** The one before it, until it is written. */
  private closed: RowGroup
  /** The encoder's answer for the closed row group. Undefined if it was not asked, or not asked again after a failure. */
  private writing: Deferred.Deferred<void, Error> | undefined
  /** Rows in finished row groups. */
  finishedRows = 0

  constructor(lock: SchemaLock, encoder: ParquetEncoder, rowGroupSize: number) {
    const rowGroup = () => new RowGroup(lock.columns, Math.min(rowGroupSize, LARGEST_CAPACITY))
    this.lock = lock
    this.encoder = encoder
    this.rowGroupSize = rowGroupSize
    this.open = rowGroup()
    this.closed = rowGroup()
  }

  /** Rows that are in no finished row group. */
  get unfinishedRows(): number {
    return this.closed.rows + this.open.rows
  }

  /** Takes all samples of a batch, or none if the row group before them cannot be written. */
  write(batch: ReadonlyArray<Sample>): Effect.Effect<void, Error> {
    return Effect.suspend(() => {
      const isBusy = this.writing !== undefined && !Deferred.isDoneUnsafe(this.writing)
      return isBusy ? this.collect(batch) : Effect.andThen(this.finishClosed, this.collect(batch))
    })
  }

  /** Writes what is not written yet. */
  readonly finishGroups: Effect.Effect<void, Error> = Effect.suspend(() =>
    Effect.andThen(
      this.finishClosed,
      Effect.suspend(() => {
        this.closeOpen()
        return this.finishClosed
      })
    )
  )

  private collect(batch: ReadonlyArray<Sample>): Effect.Effect<void, Error> {
    return Effect.suspend(() => {
      const { lock, open } = this
      for (const sample of batch) open.push(lock, sample)
      if (open.rows < this.rowGroupSize) return Effect.void
      return Effect.matchEffect(this.finishClosed, {
        onFailure: (error) => {
          open.drop(batch.length)
          return Effect.fail(error)
        },
        onSuccess: () => Effect.sync(() => this.closeOpen())
      })
    })
  }

  /** Hands the open row group, if it has rows, to the encoder, and begins the next one. */
  private closeOpen(): void {
    const { closed, open } = this
    if (open.rows === 0) return
    this.open = closed
    this.closed = open
    this.writing = this.encoder.writeGroup(open.copy())
  }

  /** Waits until the closed row group is written. One that cannot be written is kept, and is tried once more first. */
  private readonly finishClosed: Effect.Effect<void, Error> = Effect.suspend(() => {
    const { closed, encoder } = this
    if (closed.rows === 0) return Effect.void
    return Deferred.await(this.writing ??= encoder.writeGroup(closed.copy())).pipe(
      Effect.ensuring(Effect.sync(() => {
        this.writing = undefined
      })),
      Effect.map(() => {
        this.finishedRows += closed.rows
        closed.clear()
      })
    )
  }).pipe(Effect.retry({ times: 1 }))
}
