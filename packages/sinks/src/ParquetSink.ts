/**
 * Apache Parquet: columns with types, compressed, several times smaller than text.
 *
 * Columns are fixed at the first batch. Times are UTC timestamps in microseconds; units, the devices' identities, the run's
 * id and its start stand in the file's key-value metadata.
 *
 * Rows are collected into row groups, and while one is collected a thread of its own encodes and writes the one before it. The
 * file is written as `<name>.partial` and gets its name when it is complete: at the end of the recording, however it ends, as long
 * as the process is not killed. Accepted means: in memory, or in a finished row group of the unfinished file. A kill -9 or a power
 * cut costs the recording; write to CSV or SQLite beside it where that matters.
 * An unfinished file that is there is never replaced: it may be of a recording that goes on.
 */
import {
  type Column,
  type Device,
  InvalidOptionError,
  type Sample,
  SampleSink,
  SchemaLock,
  type SinkDependencyError,
  SinkOpenError,
  type SinkShape,
  SinkWriteError
} from "@sampleline/core"
import { type Array, Context, Deferred, Effect, Formatter, type Layer, type Scope, Semaphore } from "effect"
import * as fs from "node:fs"
import { toOpenError, toWriteError } from "./internal/ByteOutput.ts"
import { describeDevices, runJson } from "./internal/Description.ts"
import { findDriver } from "./internal/drivers.ts"
import { checkParents, makeParents } from "./internal/files.ts"
import { type ParquetEncoder, startEncoder } from "./internal/ParquetEncoder.ts"
import type { ParquetSettings } from "./internal/ParquetFile.ts"
import { RowGroup } from "./internal/RowGroup.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface ParquetSinkOptions {
  readonly path: string
  /** `create` refuses an existing file, `overwrite` replaces it when the new one is complete. Default: `create`. */
  readonly mode?: "create" | "overwrite" | undefined
  /** Default: `zstd`. */
  readonly compression?: ParquetSettings["compression"] | undefined
  /** Whether columns that repeat their values are stored by a dictionary. Default: true. */
  readonly dictionary?: boolean | undefined
  /**
   * After how many rows a row group is written, with the batch that completes it. Larger ones make the file a little smaller
   * and take more memory. Default: 10000.
   */
  readonly rowGroupSize?: number | undefined
  /** Whether `run_id` and `sequence` follow the status. Default: false. */
  readonly identity?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category sinks
 */
export class ParquetSink extends Context.Service<
  ParquetSink,
  SinkShape & {
    readonly path: string
    /** The locked columns; empty before the first batch. */
    readonly columns: ReadonlyArray<Column>
  }
>()("@sampleline/sinks/ParquetSink") {
  static readonly make = Effect.fnUntraced(function*(
    options: ParquetSinkOptions
  ): Effect.fn.Return<ParquetSink["Service"], InvalidOptionError | SinkDependencyError | SinkOpenError, Scope.Scope> {
    const settings = yield* validate(options)
    const { path, rowGroupSize } = settings
    yield* findHyparquet
    const oneAtATime = Semaphore.makeUnsafe(1)
    const state: State = { recording: undefined, lost: undefined }
    const fd = yield* Effect.acquireRelease(
      openPartial(settings),
      (fd) => Effect.orDie(oneAtATime.withPermit(complete(settings, fd, state)))
    )
    yield* Effect.logInfo(`${SINK} opened ${path}`)

    const begin = (batch: ReadonlyArray<Sample>): Recording => {
      const lock = SchemaLock.fromBatch(batch, options)
      const { devices, ...run } = runJson(batch, describeDevices(batch, lock))
      // It grows with its rows: most recordings never fill a large one.
      const rowGroup = () => new RowGroup(lock.columns, Math.min(rowGroupSize, LARGEST_CAPACITY))
      const encoder = startEncoder({
        fd,
        path: partialOf(path),
        settings: {
          columns: lock.columns,
          compression: settings.compression,
          dictionary: settings.dictionary,
          metadata: { ...run, devices: JSON.stringify(devices) }
        }
      })
      return {
        lock,
        encoder,
        open: rowGroup(),
        closed: rowGroup(),
        writing: undefined,
        finishedRows: 0
      }
    }

    const write = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
      const recording = state.recording ??= begin(batch)
      const refuse = (cause: Error) =>
        failedWrite(
          path,
          batch.length,
          cause,
          "the finished row groups are complete; what was accepted after them waits for room"
        )
      if (!isBusy(recording)) yield* Effect.mapError(finishGroup(recording), refuse)
      const { lock, open } = recording
      for (const sample of batch) open.push(lock, sample)
      if (open.rows < rowGroupSize) return
      yield* Effect.mapError(finishGroup(recording), (cause) => {
        open.drop(batch.length)
        return refuse(cause)
      })
      closeGroup(recording)
    })

    return {
      ...SampleSink.make({
        name: SINK,
        target: path,
        lock: () => state.recording?.lock,
        lost: () => state.lost,
        write: (batch) => oneAtATime.withPermit(Effect.uninterruptible(write(batch)))
      }),
      path,
      get columns() {
        return state.recording?.lock.columns ?? []
      }
    }
  })

  /** Provides `ParquetSink` and `SampleSink`. */
  static readonly layer = (
    options: ParquetSinkOptions
  ): Layer.Layer<ParquetSink | SampleSink, InvalidOptionError | SinkDependencyError | SinkOpenError> =>
    SampleSink.layerOf(ParquetSink, ParquetSink.make(options))

  /** Fails as opening would, as far as that can be told without touching anything. */
  static readonly check = Effect.fnUntraced(function*(
    options: ParquetSinkOptions,
    _devices?: ReadonlyArray<Device>
  ): Effect.fn.Return<void, InvalidOptionError | SinkDependencyError | SinkOpenError> {
    const settings = yield* validate(options)
    yield* findHyparquet
    yield* refuseExisting(settings)
    yield* onFile(settings.path, () => checkParents(settings.path))
  })
}

