/**
 * What was recorded, read again: `open` -> runs, columns, events, and samples as a Stream of batches.
 */
export { timeOf } from "./internal/Times.ts"
export { open, type OpenOptions } from "./open.ts"
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
export { type RecordedRun, runsOf } from "./Runs.ts"
