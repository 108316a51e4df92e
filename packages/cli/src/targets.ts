/**
 * `--out TARGET`: the sink for a target, chosen by its file extension or URL scheme.
 */
import {
  type Device,
  type InvalidOptionError,
  type SampleSink,
  type SinkDependencyError,
  SinkOpenError,
  type SinkSchemaError
} from "@sampleline/core"
import { CsvSink } from "@sampleline/sinks/CsvSink"
import { JsonlSink } from "@sampleline/sinks/JsonlSink"
import { ParquetSink } from "@sampleline/sinks/ParquetSink"
import { PostgresSink } from "@sampleline/sinks/PostgresSink"
import { SqliteSink } from "@sampleline/sinks/SqliteSink"
import type * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import * as path from "node:path"
import { RunError, UsageError } from "./errors.ts"
import { withoutSecrets } from "./secrets.ts"

/** Options for all outputs of a run. */
export interface OutputOptions {
  readonly mode: "create" | "overwrite" | "append"
  readonly fsync: "never" | "interval" | "always"
  readonly rowIds: boolean
  /** The table in a database. */
  readonly table: string
  /** Creates a missing table in Postgres. SQLite always does. */
  readonly createTable: boolean
}

type OpenFailure = InvalidOptionError | SinkDependencyError | SinkOpenError | SinkSchemaError

/** An output that is not open yet. */
export interface Target {
  /** For messages: without a password. */
  readonly text: string
  /** For a line that is short. It is given where the samples are: a Parquet file may have got another name. */
  readonly label: (target: string) => string
  readonly layer: Layer.Layer<SampleSink, OpenFailure>
  /** Fails as opening would, but changes nothing. With devices it also checks their columns. */
  readonly check: (devices?: ReadonlyArray<Device>) => Effect.Effect<void, OpenFailure>
}

/** Whether an output cannot be reached now, and may be there later. */
export const isUnreachable = (error: unknown): error is SinkOpenError =>
  error instanceof SinkOpenError && error.isRetryable

type FileTarget = (path: string, options: OutputOptions) => Omit<Target, "text" | "label">

const csv: FileTarget = (path, options) => {
  const { fsync, mode } = options
  const file = { path, fsync, mode, rowIds: options.rowIds }
  return { layer: CsvSink.layer(file), check: (devices) => CsvSink.check(file, devices) }
}

const jsonl: FileTarget = (path, options) => {
  const { fsync, mode } = options
  const file = { path, fsync, mode, rowIds: options.rowIds }
  return { layer: JsonlSink.layer(file), check: (devices) => JsonlSink.check(file, devices) }
}

const sqlite: FileTarget = (path, options) => {
  const { fsync, mode, table } = options
  const synchronous = fsync === "always" ? "FULL" : "NORMAL"
  const file = { path, mode, table, synchronous, rowIds: options.rowIds } as const
  return { layer: SqliteSink.layer(file), check: (devices) => SqliteSink.check(file, devices) }
}

const parquet: FileTarget = (path, { mode, rowIds }) => {
  const file = { path, mode, rowIds }
  return { layer: ParquetSink.layer(file), check: (devices) => ParquetSink.check(file, devices) }
}

const FILE_TARGETS: { readonly [extension: string]: FileTarget } = {
  ".csv": csv,
  ".jsonl": jsonl,
  ".db": sqlite,
  ".sqlite": sqlite,
  ".sqlite3": sqlite,
  ".parquet": parquet
}

export const isPostgres = (text: string): boolean => /^postgres(?:ql)?:/i.test(text)

/** libpq's other way to write where a database is: `host=db user=me`. */
const isKeywords = (text: string): boolean =>
  /(?:^|\s)(?:host|hostaddr|port|user|password|dbname|service)\s*=/i.test(text)

