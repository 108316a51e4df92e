import { type Device, FrameFormat, type FrameValue, makeFrame, type Run, Sample } from "@sampleline/core"

const RUN: Run = { id: "019a0000-0000-7000-8000-000000000000", startedAt: 1_772_366_400_000_000, devices: [] }

export const flow = FrameFormat.fromRecord({ Mass_Flow: 0, Gas: "N2" })

export const sampleOf = (
  format: FrameFormat,
  values: ReadonlyArray<FrameValue>,
  n = 0,
  run = RUN,
  latencyMicros = 500
): Sample =>
  new Sample({
    run,
    device: "fuel",
    unitId: "A",
    sequence: n,
    requestedAt: run.startedAt + n * 1_000,
    receivedAt: run.startedAt + n * 1_000 + latencyMicros,
    requestedMonotonicNanos: n * 1_000_000,
    receivedMonotonicNanos: n * 1_000_000 + latencyMicros * 1_000,
    frame: makeFrame(format, values)
  })

export const samplesFrom = (start: number, count: number) =>
  Array.from({ length: count }, (_, n) => sampleOf(flow, [(start + n) / 4, "N2"], start + n))

/** A device as a source gives it before recording; null for a format that is not known yet. */
export const deviceOf = (format: FrameFormat | null, name = "fuel"): Device => ({
  name,
  unitId: "A",
  identity: null,
  format
})
