/**
 * Writes samples of a recording through the pipeline under test.
 */
import { pipeToSink, type SampleSink } from "@sampleline/core"
import { Effect, type Layer } from "effect"
import { type Recording, ticksOf } from "./samples.ts"

export const write = (
  recording: Recording,
  samples: number,
  batchSize: number,
  layer: Layer.Layer<SampleSink, unknown>
) => ticksOf(recording, samples).pipe(pipeToSink({ batchSize }), Effect.provide(layer))
