/**
 * Keeps all samples in memory, for tests and for programs that use the samples of a short run.
 *
 * Memory is never freed. Accepted means: in memory.
 */
import { Context, Effect, type Layer } from "effect"
import type { Sample } from "./Sample.ts"
import { SampleSink, type SinkShape } from "./SampleSink.ts"

/**
 * @since 0.1.0
 * @category sinks
 */
export class MemorySink extends Context.Service<
  MemorySink,
  SinkShape & {
    /** The same array during the run and after the sink has closed. */
    readonly samples: ReadonlyArray<Sample>
  }
>()("@sampleline/core/MemorySink") {
  static readonly make = Effect.sync((): MemorySink["Service"] => {
    const samples: Array<Sample> = []
    return {
      ...SampleSink.make({
        name: "MemorySink",
        target: "memory",
        write: (batch) =>
          Effect.sync(() => {
            for (const sample of batch) samples.push(sample)
          })
      }),
      samples
    }
  })

  /** Provides `MemorySink` and `SampleSink`. */
  static readonly layer: Layer.Layer<MemorySink | SampleSink> = SampleSink.layerOf(MemorySink, MemorySink.make)
}
