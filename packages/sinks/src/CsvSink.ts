/**
 * CSV as RFC 4180 has it: comma, double quotes where needed, a header, lines that end in LF, UTF-8.
 *
 * Columns are fixed at the first batch. Times are RFC 3339 text with microseconds; null and the empty text are both an empty
 * field; text is written verbatim. Types, units, runs and devices stand in `<file>-metadata.json`.
 *
 * Accepted means: handed to the operating system, so it survives a kill -9 of the process. `fsync` makes it survive a power
 * cut. A file whose last record is cut short is repaired by appending to it.
 */
import {
  type CellWriter,
  type Column,
  type Device,
  type Sample,
  SampleSink,
  SchemaLock,
  type SinkOpenError,
  SinkSchemaError,
  type SinkShape
} from "@sampleline/core"
import { type Array, Context, Effect, type Layer, type Scope } from "effect"
import { ready } from "./internal/ByteBuffer.ts"
import { writeTableMetadata } from "./internal/TableMetadata.ts"
import { TextBuffer, TextCache } from "./internal/TextBuffer.ts"
import { checkTextFile, chunksOf, type Content, openTextFile, type TextFileOptions } from "./internal/TextFile.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface CsvSinkOptions extends TextFileOptions {
  /** Whether `run_id` and `sequence` follow the status. Default: false. */
  readonly identity?: boolean | undefined
}

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
    const writer = { sink: "CsvSink", target: options.path }
    const file = yield* openTextFile(writer, options, inspectCsv)
    yield* Effect.logInfo(`CsvSink opened ${options.path}`)
    const header = file.content?.header ?? null
    const cells = new CsvCells()
    let lock: SchemaLock | undefined
    let headerWritten = header !== null
    let described = false

    const write = Effect.fnUntraced(function*(batch: Array.NonEmptyReadonlyArray<Sample>) {
      const locked = lock ??= yield* lockTo(writer.target, SchemaLock.fromBatch(batch, options), header)
      yield* file.write(() => {
        cells.buffer.clear()
        if (!headerWritten) cells.row(locked.columns.map(({ name }) => name))
        for (const sample of batch) cells.sample(locked, sample)
        return cells.buffer.content()
      }, batch.length)
      headerWritten = true
      if (!file.isFile || described) return
      described = true
      yield* writeTableMetadata(writer, batch, {
        columns: locked.columns,
        lock: locked,
        isAppending: header !== null,
        dialect: { lineTerminators: ["\n"] }
      })
    })

    const sink = SampleSink.make({
      name: "CsvSink",
      target: options.path,
      lock: () => lock,
      lost: file.lost,
      write
    })
    return {
      ...sink,
      path: options.path,
      get columns() {
        return lock?.columns ?? []
      }
    }
  })

  /** Provides `CsvSink` and `SampleSink`. */
  static readonly layer = (options: CsvSinkOptions): Layer.Layer<CsvSink | SampleSink, SinkOpenError> =>
    SampleSink.layerOf(CsvSink, CsvSink.make(options))

  /** Fails as opening would, and with the devices as their first batch would; touches nothing. */
  static readonly check = Effect.fnUntraced(function*(
    options: CsvSinkOptions,
    devices?: ReadonlyArray<Device>
  ): Effect.fn.Return<void, SinkOpenError | SinkSchemaError> {
    const content = yield* checkTextFile({ sink: "CsvSink", target: options.path }, options, inspectCsv)
    const formats = devices?.map((device) => device.format).filter((format) => format !== null) ?? []
    if (content === null || content.header === null || formats.length === 0 || formats.length !== devices?.length) {
      return
    }
    yield* lockTo(options.path, SchemaLock.fromFormats(formats, options), content.header)
  })
}

