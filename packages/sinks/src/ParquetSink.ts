/**
 * Apache Parquet: columns with types, compressed, several times smaller than text.
 *
 * Columns are fixed at the first batch. If it does not show the type of one, they are fixed at the first row group, of 10,000 rows
 * at most; a column without a value in it is text. Times are UTC timestamps in microseconds. NaN and infinities stay in columns of
 * floats; in columns of integers they are null, and counted. Units, the devices' identities, the run's id, its start and its
 * events are in the file's key-value metadata. Readers of the Arrow family also find the unit of each column there.
 *
 * Rows are collected into row groups. While one is collected, a separate thread encodes and writes the one before it. The file is
 * written as `<name>.partial` and gets its name when it is complete: at the end of the recording, however it ends, unless the
 * process is killed. A run without samples leaves no file.
 *
 * Accepted means: in memory, or in a finished row group of the unfinished file. A kill -9 or a power cut costs the recording;
 * write CSV or SQLite beside it if that matters. An unfinished file is never replaced: its recording may still be running.
 */
import {
  type Column,
  type Device,
  type EventRow,
  eventToRow,
  InvalidOptionError,
  messageOf,
  positiveInt,
  type RowOptions,
  type RunEvent,
  type Sample,
  SampleSink,
  SchemaLock,
  type SinkDependencyError,
  type SinkOpenError,
  type SinkShape,
  SinkWriteError,
  writeInOrder
} from "@sampleline/core"
import { type Array, type Config, Context, Effect, type Layer, type Scope, Semaphore } from "effect"
import * as fs from "node:fs"
import { describeDevices, runJson, unitsByColumn } from "./internal/Description.ts"
import { findDriver } from "./internal/drivers.ts"
import { fileOpenError, fileWriteError } from "./internal/FileFailure.ts"
import { layerConfigOf } from "./internal/layerConfig.ts"
import { idOf, NameWatch, onNameLost } from "./internal/NameWatch.ts"
import { type ParquetEncoder, startEncoder } from "./internal/ParquetEncoder.ts"
import type { ParquetSettings } from "./internal/ParquetFile.ts"
import { ParquetRecording } from "./internal/ParquetRecording.ts"
import { checkPartial, discard, openPartial, type PartialFile, partialOf, publish } from "./internal/PartialFile.ts"
import type { OpenableSink } from "./OpenableSink.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface ParquetSinkOptions extends RowOptions {
  readonly path: string
  /** `create` refuses an existing file, `overwrite` replaces it when the new one is complete. Default: `create`. */
  readonly mode?: "create" | "overwrite" | undefined
  /** Default: `zstd`. */
  readonly compression?: ParquetSettings["compression"] | undefined
  /** Whether a column of few different values is stored with a dictionary. Default: true. */
  readonly dictionary?: boolean | undefined
  /**
   * How many rows a row group has at least; the batch that completes it is part of it. Larger row groups make the file a little
   * smaller and take more memory. Default: 10000.
   */
  readonly rowGroupSize?: number | undefined
}

type OpenFailure = InvalidOptionError | SinkDependencyError | SinkOpenError

/**
 * @since 0.1.0
 * @category sinks
 */
export class ParquetSink extends Context.Service<
  ParquetSink,
  SinkShape & {
    readonly path: string
    /** The locked columns; empty until they are fixed. */
    readonly columns: ReadonlyArray<Column>
  }
