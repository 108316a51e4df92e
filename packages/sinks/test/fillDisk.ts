/**
 * Writes batches to a sink until one is not accepted, and prints, on its last line, how many samples were and why it stopped. Run in a process
 * of its own, whose disk or file size is limited: `node fillDisk.ts SINK PATH`.
 */
import { type Sample, SampleSink } from "@sampleline/core"
import { Effect, type Layer } from "effect"
import { CsvSink } from "../src/CsvSink.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { SqliteSink } from "../src/SqliteSink.ts"
import { samplesFrom } from "./samples.ts"

const layers: { readonly [name: string]: (path: string) => Layer.Layer<SampleSink, unknown> } = {
  CsvSink: (path) => CsvSink.layer({ path }),
  JsonlSink: (path) => JsonlSink.layer({ path }),
  SqliteSink: (path) => SqliteSink.layer({ path })
}
const [, , name = "", path = ""] = process.argv

const program = Effect.gen(function*() {
  const sink = yield* SampleSink
  for (let start = 0; start < 1_000_000; start += 50) {
    const error = yield* Effect.flip(sink.write(samplesFrom(start, 50) as unknown as [Sample])).pipe(
      Effect.orElseSucceed(() => null)
    )
    if (error !== null) return { accepted: start, error: `${error._tag} ${"reason" in error ? error.reason : ""}` }
  }
  return { accepted: -1, error: "" }
})

Effect.runFork(
  program.pipe(
    Effect.provide(layers[name]!(path)),
    Effect.flatMap((result) => Effect.sync(() => process.stdout.write(`\n${JSON.stringify(result)}`)))
  )
)