/** The columns of a new file, or in the order of an existing one if its header has the same. */
const lockTo = (
  target: string,
  lock: SchemaLock,
  header: ReadonlyArray<string> | null
): Effect.Effect<SchemaLock, SinkSchemaError> => {
  const names = lock.columns.map((column) => column.name)
  const missing = names.filter((name) => header !== null && !header.includes(name))
  const foreign = (header ?? []).filter((name) => !names.includes(name))
  if (missing.length + foreign.length > 0) {
    return Effect.fail(
      new SinkSchemaError({
        sink: "CsvSink",
        target,
        detail: [
          "its header is another one:",
          missing.length > 0 ? `it lacks ${missing.join(", ")}` : "",
          missing.length > 0 && foreign.length > 0 ? "and" : "",
          foreign.length > 0 ? `it has ${foreign.join(", ")}, which this run has not` : "",
          "; record to another file"
        ].filter((part) => part !== "").join(" ").replace(" ;", ";")
      })
    )
  }
  return Effect.succeed(header === null ? lock : lock.inOrder(header))
}

const COMMA = 0x2c
const NEWLINE = 0x0a

/** Writes rows; a comma behind each cell, of which the last becomes the end of the line. */
class CsvCells implements CellWriter {
  readonly buffer = new TextBuffer()
  private readonly texts = new TextCache((text) => ready(`${quoted(text.toWellFormed())},`))

  private textsInRow = 0

  row(texts: ReadonlyArray<string>): void {
    for (const text of texts) this.text(text)
    this.buffer.lastByte(NEWLINE)
  }

  sample(lock: SchemaLock, sample: Sample): void {
    this.textsInRow = 0
    lock.write(sample, this)
    this.buffer.lastByte(NEWLINE)
  }

  number(value: number): void {
    this.buffer.number(value)
    this.buffer.byte(COMMA)
  }

  text(value: string): void {
    this.buffer.ready(this.texts.get(value, this.textsInRow++))
  }

  timestamp(micros: number): void {
    this.buffer.timestamp(micros)
    this.buffer.byte(COMMA)
  }

  missing(): void {
    this.buffer.byte(COMMA)
  }
}

/** NUL is quoted too: outside of quotes it is what a power cut leaves behind. */
const quoted = (text: string): string => /[",\n\r\0]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text

interface CsvContent extends Content {
  /** Null where not even the header is complete. */
  readonly header: ReadonlyArray<string> | null
}

const QUOTE = 0x22

/** Reads an existing file: its header, and where its last complete record ends. Every record must have the header's fields. */
const inspectCsv = (fd: number, size: number): Effect.Effect<CsvContent, string> =>
  Effect.suspend(() => {
    let header: ReadonlyArray<string> | null = null
    const headerBytes: Array<Buffer> = []
    let bytes = 0
    let record = 0
    let commas = 0
    let inQuotes = false
    let damaged = false

    for (const [chunk, offset] of chunksOf(fd, size)) {
      for (let at = 0; at < chunk.length; at++) {
        const byte = chunk[at]
        if (byte === QUOTE) inQuotes = !inQuotes
        else if (byte === 0 && !inQuotes) damaged = true
        else if (byte === COMMA && !inQuotes) commas++
        else if (byte === NEWLINE && !inQuotes) {
          header ??= parseRecord(Buffer.concat([...headerBytes, chunk.subarray(0, at)]).toString())
          if (damaged || commas !== header.length - 1) {
            return Effect.fail(`its record ${record} does not have the ${header.length} fields of its header`)
          }
          bytes = offset + at + 1
          commas = 0
          record++
        }
      }
      if (header === null) headerBytes.push(Buffer.from(chunk))
    }
    return Effect.succeed({ bytes, header })
  })

/** The fields of one record, without its line end. */
const parseRecord = (record: string): ReadonlyArray<string> => {
  const fields: Array<string> = []
  const text = record.endsWith("\r") ? record.slice(0, -1) : record
  let field = ""
  let inQuotes = false
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\"") {
      if (inQuotes && text[at + 1] === "\"") field += text[at++]
      else inQuotes = !inQuotes
    } else if (text[at] === "," && !inQuotes) {
      fields.push(field)
      field = ""
    } else field += text[at]
  }
  return [...fields, field]
}
