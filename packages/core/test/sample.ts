import { type FrameFormat, type FrameValue, makeFrame } from "../src/Frame.ts"
import { type Run, Sample } from "../src/Sample.ts"

/** A reading of one device. */
export const sample = (
  format: FrameFormat,
  values: ReadonlyArray<FrameValue>,
  status: ReadonlyArray<string> = [],
  run: Run = { id: "run-1", startedAt: 0, devices: [] }
) =>
  new Sample({
    run,
    device: "fuel",
    unitId: "A",
    sequence: 7,
    requestedAt: 1_772_366_400_000_123,
    receivedAt: 1_772_366_400_006_246,
    requestedMonotonicNanos: 1_000_000_000,
    receivedMonotonicNanos: 1_006_123_400,
    frame: makeFrame(format, values, status)
  })
