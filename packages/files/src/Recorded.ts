/**
 * What was recorded, in one shape for all formats: events of runs, columns, and samples as batches of columns. Also of what is still
 * written, and of what a crash has left. Reading changes nothing.
 */
import type { EventRow } from "@sampleline/core"
import type { Effect, Stream } from "effect"
import type { ReadError } from "./ReadError.ts"

/**
 * @since 0.1.0
 * @category models
 */
export type RecordedFormat = "csv" | "jsonl" | "parquet" | "sqlite" | "postgres" | "journal"

/**
 * An open file, table or journal. The scope that opened it closes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recorded {
  readonly format: RecordedFormat
  /** The path, or the address and the table of a database. It holds no password. */
  readonly place: string
  /** The columns of its samples as of now, in order: the fixed ones, the fields, the status and the row ids. */
  readonly columns: Effect.Effect<ReadonlyArray<RecordedColumn>, ReadError>
  /** The events of its runs that are there now, in order. It is empty where none were kept. */
  readonly events: Stream.Stream<EventRow, ReadError>
  /** What there is to read now. */
  readonly extent: Effect.Effect<Extent, ReadError>
  /** Samples that are there now, in the order of the file. */
  readonly samples: (options?: SampleOptions) => Stream.Stream<SampleBatch, ReadError>
}

/**
 * A column. Times are `timestamp`; `any` has numbers and texts, or is not known.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedColumn {
  readonly name: string
  readonly type: "number" | "text" | "timestamp" | "any"
  /** The field of the devices that it holds; null for a column that is not a field. */
  readonly field: string | null
  /** The unit of the field, by device. Devices without one, or whose unit is not known, are left out. */
  readonly units: { readonly [device: string]: string }
}

/**
 * Positions are numbers that grow from the beginning to the end. What they count is the format's own: bytes, rows or items. From any
 * number between them samples can be read: the next sample behind it is the first.
 *
 * @since 0.1.0
 * @category models
 */
export interface Extent {
  /** The position of the first sample. */
  readonly first: number
  /** The position behind the last sample. */
  readonly end: number
}

/**
 * @since 0.1.0
 * @category options
 */
export interface SampleOptions {
  /** The position to read from. Default: the first. */
  readonly from?: number | undefined
  /** Samples at this position and behind it are not read. Default: all are. */
  readonly to?: number | undefined
  /** The columns to read, by name; names that there are not are left out. Default: all. */
  readonly columns?: ReadonlyArray<string> | undefined
  /** At most so many rows are in a batch. Default: 4,096. */
  readonly batchRows?: number | undefined
}

/** The default of `batchRows`. */
export const BATCH_ROWS = 4096

/**
 * Samples that follow one another, by column.
 *
 * @since 0.1.0
 * @category models
 */
export interface SampleBatch {
  /** The position of its first sample, and the one behind its last, from where the next batch can be read. */
  readonly from: number
  readonly to: number
  readonly rows: number
  readonly columns: ReadonlyMap<string, ColumnValues>
}

/**
 * The values of a column, one for each row. Numbers as doubles, times as microseconds since the epoch; `nulls` has a 1 where there is no
 * value. Or texts, each as its position in a list, -1 where there is no value. A column gives texts in a batch where one of its values is
 * neither a number nor a time, whatever its type is: nothing is lost.
 *
 * @since 0.1.0
 * @category models
 */
export type ColumnValues =
  | { readonly numbers: Float64Array; readonly nulls: Uint8Array }
  | { readonly places: Int32Array; readonly texts: ReadonlyArray<string> }
