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
 * Accepted means: in memory, or in a finished row group of the unfinished file. `<name>.partial-groups` says what those hold, so a
 * kill -9 costs the open row group only: mode `append` completes the rest, and a journal goes on with it and loses nothing. An
 * unfinished file is never replaced: its recording may still be running.
 */
import {
  type Column,
  type Device,
  eventToRow,
  InvalidOptionError,
  positiveInt,
  type Resumable,
  type RowOptions,
  SampleSink,
  type SinkDependencyError,
  type SinkOpenError,
  type SinkShape,
  type SinkWriteError
} from "@sampleline/core"
import { type Config, Context, Effect, type Layer, type Scope, Semaphore } from "effect"
import { findDriver } from "./internal/drivers.ts"
import { layerConfigOf } from "./internal/layerConfig.ts"
import type { FileMode } from "./internal/OutputFile.ts"
import type { ParquetSettings } from "./internal/ParquetFile.ts"
import { openOutput, type Settings, SINK, writerOf } from "./internal/ParquetOutput.ts"
import { checkName } from "./internal/PartialFile.ts"
import type { OpenableSink } from "./OpenableSink.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface ParquetSinkOptions extends RowOptions {
  readonly path: string
  /**
   * `create` refuses an existing file, `overwrite` replaces it when the new one is complete. `append` finishes what a killed run
   * has left, and records to the first name that is free: `run.parquet`, `run-2.parquet`, and so on. Default: `create`.
   */
  readonly mode?: FileMode | undefined
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
    const output = yield* openOutput(settings, options)
    yield* Effect.logInfo(`${SINK} opened ${path}`)
    const oneAtATime = Semaphore.makeUnsafe(1)
    const alone = <A, E>(run: Effect.Effect<A, E>) => oneAtATime.withPermit(Effect.uninterruptible(run))

    const resumable: Resumable<SinkWriteError> = {
      open: ({ journal, place }) => alone(output.open(journal, place)),
      writeAt: (items, through) => alone(output.writeAt(items, through)),
      sync: alone(output.sync),
      finish: (through) => alone(output.finish(through)),
      forget: alone(output.forget)
    }
    return {
      ...SampleSink.make({
        name: SINK,
        target: path,
        writesTo: () => output.path,
        resumable,
        dropped: () => output.lock?.dropped,
        event: (event) => alone(output.write({ samples: [], events: [eventToRow(event)], through: 0 })),
        lost: () => output.lost,
        write: (batch) => alone(output.write({ samples: batch, events: [], through: 0 }))
      }),
      path,
      get columns() {
        return output.lock?.columns ?? []
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
    yield* checkName(writerOf(settings.path), settings)
  })
}

const MODES: ReadonlySet<string> = new Set(["create", "overwrite", "append"])
const COMPRESSIONS: ReadonlySet<string> = new Set(["zstd", "snappy", "gzip", "none"])

// For the type checker only.
void (ParquetSink satisfies OpenableSink<ParquetSinkOptions, OpenFailure>)

/** The thread loads it; here it must only be installed. */
const findHyparquet = (path: string) => findDriver(writerOf(path), "hyparquet-writer")

const validate = Effect.fnUntraced(
  function*(options: ParquetSinkOptions): Effect.fn.Return<Settings, InvalidOptionError> {
    const { compression = "zstd", dictionary = true, mode = "create", path, rowGroupSize = 10_000 } = options
    if (!COMPRESSIONS.has(compression)) {
      return yield* InvalidOptionError.of("compression", compression, [...COMPRESSIONS].join(", "))
    }
    if (!MODES.has(mode)) return yield* InvalidOptionError.of("mode", mode, [...MODES].join(", "))
    return {
      compression,
      dictionary,
      mode,
      path,
      rowGroupSize: yield* positiveInt("rowGroupSize", rowGroupSize, "rows")
    }
  }
)