>()("@sampleline/sinks/ParquetSink") {
  static readonly make = Effect.fnUntraced(function*(
    options: ParquetSinkOptions
  ): Effect.fn.Return<ParquetSink["Service"], OpenFailure, Scope.Scope> {
    const settings = yield* validate(options)
    const { path } = settings
    yield* findHyparquet(path)
    const oneAtATime = Semaphore.makeUnsafe(1)
    const state: State = {
      waiting: [],
      recording: undefined,
      lost: undefined,
      isRemoved: false,
      movedTo: null,
      events: []
    }
    const encoder = yield* Effect.mapError(startEncoder, (cause) => fileOpenError(writerOf(path), cause))
    const record = (recording: ParquetRecording, samples: ReadonlyArray<Sample>) =>
      Effect.mapError(recording.write(samples), (cause) =>
        writeError(
          path,
          samples.length,
          cause,
          "the finished row groups are complete, and later samples wait for room"
        ))
    /** Fixes the columns. */
    const writeWaiting = (file: PartialFile) =>
      Effect.suspend(() => {
        const { waiting } = state
        if (waiting.length === 0) return Effect.void
        state.waiting = []
        state.recording = startRecording(settings, file, encoder, waiting, options)
        return record(state.recording, waiting)
      })
    const file = yield* Effect.acquireRelease(
      openPartial(writerOf(path), settings),
      (file) =>
        Effect.catch(writeWaiting(file), (error) => Effect.sync(() => state.lost = error)).pipe(
          Effect.andThen(complete(settings, file, state)),
          (completed) => oneAtATime.withPermit(completed),
          Effect.orDie
        )
    )
    yield* onNameLost(new NameWatch(partialOf(path), idOf(file.fd)), ({ movedTo }) => {
      state.isRemoved = movedTo === null
      state.movedTo = movedTo
      return movedTo === null
        ? Effect.void
        : Effect.logWarning(`${SINK} ${path}: ${partialOf(path)} was moved to ${movedTo}; the recording goes on there`)
    })
    yield* Effect.logInfo(`${SINK} opened ${path}`)

    const write = (batch: Array.NonEmptyReadonlyArray<Sample>) =>
      Effect.suspend(() => {
        if (state.isRemoved) return removedError(path, batch.length)
        if (state.recording !== undefined) return record(state.recording, batch)
        const isTyped = state.waiting.length === 0 && SchemaLock.fromBatch(batch, options).isTyped
        for (const sample of batch) state.waiting.push(sample)
        const isFull = state.waiting.length >= Math.min(settings.rowGroupSize, MOST_WAITING)
        return isTyped || isFull ? writeWaiting(file) : Effect.void
      })

    const writing = {
      event: (event: RunEvent) =>
        Effect.suspend(() => {
          state.events.push(eventToRow(event))
          // What the columns cannot hold is counted before the summary.
          return event._tag === "RunEnded" ? oneAtATime.withPermit(writeWaiting(file)) : Effect.void
        }),
      write: (batch: Array.NonEmptyReadonlyArray<Sample>) => oneAtATime.withPermit(Effect.uninterruptible(write(batch)))
    }
    // A file that was not finished cannot be gone on with: what it had is written anew, from the first item.
    let through = 0
    const place = () => ({ through, token: "" })

    return {
      ...SampleSink.make({
        ...writing,
        name: SINK,
        target: path,
        dropped: () => state.recording?.lock.dropped,
        lost: () => state.lost,
        resumable: {
          open: () => Effect.sync(place),
          writeAt: (items, end) =>
            Effect.map(writeInOrder(writing, items, () => {}), () => {
              through = end
              return place()
            }),
          sync: Effect.void,
          finish: () => Effect.sync(place),
          forget: Effect.void
        }
      }),
      path,
      get columns() {
        return state.recording?.lock.columns ?? []
      }
    }
  }, (opening, { path }) => Effect.annotateLogs(opening, { sink: SINK, target: path }))

  /** Provides `ParquetSink` and `SampleSink`. */
  static readonly layer = (options: ParquetSinkOptions): Layer.Layer<ParquetSink | SampleSink, OpenFailure> =>
    SampleSink.layerOf(ParquetSink, ParquetSink.make(options))

  /** The layer with options from the configuration. */
  static readonly layerConfig: (
    options: Config.Wrap<ParquetSinkOptions>
  ) => Layer.Layer<ParquetSink | SampleSink, OpenFailure | Config.ConfigError> = layerConfigOf(ParquetSink.layer)

  /** Fails as opening would, and changes nothing. Devices make no difference: a new file takes any format. */
  static readonly check = Effect.fnUntraced(function*(
    options: ParquetSinkOptions,
    _devices?: ReadonlyArray<Device>
  ): Effect.fn.Return<void, OpenFailure> {
    const settings = yield* validate(options)
    yield* findHyparquet(settings.path)
    yield* checkPartial(writerOf(settings.path), settings)
  })
}

const SINK = "ParquetSink"
const COMPRESSIONS: ReadonlySet<string> = new Set(["zstd", "snappy", "gzip", "none"])

// For the type checker only.
void (ParquetSink satisfies OpenableSink<ParquetSinkOptions, OpenFailure>)

/** The thread loads it; here it must only be installed. */
const findHyparquet = (path: string) => findDriver(writerOf(path), "hyparquet-writer")

const writerOf = (path: string) => ({ sink: SINK, target: path })

type Settings = Required<
  { [K in keyof Omit<ParquetSinkOptions, keyof RowOptions>]: NonNullable<ParquetSinkOptions[K]> }
>

const validate = Effect.fnUntraced(
  function*(options: ParquetSinkOptions): Effect.fn.Return<Settings, InvalidOptionError> {
    const { compression = "zstd", dictionary = true, mode = "create", path, rowGroupSize = 10_000 } = options
    if (!COMPRESSIONS.has(compression)) {
      return yield* InvalidOptionError.of("compression", compression, [...COMPRESSIONS].join(", "))
    }
    if (mode !== "create" && mode !== "overwrite") {
      return yield* InvalidOptionError.of("mode", mode, "create or overwrite; a Parquet file cannot be added to")
    }
    return {
      compression,
      dictionary,
      mode,
      path,
      rowGroupSize: yield* positiveInt("rowGroupSize", rowGroupSize, "rows")
    }
  }
)

