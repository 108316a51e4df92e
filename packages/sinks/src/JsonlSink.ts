/**
 * One JSON object a line, UTF-8. Each line stands alone: its keys are the sample's own columns, so there is no schema to
 * lock and nothing is ever dropped. Types, units, runs and devices stand in `<file>-metadata.json`.
 *
 * Accepted means: handed to the operating system, so it survives a kill -9 of the process; on standard output and pipes: in
 * memory, on its way to the reader. `fsync` makes a file survive a power cut. A file whose last line is cut short is repaired
 * by appending to it.
 */
import {
  type CellWriter,
  type Device,
  type FrameFormat,
  rowWriter,
  type Sample,
  SampleSink,
  SchemaLock,
  type SinkOpenError,
  type SinkShape
} from "@sampleline/core"
import { type Array, Context, Effect, type Layer, Predicate, type Scope } from "effect"
import { type Ready, ready } from "./internal/ByteBuffer.ts"
import type { ByteOutput } from "./internal/ByteOutput.ts"
import { openStdout, type WhenStalled } from "./internal/Pipe.ts"
import { writeTableMetadata } from "./internal/TableMetadata.ts"
import { TextBuffer, TextCache } from "./internal/TextBuffer.ts"
import { checkTextFile, chunksOf, type Content, openTextFile, type TextFileOptions } from "./internal/TextFile.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface JsonlSinkOptions extends TextFileOptions {
  /** Whether `run_id` and `sequence` follow the status. Default: false. */
  readonly identity?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface StdoutOptions {
  /** Whether `run_id` and `sequence` follow the status. Default: false. */
  readonly identity?: boolean | undefined
  /**
   * When the reader of standard output has stalled for long: `wait` for it, or `fail`, so that other outputs need not wait
   * with it. Default: `wait`.
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
    const writer = { sink: "JsonlSink", target: options.path }
    const file = yield* openTextFile(writer, options, inspectJsonl)
    yield* Effect.logInfo(`JsonlSink opened ${options.path}`)
    const describe = (batch: Array.NonEmptyReadonlyArray<Sample>) =>
      writeTableMetadata(writer, batch, {
        columns: SchemaLock.fromBatch(batch, options).columns,
        isAppending: file.content !== null
      })
    return linesTo(file, options.path, options.identity, file.isFile ? describe : undefined)
  })

  /** Provides `JsonlSink` and `SampleSink`. */
  static readonly layer = (options: JsonlSinkOptions): Layer.Layer<JsonlSink | SampleSink, SinkOpenError> =>
    SampleSink.layerOf(JsonlSink, JsonlSink.make(options))

  /** Lines to standard output. Provides `JsonlSink` and `SampleSink`. */
  static readonly layerStdout = (options: StdoutOptions = {}): Layer.Layer<JsonlSink | SampleSink> =>
    SampleSink.layerOf(
      JsonlSink,
      Effect.map(
        openStdout({ sink: "JsonlSink", target: "standard output" }, options.whenStalled ?? "wait"),
        (output) => linesTo(output, "standard output", options.identity)
      )
    )

  /** Fails as opening would; touches nothing. */
  static readonly check = (
    options: JsonlSinkOptions,
    _devices?: ReadonlyArray<Device>
  ): Effect.Effect<void, SinkOpenError> =>
    Effect.asVoid(checkTextFile({ sink: "JsonlSink", target: options.path }, options, inspectJsonl))
}

const linesTo = (
  output: ByteOutput,
  target: string,
  identity: boolean | undefined,
  /** Called once, after the first batch. */
  describe: (batch: Array.NonEmptyReadonlyArray<Sample>) => Effect.Effect<void> = () => Effect.void
): JsonlSink["Service"] => {
  const cells = new JsonCells(identity)
  let described = false
  return {
    ...SampleSink.make({
      name: "JsonlSink",
      target,
      write: Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
        yield* output.write(() => {
          cells.buffer.clear()
          for (const sample of batch) cells.sample(sample)
          return cells.buffer.content()
        }, batch.length)
        if (described) return
        described = true
        yield* describe(batch)
      }),
      lost: output.lost
    }),
    path: target
  }
}

const QUOTE = 0x22
const NULL = ready("null")
const END = ready("}\n")

/** Writes lines, by a plan made once for each format. */
class JsonCells implements CellWriter {
  readonly buffer = new TextBuffer()
  private readonly plans = new WeakMap<FrameFormat, ReturnType<typeof planOf>>()
  private readonly identity: boolean | undefined
  private readonly texts = new TextCache((text) => ready(JSON.stringify(text.toWellFormed())))
  private keys: ReadonlyArray<Ready> = []
  private at = 0

  constructor(identity: boolean | undefined) {
    this.identity = identity
  }

  sample(sample: Sample): void {
    const { format } = sample.frame
    let plan = this.plans.get(format)
    if (plan === undefined) {
      plan = planOf(format, this.identity)
      this.plans.set(format, plan)
    }
    this.keys = plan.keys
    this.at = 0
    plan.write(sample, this)
    this.buffer.ready(END)
  }

  number(value: number): void {
    this.key()
    this.buffer.number(value)
  }

  text(value: string): void {
    this.key()
    this.buffer.ready(this.texts.get(value, this.at))
  }

  timestamp(micros: number): void {
    this.key()
    this.buffer.byte(QUOTE)
    this.buffer.timestamp(micros)
    this.buffer.byte(QUOTE)
  }

  missing(): void {
    this.key()
    this.buffer.ready(NULL)
  }

  private key(): void {
    this.buffer.ready(this.keys[this.at++]!)
  }
}

/** What stands before each value: its key, and what parts it from the value before. */
const planOf = (format: FrameFormat, identity: boolean | undefined) => {
  const { columns, write } = rowWriter(format, { identity })
  const keys = columns.map(({ name }, at) => ready(`${at === 0 ? "{" : ","}${JSON.stringify(name)}:`))
  return { keys, write }
}

/** Reads an existing file: every complete line must be a sample. */
const inspectJsonl = (fd: number, size: number): Effect.Effect<Content, string> =>
  Effect.suspend(() => {
    let bytes = 0
    let line = 0
    let begun: Array<Buffer> = []
    for (const [chunk, offset] of chunksOf(fd, size)) {
      let start = 0
      for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", start)) {
        line++
        if (!isRowText(Buffer.concat([...begun, chunk.subarray(start, end)]).toString())) {
          return Effect.fail(`its line ${line} is no sample as this sink writes them`)
        }
        begun = []
        start = end + 1
        bytes = offset + start
      }
      begun.push(Buffer.from(chunk.subarray(start)))
    }
    return Effect.succeed({ bytes })
  })

const isRowText = (text: string): boolean => {
  try {
    const row: unknown = JSON.parse(text)
    return Predicate.isObject(row) && "device" in row && "requested_at" in row
  } catch {
    return false
  }
}
