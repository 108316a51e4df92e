/**
 * The main flow: `PollSource` -> `Recorder.record` (ticks) -> `pipeToSink` (samples, batches) -> `SampleSink`.
 */
export { type AcquisitionSummary, Progress } from "./AcquisitionSummary.ts"
export * as AwaitedSink from "./AwaitedSink.ts"
export { describeDevice, type DeviceDescription, deviceToRow } from "./DeviceDescription.ts"
export { DroppedValues } from "./DroppedValues.ts"
export { EndSignal } from "./EndSignal.ts"
export { startEvent } from "./EventFold.ts"
export { type EventRow, eventToRow } from "./EventRow.ts"
export { formatTimestamp } from "./formatTimestamp.ts"
export {
  type FieldFailure,
  type FieldKind,
  type Frame,
  type FrameField,
  FrameFormat,
  type FrameRecord,
  type FrameValue,
  makeFrame
} from "./Frame.ts"
export { inPieces } from "./inPieces.ts"
export { InvalidOptionError, millisOf, positiveDuration, positiveInt } from "./InvalidOptionError.ts"
export { isNotInstalled } from "./isNotInstalled.ts"
export { MemorySink } from "./MemorySink.ts"
export { messageOf } from "./messageOf.ts"
export * as Metrics from "./Metrics.ts"
export { nearestName } from "./nearestName.ts"
export { parseBytes } from "./parseBytes.ts"
export { parseDuration } from "./parseDuration.ts"
export { type PipeOptions, pipeToSink, writeInOrder } from "./pipeToSink.ts"
export {
  type DeviceOptions,
  type PollBus,
  type PollResult,
  PollSource,
  type PollSourceOptions,
  type Reading
} from "./PollSource.ts"
export * as PushRecorder from "./PushRecorder.ts"
export * as Recorder from "./Recorder.ts"
export * as Recording from "./Recording.ts"
export {
  asksForRowIds,
  type Cell,
  type CellWriter,
  type Column,
  type ColumnType,
  fieldColumns,
  isRowId,
  type RowOptions,
  rowWriter,
  sampleToRow
} from "./Row.ts"
export { END_UNKNOWN, EndCause, RunEvent, SkipCause } from "./RunEvent.ts"
export { checkMetadata, type RunMetadata } from "./RunMetadata.ts"
export {
  type Device,
  type DeviceFailure,
  type DeviceIdentity,
  latencyMicrosOf,
  midpointOf,
  type Run,
  Sample,
  type Tick
} from "./Sample.ts"
export * as SampleClock from "./SampleClock.ts"
export { type Resumable, samplesIn, SampleSink, type SinkPlace, type SinkReport, type SinkShape } from "./SampleSink.ts"
export { type LockOptions, type SavedColumn, SchemaLock, type TableColumn } from "./SchemaLock.ts"
export {
  type SinkBatchError,
  SinkDependencyError,
  SinkOpenError,
  SinkSchemaError,
  SinkWriteError
} from "./SinkError.ts"
export { DeviceError, SourceDependencyError, SourceOpenError } from "./SourceError.ts"