/** How many samples wait at most for values that show the types of all columns. */
const MOST_WAITING = 10_000

/** What the sink holds between batches. */
interface State {
  /** Samples that came before the columns were fixed. */
  waiting: globalThis.Array<Sample>
  recording: ParquetRecording | undefined
  /** What was accepted and could not be written at the end. */
  lost: SinkWriteError | undefined
  /** The events of the run, as rows. They are written with the footer. */
  readonly events: globalThis.Array<EventRow>
  /** Whether the unfinished file was removed. */
  isRemoved: boolean
  /** Where the unfinished file was moved to. */
  movedTo: string | null
}

const startRecording = (
  { compression, dictionary, rowGroupSize }: Settings,
  { fd, reserve }: PartialFile,
  encoder: ParquetEncoder,
  batch: ReadonlyArray<Sample>,
  options: RowOptions
): ParquetRecording => {
  const lock = SchemaLock.fromBatch(batch, options).typed()
  const { columns } = lock
  const described = describeDevices(batch, lock)
  const { devices, ...run } = runJson(batch, described)
  const metadata = { ...run, devices: JSON.stringify(devices) }
  const units = unitsByColumn(columns, described)
  encoder.begin({ fd, reserve, settings: { columns, compression, dictionary, units, metadata } })
  return new ParquetRecording(lock, encoder, rowGroupSize)
}

/** `onFullDisk` says what happens to the other samples. */
const writeError = (path: string, samples: number, cause: unknown, onFullDisk: string): SinkWriteError => {
  const { detail, reason } = fileWriteError(writerOf(path), samples, cause)
  return new SinkWriteError({
    ...writerOf(path),
    samples,
    reason,
    detail: reason === "DiskFull" ? `the disk is full; ${onFullDisk}` : detail,
    cause
  })
}

const removedError = (path: string, samples: number): SinkWriteError =>
  new SinkWriteError({
    ...writerOf(path),
    samples,
    reason: "Unknown",
    detail: `${partialOf(path)} was removed while it was recorded, and its samples with it`
  })

/** Writes the last row group and the footer, and gives the file its name. A file without rows is removed. */
const complete = Effect.fnUntraced(function*(
  settings: Settings,
  { fd, reserve }: PartialFile,
  state: State
): Effect.fn.Return<void, SinkWriteError> {
  const { path } = settings
  const { movedTo, recording } = state
  const lose = (error: SinkWriteError) =>
    Effect.sync(() => {
      state.lost = error
    })
  const lostSamples = () => state.lost?.samples ?? 0
  if (recording !== undefined && state.isRemoved) {
    yield* lose(removedError(path, recording.finishedRows + recording.unfinishedRows))
  } else if (recording !== undefined) {
    yield* recording.finishGroups.pipe(
      Effect.mapError((cause) =>
        writeError(
          path,
          recording.unfinishedRows,
          cause,
          recording.finishedRows > 0
            ? "the finished row groups are complete, and later samples are lost"
            : "no row group was finished, so there is no file"
        )
      ),
      Effect.catch(lose)
    )
    const { encoder, finishedRows } = recording
    if (finishedRows > 0) {
      const unfinished = (cause: unknown) =>
        writeError(
          path,
          finishedRows + lostSamples(),
          cause,
          `${partialOf(path)} has no footer and cannot be read`
        )
      const unnamed = (cause: unknown) =>
        new SinkWriteError({
          ...writerOf(path),
          samples: lostSamples(),
          reason: "Unknown",
          detail: movedTo === null
            ? `${messageOf(cause)}; the recording is complete in ${partialOf(path)}`
            : `${partialOf(path)} was moved to ${movedTo} while it was recorded, and is complete there`,
          cause
        })
      yield* Effect.mapError(
        Effect.andThen(
          encoder.finish(state.events.length === 0 ? {} : { events: JSON.stringify(state.events) }),
          toDisk(fd)
        ),
        unfinished
      ).pipe(
        Effect.andThen(Effect.try({ try: () => publish(settings, fd), catch: unnamed })),
        Effect.catch(lose)
      )
    }
  }
  const closed = Effect.try({
    try: () => {
      if ((recording?.finishedRows ?? 0) === 0) discard(settings, fd)
      fs.closeSync(reserve)
      fs.closeSync(fd)
    },
    catch: (cause) => writeError(path, lostSamples(), cause, "the file may be incomplete")
  })
  yield* Effect.catch(closed, (error) => state.lost === undefined ? lose(error) : Effect.void)
  yield* Effect.logInfo(`${SINK} closed ${path}`)
  if (state.lost !== undefined) return yield* state.lost
})

const toDisk = (fd: number): Effect.Effect<void, unknown> =>
  Effect.callback((resume) => fs.fsync(fd, (error) => resume(error ? Effect.fail(error) : Effect.void)))
