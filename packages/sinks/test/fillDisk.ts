/**
 * Writes batches to a sink until one is not accepted. The last line of its output says how many samples were accepted, and the
 * error. Run in a process of its own, with a limited disk or file size: `node fillDisk.ts SINK PATH`.
 */
import { type Sample, SampleSink } from "@sampleline/core"
import { Effect, type Layer } from "effect"
import { CsvSink } from "../src/CsvSink.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { ParquetSink } from "../src/ParquetSink.ts"
import { SqliteSink } from "../src/SqliteSink.ts"
import { samplesFrom } from "./samples.ts"

const layers: { readonly [name: string]: (path: string) => Layer.Layer<SampleSink, unknown> } = {
  CsvSink: (path) => CsvSink.layer({ path }),
  JsonlSink: (path) => JsonlSink.layer({ path }),
  ParquetSink: (path) => ParquetSink.layer({ path, rowGroupSize: 500, compression: "none", dictionary: false }),
  SqliteSink: (path) => SqliteSink.layer({ path })
}
const [, , name = "", path = ""] = process.argv

const program = Effect.gen(function*() {
  const sink = yield* SampleSink
  for (let start = 0; start < 1_000_000; start += 50) {
    const error = yield* Effect.flip(sink.write(samplesFrom(start, 50) as unknown as [Sample])).pipe(
      Effect.orElseSucceed(() => null)
    )
    if (error === null) continue
    report = () => ({
      accepted: sink.report()[0]!.rows,
      error: `${error._tag} ${"reason" in error ? error.reason : ""}`
    })
    return
  }
})

let report = () => ({ accepted: -1, error: "" })

Effect.runFork(
  program.pipe(
    Effect.provide(layers[name]!(path)),
    // The report has what could not be written at the end.
    Effect.exit,
    Effect.andThen(Effect.sync(() => process.stdout.write(`\n${JSON.stringify(report())}`)))
  )
)
