/**
 * Keeps all samples and events in memory, for tests and for programs that use the samples of a short run.
 *
 * Memory is never freed. Accepted means: in memory.
 */
import { Context, Effect, type Layer } from "effect"
import type { RunEvent } from "./RunEvent.ts"
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
    /** The same array, like `samples`. */
    readonly events: ReadonlyArray<RunEvent>
  }
>()("@sampleline/core/MemorySink") {
  static readonly make = Effect.sync((): MemorySink["Service"] => {
    const samples: Array<Sample> = []
    const events: Array<RunEvent> = []
    return {
      ...SampleSink.make({
        name: "MemorySink",
        target: "memory",
        write: (batch) =>
          Effect.sync(() => {
            for (const sample of batch) samples.push(sample)
          }),
        event: (event) => Effect.sync(() => events.push(event))
      }),
      samples,
      events
    }
  })

  /** Provides `MemorySink` and `SampleSink`. */
  static readonly layer: Layer.Layer<MemorySink | SampleSink> = SampleSink.layerOf(MemorySink, MemorySink.make)
}
