import type { Cell, Device, SampleSink, SinkOpenError, SinkSchemaError } from "@sampleline/core"
import { SchemaLock } from "@sampleline/core"
import type { Effect, Layer } from "effect"
import { CsvSink } from "../src/CsvSink.ts"
import type { TextFileOptions } from "../src/internal/TextFile.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { flow } from "./samples.ts"
import { readCsv, readJsonl } from "./textReaders.ts"

interface TextSink {
  readonly name: string
  readonly layer: (options: TextFileOptions) => Layer.Layer<SampleSink, SinkOpenError>
  readonly check: (
    options: TextFileOptions,
    devices?: ReadonlyArray<Device>
  ) => Effect.Effect<void, SinkOpenError | SinkSchemaError>
  readonly file: string
  /** The rows of samples of the format `flow`. */
  readonly read: (path: string) => ReadonlyArray<{ readonly [column: string]: Cell }>
}

/** The sinks that write text files: what they share is tested with each. */
export const textSinks: ReadonlyArray<TextSink> = [
  {
    name: "CsvSink",
    layer: CsvSink.layer,
    check: CsvSink.check,
    file: "run.csv",
    read: (path) => readCsv(path, SchemaLock.fromFormats([flow]).columns)
  },
  { name: "JsonlSink", layer: JsonlSink.layer, check: JsonlSink.check, file: "run.jsonl", read: readJsonl }
]
