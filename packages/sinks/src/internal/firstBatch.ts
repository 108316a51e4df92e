/**
 * A first batch before there is one, made from the devices' formats. `check` gives it to the code that takes a real one.
 */
import { type Device, type Run, Sample } from "@sampleline/core"
import type { Array } from "effect"

/** One sample of each device, without values. Null if there are no devices, or if the format of one is not known yet. */
export const firstBatchOf = (
  devices: ReadonlyArray<Device> | undefined
): Array.NonEmptyReadonlyArray<Sample> | null => {
  const run: Run = { id: "", startedAt: 0, devices: devices ?? [] }
  const [first, ...others] = run.devices.flatMap(({ format, name, unitId }) =>
    format === null ? [] : [Sample.blank(run, { device: name, unitId, format })]
  )
  return first === undefined || others.length + 1 < run.devices.length ? null : [first, ...others]
}