const SINK = "ParquetSink"
const LARGEST_CAPACITY = 10_000
const COMPRESSIONS: ReadonlySet<string> = new Set(["zstd", "snappy", "gzip", "none"])

/** The thread loads it; here it only must be there. */
const findHyparquet = findDriver(SINK, "hyparquet-writer")

const writerOf = (path: string) => ({ sink: SINK, target: path })

const partialOf = (path: string) => `${path}.partial`

type Settings = Required<{ [K in keyof Omit<ParquetSinkOptions, "identity">]: NonNullable<ParquetSinkOptions[K]> }>

const validate = Effect.fnUntraced(
  function*(options: ParquetSinkOptions): Effect.fn.Return<Settings, InvalidOptionError> {
    const { compression = "zstd", dictionary = true, mode = "create", path, rowGroupSize = 10_000 } = options
    if (!COMPRESSIONS.has(compression)) {
      return yield* new InvalidOptionError({
        option: "compression",
        value: Formatter.format(compression),
        expected: [...COMPRESSIONS].join(", ")
      })
    }
    if (mode !== "create" && mode !== "overwrite") {
      return yield* new InvalidOptionError({
        option: "mode",
        value: Formatter.format(mode),
        expected: "create or overwrite; a Parquet file cannot be added to"
      })
    }
    if (!Number.isSafeInteger(rowGroupSize) || rowGroupSize < 1) {
      return yield* new InvalidOptionError({
        option: "rowGroupSize",
        value: Formatter.format(rowGroupSize),
        expected: "a whole number of rows above 0"
      })
    }
    return { compression, dictionary, mode, path, rowGroupSize }
  }
)

/** `onFullDisk` says what became of the rest. */
const failedWrite = (path: string, samples: number, cause: unknown, onFullDisk: string): SinkWriteError => {
  const { detail, reason } = toWriteError(writerOf(path), samples, cause)
  return new SinkWriteError({
    ...writerOf(path),
    samples,
    reason,
    detail: reason === "DiskFull" ? `the disk is full; ${onFullDisk}` : detail,
    cause
  })
}

/** What the sink holds between batches. */
interface State {
  recording: Recording | undefined
  /** What was accepted and could not be written at the end. */
  lost: SinkWriteError | undefined
}

interface Recording {
  readonly lock: SchemaLock
  readonly encoder: ParquetEncoder
  /** The rows of the open row group. */
  open: RowGroup
  /** Those of the one before it, until it is written. */
  closed: RowGroup
  /** The encoder's answer about the closed one; none where it has not been asked since it failed. */
  writing: Deferred.Deferred<void, Error> | undefined
  finishedRows: number
}

/** The open row group, if it has any rows, is written from here on, while the next one is collected. */
const closeGroup = (recording: Recording): void => {
  const { closed, encoder, open } = recording
  if (open.rows === 0) return
  recording.open = closed
  recording.closed = open
  recording.writing = encoder.writeGroup(open.copy())
}

const isBusy = ({ writing }: Recording): boolean => writing !== undefined && !Deferred.isDoneUnsafe(writing)

/** Waits until the closed row group is written. One that could not be is kept; a refusal of before is not the last word. */
const finishGroup = (recording: Recording): Effect.Effect<void, Error> =>
  Effect.suspend(() => {
    const { closed, encoder } = recording
    if (closed.rows === 0) return Effect.void
    return Deferred.await(recording.writing ??= encoder.writeGroup(closed.copy())).pipe(
      Effect.ensuring(Effect.sync(() => recording.writing = undefined)),
      Effect.map(() => {
        recording.finishedRows += closed.rows
        closed.clear()
      })
    )
  }).pipe(Effect.retry({ times: 1 }))

