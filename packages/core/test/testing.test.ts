import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { MemorySink } from "../src/MemorySink.ts"
import { sampleToRow } from "../src/Row.ts"
import type { Sample } from "../src/Sample.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { conformance, ConformanceError } from "../src/testing.ts"

/** A memory sink whose samples are changed on their way to the reader. */
const spoiled = (spoil: (samples: ReadonlyArray<Sample>) => ReadonlyArray<Sample>) =>
  Effect.sync(() => {
    const opened: Array<MemorySink["Service"]> = []
    return {
      layer: Layer.effect(SampleSink, Effect.tap(MemorySink.make, (sink) => Effect.sync(() => opened.push(sink)))),
      read: () => Effect.sync(() => spoil(opened.flatMap((sink) => sink.samples)).map((sample) => sampleToRow(sample))),
      locked: false,
      emptyIsNull: false
    }
  })

describe("conformance", () => {
  it.effect.each<readonly [string, (samples: ReadonlyArray<Sample>) => ReadonlyArray<Sample>]>([
    ["loses the last sample", (samples) => samples.slice(0, -1)],
    ["stores a sample twice", (samples) => [...samples, ...samples.slice(-1)]],
    ["stores samples out of order", (samples) => samples.toReversed()]
  ])("finds a sink that %s", ([, spoil]) =>
    Effect.gen(function*() {
      const [first] = conformance(spoiled(spoil))
      const error = yield* Effect.flip(first!.check)
      assert.instanceOf(error, ConformanceError)
      assert.include(String(error), "writes each sample once, in order, across batches")
    }))
})
