/**
 * `--out TARGET`: which sink a target means, told by its ending or its scheme.
 */
import type {
  Device,
  InvalidOptionError,
  SampleSink,
  SinkDependencyError,
  SinkOpenError,
  SinkSchemaError
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
import { UsageError } from "./failures.ts"
import { withoutSecrets } from "./terminal.ts"

/** What holds for all the outputs of a run. */
export interface OutputOptions {
  readonly mode: "create" | "overwrite" | "append"
  readonly fsync: "never" | "interval" | "always"
  readonly identity: boolean
  /** The table in databases. */
  readonly table: string
  /** Whether to make a missing table in Postgres; a database file's is always made. */
  readonly createTable: boolean
}

type OpenFailure = InvalidOptionError | SinkDependencyError | SinkOpenError | SinkSchemaError

/** An output that is not open yet. */
export interface Target {
  /** How it may be shown: as given, or without the password. */
  readonly text: string
  readonly layer: Layer.Layer<SampleSink, OpenFailure>
  /** Fails as opening would, and touches nothing; with the devices, also for what is known only from their formats. */
  readonly check: (devices?: ReadonlyArray<Device>) => Effect.Effect<void, OpenFailure>
}

/** What a file sink makes of the options of a run. */
type FileTarget = (path: string, options: OutputOptions) => Omit<Target, "text">

const csv: FileTarget = (path, options) => {
  const file = { path, ...options }
  return { layer: CsvSink.layer(file), check: (devices) => CsvSink.check(file, devices) }
}

const jsonl: FileTarget = (path, options) => {
  const file = { path, ...options }
  return { layer: JsonlSink.layer(file), check: (devices) => JsonlSink.check(file, devices) }
}

const sqlite: FileTarget = (path, { fsync, identity, mode, table }) => {
  const file = { path, identity, mode, table, synchronous: fsync === "always" ? "FULL" : "NORMAL" } as const
  return { layer: SqliteSink.layer(file), check: (devices) => SqliteSink.check(file, devices) }
}

/** A Parquet file cannot be added to: beside outputs that are, it is a new one. */
const parquet: FileTarget = (path, { identity, mode }) => {
  const file = { path, identity, mode: mode === "append" ? "create" : mode } as const
  return { layer: ParquetSink.layer(file), check: (devices) => ParquetSink.check(file, devices) }
}

const FILE_TARGETS: { readonly [ending: string]: FileTarget } = {
  ".csv": csv,
  ".jsonl": jsonl,
  ".db": sqlite,
  ".sqlite": sqlite,
  ".sqlite3": sqlite,
  ".parquet": parquet
}

const isPostgres = (text: string): boolean => /^postgres(?:ql)?:/i.test(text)

/** A database by its URL; the password may also stand in the environment. */
const postgres = (url: string, { createTable, identity, table }: OutputOptions): Target => {
  const password = process.env["PGPASSWORD"]
  const options = {
    url: Redacted.make(url),
    password: password === undefined ? undefined : Redacted.make(password),
    createTable,
    identity,
    table
  }
  return {
    text: withoutSecrets(url),
    layer: PostgresSink.layer(options),
    check: (devices) => PostgresSink.check(options, devices)
  }
}

/** The sinks for these targets. */
export const parseTargets = Effect.fnUntraced(function*(
  texts: Array.NonEmptyReadonlyArray<string>,
  options: OutputOptions
): Effect.fn.Return<Array.NonEmptyReadonlyArray<Target>, UsageError> {
  const twice = texts.find((text, at) => texts.findIndex((other) => sameTarget(text, other)) < at)
  if (twice !== undefined) {
    return yield* new UsageError({ message: `--out ${withoutSecrets(twice)} is given twice; name each output once` })
  }
  return yield* Effect.forEach(texts, (text) => parseTarget(text, options, texts.length > 1))
})

const sameTarget = (a: string, b: string): boolean =>
  a === b || ([a, b].every((text) => text !== "-" && !isPostgres(text)) && fileId(a) === fileId(b))

/** One file can have several names. */
const fileId = (name: string): string => {
  const stats = fs.statSync(name, { throwIfNoEntry: false })
  return stats?.isFile() ? `${stats.dev} ${stats.ino}` : path.resolve(name)
}

const parseTarget = (
  text: string,
  options: OutputOptions,
  isOneOfSeveral: boolean
): Effect.Effect<Target, UsageError> => {
  if (text === "-") {
    const whenStalled = isOneOfSeveral ? "fail" : "wait"
    const layer = JsonlSink.layerStdout({ identity: options.identity, whenStalled })
    return Effect.succeed({ text, layer, check: () => Effect.void })
  }
  if (isPostgres(text)) return Effect.succeed(postgres(text, options))
  const target = FILE_TARGETS[path.extname(text).toLowerCase()]
  if (target === undefined) {
    return Effect.fail(
      new UsageError({
        message: `--out ${withoutSecrets(text)}: its ending tells no format; use ${
          Object.keys(FILE_TARGETS).join(", ")
        }, a postgres:// URL, or - for JSON lines on standard output`
      })
    )
  }
  return Effect.succeed({ text, ...target(text, options) })
}
