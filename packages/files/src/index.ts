/**
 * What was recorded, read again: `open` -> runs, columns, events, and samples as a Stream of batches.
 */
export { ReadError } from "./ReadError.ts"
export type {
  ColumnValues,
  Extent,
  Recorded,
  RecordedColumn,
  RecordedFormat,
  SampleBatch,
  SampleOptions
} from "./Recorded.ts"
