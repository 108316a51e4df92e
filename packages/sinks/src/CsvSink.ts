/**
 * CSV as in RFC 4180: comma, double quotes where needed, a header, lines that end in LF, UTF-8.
 *
 * Columns are fixed at the first batch. They have no types, so each takes every value. Times are RFC 3339 text with
 * microseconds. Floats have a decimal point or an exponent, or are `NaN`, `Infinity` or `-Infinity`. Null and the empty text are
 * both an empty field. Text is written verbatim. Types, units, runs and devices are in `<file>-metadata.json`, and the events of
 * the runs in `<file>-events.jsonl`.
 *
 * Accepted means: handed to the operating system, so it survives a kill -9 of the process. With `fsync` it survives a power
 * cut. A pipe accepts before its reader reads; what is never read is reported as an error. If the last record of a file is
 * incomplete, appending removes it.
 */
import {
  type Column,
  type Device,
  type RowOptions,
  type Sample,
  SampleSink,
  SchemaLock,
  type SinkOpenError,
  SinkSchemaError,
  type SinkShape
} from "@sampleline/core"
import { type Array, type Config, Context, Effect, type Layer, type Scope } from "effect"
import { CsvCells } from "./internal/CsvCells.ts"
import { inspectCsv } from "./internal/CsvContent.ts"
import { firstBatchOf } from "./internal/firstBatch.ts"
import { layerConfigOf } from "./internal/layerConfig.ts"
import { resumableText } from "./internal/resumableText.ts"
import { writeTableMetadata } from "./internal/TableMetadata.ts"
import { checkTextFile, openTextFile, type TextFileOptions } from "./internal/TextFile.ts"
import { warnOfWholeNumbers } from "./internal/wholeNumbers.ts"
import type { OpenableSink } from "./OpenableSink.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface CsvSinkOptions extends TextFileOptions, RowOptions {}

/**
 * @since 0.1.0
 * @category sinks
 */
export class CsvSink extends Context.Service<
  CsvSink,
  SinkShape & {
    readonly path: string
    /** The locked columns, in the file's order; empty before the first batch. */
    readonly columns: ReadonlyArray<Column>
  }
>()("@sampleline/sinks/CsvSink") {
  static readonly make = Effect.fnUntraced(function*(
    options: CsvSinkOptions
  ): Effect.fn.Return<CsvSink["Service"], SinkOpenError, Scope.Scope> {
    const writer = { sink: SINK, target: options.path }
    const cells = new CsvCells()
    let lock: SchemaLock | undefined
    const file = yield* openTextFile(writer, options, {
      inspect: inspectCsv,
      takesMore: ({ header }) => JSON.stringify(header) === JSON.stringify(lock?.columns.map(({ name }) => name))
    })
    yield* Effect.logInfo(`${SINK} opened ${options.path}`)

    const lockBy = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
      return lock ??= yield* lockTo(writer.target, lockOf(batch, options), file.content?.header ?? null)
    })
    const write = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
      const locked = yield* lockBy(batch)
      const first = yield* file.write((isBeginning) => {
        cells.buffer.clear()
        if (isBeginning) cells.row(locked.columns.map(({ name }) => name))
        for (const sample of batch) cells.sample(locked, sample)
        return cells.buffer.content()
      }, batch.length)
      if (first === null) return
      yield* warnOfWholeNumbers(writer, locked.columns, file.content)
      // Warns if it cannot write.
      yield* writeTableMetadata(writer, batch, {
        columns: locked.columns,
        lock: locked,
        isAppending: first.isAppended,
        dialect: { lineTerminators: ["\n"] }
      })
    })

    return {
      ...SampleSink.make({
        name: SINK,
        target: options.path,
        began: file.began,
        event: file.event,
        dropped: () => lock?.dropped,
        lost: file.lost,
        isTransient: file.resumable === undefined,
        resumable: resumableText(file, write, (first) => Effect.asVoid(lockBy(first))),
        write
      }),
      path: options.path,
      get columns() {
        return lock?.columns ?? []
      }
    }
  }, (opening, { path }) => Effect.annotateLogs(opening, { sink: SINK, target: path }))

  /** Provides `CsvSink` and `SampleSink`. */
  static readonly layer = (options: CsvSinkOptions): Layer.Layer<CsvSink | SampleSink, SinkOpenError> =>
    SampleSink.layerOf(CsvSink, CsvSink.make(options))

  /** The layer with options from the configuration. */
  static readonly layerConfig: (
    options: Config.Wrap<CsvSinkOptions>
  ) => Layer.Layer<CsvSink | SampleSink, SinkOpenError | Config.ConfigError> = layerConfigOf(CsvSink.layer)

  /**
   * Fails as opening would, and changes nothing. With the devices it also fails if an existing header does not match their
   * columns.
   */
  static readonly check = Effect.fnUntraced(function*(
    options: CsvSinkOptions,
    devices?: ReadonlyArray<Device>
  ): Effect.fn.Return<void, SinkOpenError | SinkSchemaError> {
    const content = yield* checkTextFile({ sink: SINK, target: options.path }, options, inspectCsv)
    const batch = firstBatchOf(devices)
    if (content === null || batch === null) return
    yield* lockTo(options.path, lockOf(batch, options), content.header)
  })
}

const SINK = "CsvSink"

// For the type checker only.
void (CsvSink satisfies OpenableSink<CsvSinkOptions, SinkOpenError | SinkSchemaError>)

const lockOf = (batch: ReadonlyArray<Sample>, options: CsvSinkOptions): SchemaLock =>
  SchemaLock.fromBatch(batch, { ...options, untyped: true })

/** The columns of a new file; for an existing file the same columns in its order. */
const lockTo = (
  target: string,
  lock: SchemaLock,
  header: ReadonlyArray<string> | null
): Effect.Effect<SchemaLock, SinkSchemaError> => {
  if (header === null) return Effect.succeed(lock)
  const names = lock.columns.map((column) => column.name)
  const differences = [
    ...differenceOf(names.filter((name) => !header.includes(name)), "missing"),
    ...differenceOf(header.filter((name) => !names.includes(name)), "unexpected")
  ]
  if (differences.length === 0) return Effect.succeed(lock.inOrder(header))
  return Effect.fail(
    new SinkSchemaError({
      sink: SINK,
      target,
      detail: `its header does not match: ${differences.join(", ")}. Record to another file`
    })
  )
}

const differenceOf = (names: ReadonlyArray<string>, what: string): ReadonlyArray<string> =>
  names.length === 0 ? [] : [`${names.join(", ")} ${names.length === 1 ? "is" : "are"} ${what}`]
