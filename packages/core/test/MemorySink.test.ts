import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { eventToRow } from "../src/EventRow.ts"
import { MemorySink } from "../src/MemorySink.ts"
import { sampleToRow } from "../src/Row.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { conformance } from "../src/testing.ts"

describe("MemorySink", () => {
  const fresh = Effect.sync(() => {
    const opened: Array<MemorySink["Service"]> = []
    return {
      layer: Layer.effect(SampleSink, Effect.tap(MemorySink.make, (sink) => Effect.sync(() => opened.push(sink)))),
      read: () => Effect.sync(() => opened.flatMap((sink) => sink.samples.map((sample) => sampleToRow(sample)))),
      readEvents: Effect.sync(() => opened.flatMap((sink) => sink.events.map(eventToRow))),
      locked: false,
      emptyIsNull: false,
      keeps: () => true
    }
  })
  for (const { check, promise } of conformance(fresh)) it.effect(promise, () => check)
})
