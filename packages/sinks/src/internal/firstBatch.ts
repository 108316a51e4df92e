/**
 * A first batch before there is one, made from the devices' formats. `check` gives it to the code that takes a real one.
 */
import { type Device, makeFrame, type Run, Sample } from "@sampleline/core"
import type { Array } from "effect"

/** One sample of each device, without values. Null if there are no devices, or if the format of one is not known yet. */
export const firstBatchOf = (
  devices: ReadonlyArray<Device> | undefined
): Array.NonEmptyReadonlyArray<Sample> | null => {
  const run: Run = { id: "", startedAt: 0, devices: devices ?? [] }
  const [first, ...others] = run.devices.flatMap((device) => device.format === null ? [] : [emptySample(run, device)])
  return first === undefined || others.length + 1 < run.devices.length ? null : [first, ...others]
}

const emptySample = (run: Run, { format, name, unitId }: Device): Sample =>
  new Sample({
    run,
    device: name,
    unitId,
    sequence: 0,
    requestedAt: 0,
    receivedAt: 0,
    requestedMonotonicNanos: 0,
    receivedMonotonicNanos: 0,
    frame: makeFrame(format!, [])
  })
