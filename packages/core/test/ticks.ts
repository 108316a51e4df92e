import { Array, Effect, Stream } from "effect"
import { FrameFormat } from "../src/Frame.ts"
import { type Run, Sample, type Tick } from "../src/Sample.ts"
import { SampleSink } from "../src/SampleSink.ts"

const run: Run = { id: "run", startedAt: 0, devices: [] }
const format = FrameFormat.fromRecord({ Value: 0 })

export const tick = (index: number, samples = 1): Tick => ({
  run,
  index,
  at: index * 1_000,
  driftMs: 0,
  skipped: 0,
  skipCause: null,
  dropped: 0,
  clockSteps: [],
  failures: [],
  thinned: [],
  droppedFailures: new Map(),
  isTrailer: false,
  samples: Array.makeBy(samples, (n) =>
    new Sample({
      run,
      device: "probe",
      unitId: "A",
      sequence: index * samples + n,
      requestedAt: 0,
      receivedAt: 0,
      requestedMonotonicNanos: 0,
      receivedMonotonicNanos: 0,
      frame: format.frame({ Value: index })
    })).slice(0, samples)
})

export const ticks = (count: number) => Stream.fromIterable(Array.makeBy(count, (index) => tick(index)))

/** A sink that keeps the sizes of its batches. */
export const batches = () => {
  const sizes: Array<number> = []
  return {
    sizes,
    layer: SampleSink.layer({ name: "sizes", write: (batch) => Effect.sync(() => sizes.push(batch.length)) })
  }
}

export const failing = (name: string, after = 0) => {
  let writes = 0
  return SampleSink.layer({
    name,
    write: () => Effect.suspend(() => writes++ < after ? Effect.void : Effect.fail("no more room"))
  })
}
