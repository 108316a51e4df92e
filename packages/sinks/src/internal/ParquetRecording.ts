/**
 * The rows of a Parquet file on their way: one row group is collected while the encoder writes the one before it.
 */
import type { EventRow, Sample, SchemaLock } from "@sampleline/core"
import { Deferred, Effect } from "effect"
import type { ParquetEncoder } from "./ParquetEncoder.ts"
import type { Passed } from "./ParquetFile.ts"
import { RowGroup } from "./RowGroup.ts"

/** Row groups grow with their rows: most recordings never fill a large one. */
const LARGEST_CAPACITY = 10_000

/** What a sink is given at once. A row group ends at its end. */
export interface Batch extends Passed {
  readonly samples: ReadonlyArray<Sample>
}

/** What is in a file already. */
export interface Position {
  readonly rows: number
  /** The journal's position behind it; 0 without a journal. */
  readonly through: number
}

/** A row group with the events that came before its end. */
interface Group {
  readonly rowGroup: RowGroup
  events: Array<EventRow>
  through: number
}

export class ParquetRecording {
  readonly lock: SchemaLock
  private readonly encoder: ParquetEncoder
  private readonly rowGroupSize: number
  /** The row group that is collected. */
  private open: Group
  /** The one before it, until it is written. */
  private closed: Group
  /** The encoder's answer for the closed row group. Undefined if it was not asked, or not asked again after a failure. */
  private writing: Deferred.Deferred<void, Error> | undefined
  /** What the finished row groups hold. */
  finished: Position

  constructor(lock: SchemaLock, encoder: ParquetEncoder, rowGroupSize: number, finished: Position) {
    const group = (): Group => ({
      rowGroup: new RowGroup(lock.columns, Math.min(rowGroupSize, LARGEST_CAPACITY)),
      events: [],
      through: finished.through
    })
    this.lock = lock
    this.encoder = encoder
    this.rowGroupSize = rowGroupSize
    this.open = group()
    this.closed = group()
    this.finished = finished
  }

  /** Rows that are in no finished row group. */
  get unfinishedRows(): number {
    return this.closed.rowGroup.rows + this.open.rowGroup.rows
  }

  /** Takes all of a batch, or nothing if the row group before it cannot be written. */
  write(batch: Batch): Effect.Effect<void, Error> {
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

  /** Writes the footer, with the events since the last row group. */
  finish(through: number): Effect.Effect<void, Error> {
    return Effect.suspend(() => this.encoder.finish({ events: this.open.events, through }))
  }

  /** Forgets what is in no finished row group. A row group that is being written is waited for. */
  readonly dropUnfinished: Effect.Effect<void> = Effect.suspend(() =>
    this.writing === undefined ? Effect.void : Effect.ignore(this.finishClosed)
  ).pipe(
    Effect.andThen(Effect.sync(() => {
      for (const group of [this.closed, this.open]) {
        group.rowGroup.clear()
        group.events = []
      }
    }))
  )

  private collect(batch: Batch): Effect.Effect<void, Error> {
    return Effect.suspend(() => {
      const { lock, open: { rowGroup } } = this
      for (const sample of batch.samples) rowGroup.push(lock, sample)
      if (rowGroup.rows < this.rowGroupSize) {
        this.pass(batch)
        return Effect.void
      }
      return Effect.matchEffect(this.finishClosed, {
        onFailure: (error) => {
          rowGroup.drop(batch.samples.length)
          return Effect.fail(error)
        },
        onSuccess: () =>
          Effect.sync(() => {
            this.pass(batch)
            this.closeOpen()
          })
      })
    })
  }

  private pass({ events, through }: Passed): void {
    for (const event of events) this.open.events.push(event)
    this.open.through = through
  }

  /** Hands the open row group, if it has rows, to the encoder, and begins the next one. */
  private closeOpen(): void {
    const { closed, open } = this
    if (open.rowGroup.rows === 0) return
    this.open = closed
    this.closed = open
    this.writing = this.writeClosed()
  }

  private writeClosed(): Deferred.Deferred<void, Error> {
    const { events, rowGroup, through } = this.closed
    return this.encoder.writeGroup({ values: rowGroup.copy(), events, through })
  }

  /** Waits until the closed row group is written. One that cannot be written is kept, and is tried once more first. */
  private readonly finishClosed: Effect.Effect<void, Error> = Effect.suspend(() => {
    const { closed } = this
    const { rowGroup } = closed
    if (rowGroup.rows === 0) return Effect.void
    return Deferred.await(this.writing ??= this.writeClosed()).pipe(
      Effect.ensuring(Effect.sync(() => {
        this.writing = undefined
      })),
      Effect.map(() => {
        this.finished = { rows: this.finished.rows + rowGroup.rows, through: closed.through }
        rowGroup.clear()
        closed.events = []
      })
    )
  }).pipe(Effect.retry({ times: 1 }))
}
