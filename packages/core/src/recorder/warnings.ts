/**
 * The warnings of a recorder. Before the run: a rate that a bus cannot reach, and columns that mix units. During the run: devices
 * that start to fail, steps of the system clock, and skipped slots.
 */
import { Effect, type Scope } from "effect"
import { type Outage, Outages } from "../Outages.ts"
import type { PollResult, PollSource, Reading } from "../PollSource.ts"
import type { SkipCause } from "../RunEvent.ts"
import type { Run } from "../Sample.ts"
import { type ClockStep, current as currentClock } from "../SampleClock.ts"

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
    ).pipe(Effect.annotateLogs({ port: name }))
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

/** A function to call with the result of each poll. It gives the clock steps since the last call. */
export type WatchPoll = (result: PollResult) => Effect.Effect<ReadonlyArray<ClockStep>>

/** Warns of devices that start to fail, of fields that fail, and of clock steps. The scope ends with the run. */
export const watchPolls: Effect.Effect<WatchPoll, never, Scope.Scope> = Effect.gen(function*() {
  const clock = yield* currentClock
  const outages = new Outages()
  yield* Effect.addFinalizer(() =>
    Effect.forEach(outages.open, (outage) => outage.readings > 0 ? tellBack(outage) : Effect.void, { discard: true })
  )
  const failedFields = new Set<string>()
  let stepsSeen = clock.steps.length
  return Effect.fnUntraced(function*({ failures, readings }: PollResult) {
    if (failures.length > 0 || !outages.isEmpty) {
      yield* warnOfOutages(outages, { failures, readings }, clock.monotonicNanos())
    }
    for (const reading of readings) {
      if (reading.frame.fieldFailures !== undefined) yield* warnOfFields(failedFields, reading)
    }
    if (clock.steps.length === stepsSeen) return NO_STEPS
    const clockSteps = clock.steps.slice(stepsSeen)
    stepsSeen += clockSteps.length
    yield* warnOfSteps(clockSteps)
    return clockSteps
  })
})

const NO_STEPS: ReadonlyArray<ClockStep> = []

/** One line when a device starts to fail, one for each further reason, and one when it is back. */
const warnOfOutages = Effect.fnUntraced(function*(
  outages: Outages,
  { failures, readings }: PollResult,
  nowNanos: number
) {
  for (const failure of failures) {
    const { device, error } = failure
    const { patience, reasons } = outages.failed(failure, { at: failure.at, steady: nowNanos / 1000 })
    if (reasons.get(error.reason) !== 1) continue
    const until = patience === 0 ? "it answers again" : `it answers for ${patience / 1e6} s without one`
    yield* Effect.logWarning(`${error.message}; further failures are only counted until ${until}`).pipe(
      Effect.annotateLogs({ device })
    )
  }
  for (const { device, receivedAt, receivedMonotonicNanos, requestedAt, requestedMonotonicNanos } of readings) {
    const outage = outages.answered(
      device,
      { at: requestedAt, steady: requestedMonotonicNanos / 1000 },
      { at: receivedAt, steady: receivedMonotonicNanos / 1000 }
    )
    if (outage !== undefined) yield* tellBack(outage)
  }
})

const tellBack = ({ failures, first: { device } }: Outage) =>
  Effect.annotateLogs(
    Effect.logInfo(`${device}: answers again after ${failures} ${failures === 1 ? "failure" : "failures"}`),
    { device }
  )

/** One line for each field in a run. Noise may hit any of them, now and then. */
const warnOfFields = Effect.fnUntraced(function*(failed: Set<string>, { device, frame }: Reading) {
  for (const { detail, field } of frame.fieldFailures ?? []) {
    const name = `${device}: ${field}`
    if (failed.has(name)) continue
    failed.add(name)
    yield* Effect.logWarning(
      `${name} is null, the rest of the reading is kept: expected ${detail}; further ones are only counted`
    ).pipe(Effect.annotateLogs({ device, field }))
  }
})

const warnOfSteps = (steps: ReadonlyArray<ClockStep>) =>
  Effect.forEach(
    steps,
    ({ jumpMicros }) =>
      Effect.logWarning(`the system clock jumped by ${jumpMicros / 1_000_000} s; sample times follow it from now on`),
    { discard: true }
  )

/** What a tick took before slots were skipped, in nanoseconds. */
export interface TickTimes {
  /** From its target until it began. */
  readonly late: number
  readonly polling: number
  /** Waiting for room in the buffer. */
  readonly offering: number
}

/** Why slots were skipped after a tick. */
export const skipCauseOf = ({ late, offering, polling }: TickTimes, hasFailures: boolean): SkipCause => {
  if (offering >= polling && offering >= late) return "buffer"
  if (polling < late) return "machine"
  return hasFailures ? "poll" : "bus"
}

export interface Skip {
  /** All slots of the run so far. */
  readonly slots: number
  readonly skipped: number
  readonly cause: SkipCause
  /** How long the poll took, in nanoseconds. */
  readonly polling: number
}

/** Skipped slots are worth a warning above this share of all slots, and this number. */
const SKIPPED_SHARE = 0.01
const SKIPPED_LEAST = 3
/** The first repetition of the warning comes after this time. Each further one takes twice as long. */
const REPEAT_NANOS = 10e9

/** A function to call with each skip. It warns if more than 1 % of the slots are skipped, at growing intervals. */
export const watchSkips = Effect.fnUntraced(function*(periodNanos: number) {
  const clock = yield* currentClock
  const skippedBy = { poll: 0, bus: 0, buffer: 0, machine: 0 }
  let [skipped, longestPoll] = [0, 0]
  // The first polls of a program are slow.
  let warnAt = clock.monotonicNanos() + Math.max(1e9, 10 * periodNanos)
  let interval = REPEAT_NANOS
  return (skip: Skip): Effect.Effect<void> => {
    const { slots } = skip
    skipped += skip.skipped
    longestPoll = Math.max(longestPoll, skip.polling)
    skippedBy[skip.cause] += skip.skipped
    const now = clock.monotonicNanos()
    if (skipped < SKIPPED_LEAST || skipped <= SKIPPED_SHARE * slots || now < warnAt) return Effect.void
    warnAt = now + interval
    interval *= 2
    const took = `polls took up to ${millis(longestPoll)} ms, and a slot is ${millis(periodNanos)} ms`
    const causes = {
      machine: "this machine was busy or stood still; end other programs, or lower the rate",
      poll: `${took}, because devices did not answer; see to those devices, or lower the rate`,
      bus: `${took}; lower the rate, or put the devices on buses of their own`,
      buffer: "the outputs do not keep up, and the buffer is full; lower the rate, or use fewer or faster outputs"
    }
    const cause = (Object.keys(causes) as Array<SkipCause>).reduce((a, b) => skippedBy[b] > skippedBy[a] ? b : a)
    const percent = Number((100 * skipped / slots).toPrecision(2))
    return Effect.logWarning(`${skipped} of ${slots} slots were skipped (${percent} %): ${causes[cause]}`)
  }
})

const millis = (nanos: number): number => Number((nanos / 1e6).toPrecision(3))
