import { type Sample, SampleSink } from "@sampleline/core"
import { Effect, type Layer, Logger } from "effect"

/** Writes batches to the sink that is open; gives its report. */
export const writeAll = (...batches: ReadonlyArray<ReadonlyArray<Sample>>) =>
  Effect.gen(function*() {
    const sink = yield* SampleSink
    for (const batch of batches) yield* sink.write(nonEmpty(batch))
    return sink.report()[0]!
  })

/** Opens a sink, writes batches to it and closes it; gives its report. */
export const writeTo = <A, E>(
  layer: Layer.Layer<A | SampleSink, E>,
  ...batches: ReadonlyArray<ReadonlyArray<Sample>>
) => Effect.provide(writeAll(...batches), layer)

/** A run that begins and gets no sample. */
export const runWithoutSamples = <A, E>(layer: Layer.Layer<A | SampleSink, E>) =>
  Effect.provide(Effect.map(SampleSink, (sink) => sink.began()), layer)

export const nonEmpty = <A>(batch: ReadonlyArray<A>): readonly [A, ...ReadonlyArray<A>] => {
  const [first, ...others] = batch
  if (first === undefined) throw new Error("a batch has at least one sample")
  return [first, ...others]
}

/** Runs an effect; gives what it logged, each line after its level. */
export const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => lines.push(`${logLevel} ${String(message)}`))
  return Effect.as(Effect.provide(effect, Logger.layer([logger])), lines)
}