const onFile = <A>(path: string, run: () => A): Effect.Effect<A, SinkOpenError> =>
  Effect.try({ try: run, catch: (cause) => toOpenError(writerOf(path), cause) })

const refuseExisting = Effect.fnUntraced(function*({ mode, path }: Settings): Effect.fn.Return<void, SinkOpenError> {
  const refuse = (reason: SinkOpenError["reason"], detail: string) =>
    new SinkOpenError({ ...writerOf(path), reason, detail })
  const stats = yield* onFile(path, () => fs.lstatSync(path, { throwIfNoEntry: false }))
  if (stats?.isDirectory()) return yield* toOpenError(writerOf(path), { code: "EISDIR" })
  if (stats !== undefined && !stats.isFile() && !stats.isSymbolicLink()) {
    return yield* refuse(
      "Unknown",
      "it is no ordinary file, and a Parquet file is not complete before its end; record to a file"
    )
  }
  if (stats !== undefined && mode === "create") {
    return yield* refuse(
      "AlreadyExists",
      "it exists already, and a Parquet file cannot be added to; choose another name, "
        + "or say mode \"overwrite\" (--overwrite) to replace it"
    )
  }
  if (yield* onFile(path, () => fs.existsSync(partialOf(path)))) {
    return yield* refuse(
      "AlreadyExists",
      `${partialOf(path)} is there, of a recording that goes on or was killed; `
        + "end it, remove that file, or choose another name"
    )
  }
})

const openPartial = Effect.fnUntraced(function*(settings: Settings): Effect.fn.Return<number, SinkOpenError> {
  yield* refuseExisting(settings)
  return yield* onFile(settings.path, () => {
    makeParents(settings.path)
    return fs.openSync(partialOf(settings.path), "wx", 0o666)
  })
})

/** Writes the last row group and the footer, and gives the file its name; a file without rows is taken away. */
const complete = Effect.fnUntraced(function*(
  settings: Settings,
  fd: number,
  state: State
): Effect.fn.Return<void, SinkWriteError> {
  const { path } = settings
  const { recording } = state
  const lose = (failed: SinkWriteError) =>
    Effect.sync(() => {
      state.lost = failed
    })
  if (recording !== undefined) {
    yield* finishGroup(recording).pipe(
      Effect.andThen(() => {
        closeGroup(recording)
        return finishGroup(recording)
      }),
      Effect.mapError((cause) => {
        const rest = recording.finishedRows > 0
          ? "the finished row groups are complete, what came after them is lost"
          : "no row group was finished, so there is no file"
        return failedWrite(path, recording.closed.rows + recording.open.rows, cause, rest)
      }),
      Effect.catch(lose)
    )
    const { encoder, finishedRows } = recording
    if (finishedRows > 0) {
      const unfinished = (cause: unknown) =>
        failedWrite(
          path,
          finishedRows + (state.lost?.samples ?? 0),
          cause,
          `${partialOf(path)} has no footer and cannot be read`
        )
      yield* Effect.mapError(Effect.andThen(encoder.finish, toDisk(fd)), unfinished).pipe(
        Effect.andThen(Effect.try({ try: () => publish(settings, fd), catch: unfinished })),
        Effect.catch(lose)
      )
    }
    yield* encoder.stop
  }
  if ((recording?.finishedRows ?? 0) === 0 && isOurs(path, fd)) fs.rmSync(partialOf(path))
  fs.closeSync(fd)
  yield* Effect.logInfo(`${SINK} closed ${path}`)
  if (state.lost !== undefined) return yield* state.lost
})

/** Whether the unfinished file still bears its name. */
const isOurs = (path: string, fd: number): boolean => {
  const named = fs.statSync(partialOf(path), { throwIfNoEntry: false })
  const { dev, ino } = fs.fstatSync(fd)
  return named?.ino === ino && named.dev === dev
}

const toDisk = (fd: number): Effect.Effect<void, unknown> =>
  Effect.callback((resume) => fs.fsync(fd, (error) => resume(error ? Effect.fail(error) : Effect.void)))

/** Gives the complete file its name; one that came to be there meanwhile is not replaced unasked. */
const publish = ({ mode, path }: Settings, fd: number): void => {
  if (!isOurs(path, fd)) {
    throw new Error(`${partialOf(path)} was moved or removed while it was recorded; where it is now, it is complete`)
  }
  if (mode === "create" && fs.existsSync(path)) {
    throw new Error(`another program has made it meanwhile; the recording is complete in ${partialOf(path)}`)
  }
  // Through a link, the file behind it is replaced.
  fs.renameSync(partialOf(path), fs.existsSync(path) ? fs.realpathSync(path) : path)
}