const postgres = (url: string, options: OutputOptions): Target => {
  const { createTable, rowIds, table } = options
  const database = { url: Redacted.make(url), createTable, table, rowIds }
  return {
    text: withoutSecrets(url),
    label: () => "postgres",
    layer: PostgresSink.layer(database),
    check: (devices) => PostgresSink.check(database, devices)
  }
}

/** The sinks for these targets. */
export const parseTargets = (
  texts: Array.NonEmptyReadonlyArray<string>,
  options: OutputOptions
): Effect.Effect<Array.NonEmptyReadonlyArray<Target>, RunError | UsageError> =>
  Effect.forEach(texts, (_, at) => targetAt(texts, at, options))

/** The sink for one of several targets. */
export const targetAt = (
  texts: ReadonlyArray<string>,
  at: number,
  options: OutputOptions
): Effect.Effect<Target, RunError | UsageError> => {
  const text = texts[at]!
  if (isFile(text) && absolutePath(text) === null) {
    return Effect.fail(
      new RunError({ message: `--out ${text}: the working directory was deleted; change to a folder that exists` })
    )
  }
  return texts.findIndex((other) => sameTarget(text, other)) < at
    ? Effect.fail(
      new UsageError({ message: `--out ${withoutSecrets(text)} is given twice; give each output once` })
    )
    : parseTarget(text, options, texts.length > 1)
}

const sameTarget = (a: string, b: string): boolean => a === b || ([a, b].every(isFile) && fileId(a) === fileId(b))

export const isFile = (text: string): boolean => text !== "-" && !isPostgres(text)

/** Whether the samples go to a program that reads them now: standard output, a named pipe, a device. */
export const isPipe = (text: string): boolean => {
  if (!isFile(text)) return text === "-"
  const stats = statsOf(text)
  return stats !== null && !stats.isFile() && !stats.isDirectory()
}

/** Whether the samples stay in a file. */
export const isOnDisk = (text: string): boolean => isFile(text) && !isPipe(text)

/** Null if there is no such file, or nobody can look: opening it says why. */
const statsOf = (name: string): fs.Stats | null => {
  try {
    return fs.statSync(name)
  } catch {
    return null
  }
}

/** The same for all names of a file. */
const fileId = (name: string): string => {
  const stats = statsOf(name)
  return stats?.isFile() ? `${stats.dev} ${stats.ino}` : (absolutePath(name) ?? name)
}

/** Null if it is relative to a working directory that was deleted. */
export const absolutePath = (name: string): string | null => {
  try {
    return path.resolve(name)
  } catch {
    return null
  }
}

/** The folder, or the nearest one above it that exists. */
export const existingFolder = (folder: string): string =>
  fs.existsSync(folder) || path.dirname(folder) === folder ? folder : existingFolder(path.dirname(path.resolve(folder)))

const parseTarget = (
  text: string,
  options: OutputOptions,
  isOneOfSeveral: boolean
): Effect.Effect<Target, UsageError> => {
  if (text === "-") {
    const whenStalled = isOneOfSeveral ? "fail" : "wait"
    const layer = JsonlSink.layerStdout({ whenStalled, rowIds: options.rowIds })
    return Effect.succeed({ text, label: () => "stdout", layer, check: () => Effect.void })
  }
  if (isPostgres(text)) return Effect.succeed(postgres(text, options))
  if (isKeywords(text)) {
    return Effect.fail(
      new UsageError({
        message: `--out ${
          withoutSecrets(text)
        }: write the address of a database as a URL, such as postgres://HOST/DATABASE`
      })
    )
  }
  const target = FILE_TARGETS[path.extname(text).toLowerCase()]
  if (target === undefined) {
    return Effect.fail(
      new UsageError({
        message: `--out ${withoutSecrets(text)}: unknown file extension; use ${
          Object.keys(FILE_TARGETS).join(", ")
        }, a postgres:// URL, or - for JSON lines on standard output`
      })
    )
  }
  return Effect.succeed({ text, label: (target) => path.basename(target), ...target(text, options) })
}
