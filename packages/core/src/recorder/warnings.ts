/**
 * The warnings of a recorder. Before the run: a rate that a bus cannot reach, and columns that mix units. During the run: devices
 * that start to fail, and steps of the system clock.
 */
import { Effect, Metric } from "effect"
import * as Metrics from "../Metrics.ts"
import type { PollResult, PollSource, Reading } from "../PollSource.ts"
import type { DeviceFailure, Run } from "../Sample.ts"
import { type ClockStep, current as currentClock } from "../SampleClock.ts"
import type { DeviceError } from "../SourceError.ts"

/** Warns if a bus cannot be polled as often as asked. */
export const warnOfRate = (source: PollSource["Service"], names: ReadonlyArray<string>, periodNanos: number) =>
  Effect.forEach(source.buses ?? [], ({ name, roundTripSeconds }) => {
    const polled = names.filter((device) => roundTripSeconds.has(device))
    const seconds = polled.reduce((sum, device) => sum + roundTripSeconds.get(device)!, 0)
    const format = (value: number) => String(Number(value.toPrecision(3)))
    return seconds * 1e9 <= periodNanos ? Effect.void : Effect.logWarning(
      `${format(1e9 / periodNanos)} Hz is more than ${name} can do: polling ${polled.join(", ")} there takes ${
        format(seconds * 1000)
      } ms, which makes at most ${format(1 / seconds)} Hz; the recorder skips slots. Lower the rate`
    )
  }, { discard: true })

/** Warns if a column has values in different units. */
export const warnOfUnits = (run: Run) => {
  const devicesByUnit = new Map<string, Map<string, Array<string>>>()
  for (const device of run.devices) {
    for (const { kind, name, unit } of device.format?.fields ?? []) {
      if (kind === "text") continue
      const units = devicesByUnit.get(name) ?? new Map<string, Array<string>>()
      devicesByUnit.set(name, units)
      units.set(unit ?? "no unit", [...units.get(unit ?? "no unit") ?? [], device.name])
    }
  }
  return Effect.forEach(devicesByUnit, ([column, units]) =>
    units.size < 2 ? Effect.void : Effect.logWarning(
      `the column ${column} holds different units: ${
        [...units].map(([unit, devices]) => `${unit} of ${devices.join(", ")}`).join("; ")
      }`
    ), { discard: true })
}

/**
 * A function to call with the result of each poll. It warns of devices that start to fail and of clock steps, and gives the
 * clock steps since the last call.
 */
export const watchPolls = Effect.gen(function*() {
  const clock = yield* currentClock
  const failing: Failing = new Map()
  let stepsSeen = clock.steps.length
  return Effect.fnUntraced(function*({ failures, readings }: PollResult) {
    if (failures.length > 0 || failing.size > 0) yield* warnOfChanges(failing, readings, failures)
    if (clock.steps.length === stepsSeen) return NO_STEPS
    const clockSteps = clock.steps.slice(stepsSeen)
    stepsSeen += clockSteps.length
    yield* warnOfSteps(clockSteps)
    return clockSteps
  })
})

const NO_STEPS: ReadonlyArray<ClockStep> = []

/** Why each device has failed since its last reading. */
type Failing = Map<string, Set<DeviceError["reason"]>>

/** One line when a device starts to fail, one for each further reason, and one when it answers again. */
const warnOfChanges = Effect.fnUntraced(function*(
  failing: Failing,
  readings: ReadonlyArray<Reading>,
  failures: ReadonlyArray<DeviceFailure>
) {
  for (const { device, error } of failures) {
    yield* Metric.update(Metric.withAttributes(Metrics.deviceFailures, { device }), 1)
    const reasons = failing.get(device) ?? new Set()
    if (reasons.has(error.reason)) continue
    failing.set(device, reasons.add(error.reason))
    yield* Effect.logWarning(`${error.message}; further failures are only counted until it answers again`)
  }
  for (const { device } of readings) {
    if (failing.delete(device)) yield* Effect.logInfo(`${device}: answers again`)
  }
})

const warnOfSteps = (steps: ReadonlyArray<ClockStep>) =>
  Effect.forEach(
    steps,
    ({ jumpMicros }) =>
      Effect.logWarning(`the system clock jumped by ${jumpMicros / 1_000_000} s; sample times follow it from now on`),
    { discard: true }
  )
