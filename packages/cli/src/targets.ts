/**
 * `--out TARGET`: which sink a target means, told by its ending.
 */
import type { Device, SampleSink, SinkOpenError, SinkSchemaError } from "@sampleline/core"
import { CsvSink } from "@sampleline/sinks/CsvSink"
import { JsonlSink } from "@sampleline/sinks/JsonlSink"
import type * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as path from "node:path"
import { UsageError } from "./failures.ts"

/** What holds for all the outputs of a run. */
export interface OutputOptions {
  readonly mode: "create" | "overwrite" | "append"
  readonly fsync: "never" | "interval" | "always"
  readonly identity: boolean
}

/** An output that is not open yet. */
export interface Target {
  readonly text: string
  readonly layer: Layer.Layer<SampleSink, SinkOpenError>
  /** Fails as opening would, and touches nothing; with the devices, also for what is known only from their formats. */
  readonly check: (devices?: ReadonlyArray<Device>) => Effect.Effect<void, SinkOpenError | SinkSchemaError>
}

const FILE_SINKS: { readonly [ending: string]: typeof CsvSink | typeof JsonlSink } = {
  ".csv": CsvSink,
  ".jsonl": JsonlSink
}

/** The sinks for these targets. */
export const parseTargets = Effect.fnUntraced(function*(
  texts: Array.NonEmptyReadonlyArray<string>,
  options: OutputOptions
): Effect.fn.Return<Array.NonEmptyReadonlyArray<Target>, UsageError> {
  const twice = texts.find((text, at) => texts.findIndex((other) => sameTarget(text, other)) < at)
  if (twice !== undefined) {
    return yield* new UsageError({ message: `--out ${twice} is given twice; name each output once` })
  }
  return yield* Effect.forEach(texts, (text) => parseTarget(text, options, texts.length > 1))
})

const sameTarget = (a: string, b: string): boolean =>
  a === b || (a !== "-" && b !== "-" && path.resolve(a) === path.resolve(b))

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
  const sink = FILE_SINKS[path.extname(text).toLowerCase()]
  if (sink === undefined) {
    return Effect.fail(
      new UsageError({
        message: `--out ${text}: its ending tells no format; use ${
          Object.keys(FILE_SINKS).join(" or ")
        }, or - for JSON lines on standard output`
      })
    )
  }
  const file = { path: text, ...options }
  return Effect.succeed({ text, layer: sink.layer(file), check: (devices) => sink.check(file, devices) })
}
