import { Effect } from "effect"
import { FrameFormat, type FrameRecord } from "../src/Frame.ts"
import { PollSource } from "../src/PollSource.ts"
import { current as currentClock } from "../src/SampleClock.ts"

/** A source whose polls take the given times (in ms) in turn, then none; records when each began. */
export const timedSource = (takes: ReadonlyArray<number> = []) => {
  const begins: Array<number> = []
  const format = FrameFormat.fromRecord({ Value: 0 })
  const layer = PollSource.layer({
    devices: { probe: { unitId: "A", format } },
    poll: () =>
      Effect.gen(function*() {
        const clock = yield* currentClock
        const n = begins.push(clock.monotonicNanos() / 1_000_000) - 1
        yield* Effect.sleep(takes[n] ?? 0)
        return { Value: n } satisfies FrameRecord
      })
  })
  return { begins, layer }
}
