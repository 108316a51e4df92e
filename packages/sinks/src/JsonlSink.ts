/**
 * One JSON object a line, UTF-8. Each line stands alone: its keys are the sample's own columns. There is no schema to lock, and
 * no column is ever dropped. Floats have a decimal point or an exponent. JSON has no NaN and no infinities: they are null, and
 * counted. Types, units, runs and devices are in `<file>-metadata.json`, and the events of the runs in
 * `<file>-events.jsonl`.
 *
 * Accepted means: handed to the operating system, so it survives a kill -9 of the process. On standard output and pipes it
 * means: in memory, on its way to the reader. With `fsync` a file survives a power cut. If the last line of a file is
 * incomplete, appending removes it.
 */
import {
  type Device,
  type RowOptions,
  type Sample,
  SampleSink,
  SchemaLock,
  type SinkOpenError,
  type SinkShape
} from "@sampleline/core"
import { type Array, type Config, Context, Effect, type Layer, type Scope } from "effect"
import type { ByteOutput } from "./internal/ByteOutput.ts"
import type { Writer } from "./internal/FileFailure.ts"
import { JsonlCells } from "./internal/JsonlCells.ts"
import { inspectJsonl } from "./internal/JsonlContent.ts"
import { layerConfigOf } from "./internal/layerConfig.ts"
import { openStdout, type WhenStalled } from "./internal/Pipe.ts"
import { resumableText } from "./internal/resumableText.ts"
import { writeTableMetadata } from "./internal/TableMetadata.ts"
import type { Content } from "./internal/TextContent.ts"
import { checkTextFile, openTextFile, type TextFileOptions } from "./internal/TextFile.ts"
import { warnOfWholeNumbers } from "./internal/wholeNumbers.ts"
import type { OpenableSink } from "./OpenableSink.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface JsonlSinkOptions extends TextFileOptions, RowOptions {}

/**
 * @since 0.1.0
 * @category options
 */
export interface StdoutOptions extends RowOptions {
  /**
   * What happens when the reader has stalled for long: `wait` for it, or `fail`, so that other outputs need not wait too.
   * Default: `wait`.
   */
  readonly whenStalled?: WhenStalled | undefined
}

/**
 * @since 0.1.0
 * @category sinks
 */
export class JsonlSink extends Context.Service<
  JsonlSink,
  SinkShape & {
    readonly path: string
  }
>()("@sampleline/sinks/JsonlSink") {
  static readonly make = Effect.fnUntraced(function*(
    options: JsonlSinkOptions
  ): Effect.fn.Return<JsonlSink["Service"], SinkOpenError, Scope.Scope> {
    const writer = { sink: SINK, target: options.path }
    const file = yield* openTextFile(writer, options, { inspect: inspectJsonl, takesMore: () => true })
    yield* Effect.logInfo(`${SINK} opened ${options.path}`)
    return linesTo(file, writer, options, file.content)
  }, (opening, { path }) => Effect.annotateLogs(opening, { sink: SINK, target: path }))

  /** Provides `JsonlSink` and `SampleSink`. */
  static readonly layer = (options: JsonlSinkOptions): Layer.Layer<JsonlSink | SampleSink, SinkOpenError> =>
    SampleSink.layerOf(JsonlSink, JsonlSink.make(options))

  /** The layer with options from the configuration. */
  static readonly layerConfig: (
    options: Config.Wrap<JsonlSinkOptions>
  ) => Layer.Layer<JsonlSink | SampleSink, SinkOpenError | Config.ConfigError> = layerConfigOf(JsonlSink.layer)

  /** Lines to standard output. Provides `JsonlSink` and `SampleSink`. */
  static readonly layerStdout = (options: StdoutOptions = {}): Layer.Layer<JsonlSink | SampleSink> =>
    SampleSink.layerOf(
      JsonlSink,
      Effect.map(
        openStdout({ sink: SINK, target: STDOUT }, options.whenStalled ?? "wait"),
        (output) => linesTo(output, { sink: SINK, target: STDOUT }, options, null)
      )
    )

  /** Fails as opening would, and changes nothing. Devices make no difference: lines take any format. */
  static readonly check = (
    options: JsonlSinkOptions,
    _devices?: ReadonlyArray<Device>
  ): Effect.Effect<void, SinkOpenError> =>
    Effect.asVoid(checkTextFile({ sink: SINK, target: options.path }, options, inspectJsonl))
}

const SINK = "JsonlSink"
const STDOUT = "standard output"

// For the type checker only.
void (JsonlSink satisfies OpenableSink<JsonlSinkOptions, SinkOpenError>)

const linesTo = (
  output: ByteOutput,
  writer: Writer,
  options: RowOptions,
  content: Content | null
): JsonlSink["Service"] => {
  const cells = new JsonlCells(options)
  const write = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
    const first = yield* output.write(() => {
      cells.buffer.clear()
      for (const sample of batch) cells.sample(sample)
      return cells.buffer.content()
    }, batch.length)
    if (first === null) return
    const { columns } = SchemaLock.fromBatch(batch, options)
    yield* warnOfWholeNumbers(writer, columns, content)
    yield* writeTableMetadata(writer, batch, { columns, isAppending: first.isAppended })
  })
  return {
    ...SampleSink.make({
      name: SINK,
      target: writer.target,
      began: output.began,
      event: output.event,
      lost: output.lost,
      dropped: () => cells.dropped,
      isTransient: output.resumable === undefined,
      resumable: resumableText(output, write, () => Effect.void),
      write
    }),
    path: writer.target
  }
}
