/**
 * From a source to a stream of ticks, on an absolute grid: targets are `start + index * period` on the monotonic clock.
 *
 * No tick begins before its target. A poll that ends a whole period or more after the next target skips the missed slots
 * and counts them; one that is late by less begins the next tick at once. So the recorder neither drifts nor bunches up.
 */
import { Cause, Duration, Effect, Exit, Formatter, Metric, Option, Queue, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { EndSignal } from "./EndSignal.ts"
import { InvalidOptionError } from "./InvalidOptionError.ts"
import * as Metrics from "./Metrics.ts"
import { PollSource, type Reading } from "./PollSource.ts"
import { type DeviceFailure, type Run, Sample, type Tick } from "./Sample.ts"
import { type ClockStep, current as currentClock } from "./SampleClock.ts"

export { endWhen } from "./EndSignal.ts"

/**
 * What happens to a polled tick when the buffer is full: wait for room (the slots missed meanwhile are skipped), drop the
 * new tick, or drop the oldest one in the buffer. Whatever is skipped or dropped is counted.
 *
 * @since 0.1.0
 * @category options
 */
export type Overflow = "block" | "dropNewest" | "dropOldest"

/**
 * @since 0.1.0
 * @category options
 */
export interface RecordOptions {
  /** Ticks per second. Give this or `period`. */
  readonly rateHz?: number | undefined
  /** Time from one tick to the next. Give this or `rateHz`. */
  readonly period?: Duration.Input | undefined
  /** How long to record: `max(1, round(duration * rateHz))` slots. Default: until ended or interrupted. */
  readonly duration?: Duration.Input | undefined
  /** Names of the devices to poll. Default: all of the source's. */
  readonly devices?: ReadonlyArray<string> | undefined
  /** Default: `block`. */
  readonly overflow?: Overflow | undefined
  /** How many ticks may wait for the consumer. Default: 64. */
  readonly bufferSize?: number | undefined
  /** Begin ticks within microseconds of their targets, at the cost of CPU time. Default: false. */
  readonly precise?: boolean | undefined
}

/** How long a poll that is under way may go on after the run was ended. */
const POLL_GRACE = "1 second"

/**
 * Polls the source on the grid and emits a tick for each poll. Nothing is polled before the stream runs.
 *
 * @since 0.1.0
 * @category constructors
 */
export const record = (options: RecordOptions): Stream.Stream<Tick, InvalidOptionError, PollSource> =>
  Stream.unwrap(
    Effect.gen(function*() {
      const source = yield* PollSource
      const plan = yield* validate(options, source.devices.map((device) => device.name))
      const buffer = yield* Queue.make<PolledTick, Cause.Done>({ capacity: plan.bufferSize })
      const ledger: Ledger = {
        droppedOldest: 0,
        droppedNewest: 0,
        droppedFailures: new Map(),
        droppedSteps: [],
        nextIndex: 0,
        waiting: 0
      }
      const run = yield* startRun(plan.names)
      yield* warnOfUnits(run)
      const ending = yield* EndSignal
      yield* ending.observe(() => ledger.waiting)
      yield* pollLoop(plan, buffer, ledger).pipe(
        Effect.onExit((exit) =>
          Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
            ? Queue.failCause(buffer, exit.cause)
            : Queue.end(buffer)
        ),
        Effect.forkScoped({ startImmediately: true })
      )
      return deliver(Stream.fromQueue(buffer), run, ledger)
    }).pipe(Effect.withSpan("sampleline.record"))
  )

/** A tick as it waits in the buffer: without sequence numbers, which only delivered samples get. */
interface PolledTick {
  readonly index: number
  readonly driftMs: number
  readonly clockSteps: ReadonlyArray<ClockStep>
  /** Ticks that `dropNewest` dropped since the tick before this one in the buffer. */
  readonly droppedBefore: number
  readonly readings: ReadonlyArray<Reading>
  readonly failures: ReadonlyArray<DeviceFailure>
}

/** What no tick in the buffer tells yet. Skipped slots need no count: they are the gaps in the indexes that no drop explains. */
interface Ledger {
  /** Dropped from the front of the buffer: they belong to the next tick that is delivered. */
  droppedOldest: number
  /** Dropped behind the buffer: they belong to the next tick that gets in. */
  droppedNewest: number
  /** What dropped ticks had to tell beside their samples. */
  droppedFailures: Map<string, number>
  droppedSteps: Array<ClockStep>
  /** The slot after the last one that was polled or skipped. */
  nextIndex: number
  /** Samples polled and not delivered yet. */
  waiting: number
}

interface Plan {
  readonly periodNanos: number
  readonly slots: number
  readonly names: ReadonlyArray<string>
  readonly overflow: Overflow
  readonly bufferSize: number
  readonly precise: boolean
}

const startRun = Effect.fnUntraced(function*(names: ReadonlyArray<string>): Effect.fn.Return<Run, never, PollSource> {
  const source = yield* PollSource
  const clock = yield* currentClock
  return {
    id: SecureRandom.uuidV7Unsafe(),
    startedAt: clock.epochMicros(),
    devices: source.devices.filter((device) => names.includes(device.name))
  }
})

/** A column holds numbers of all its devices: where their units differ, someone will compare what cannot be compared. */
const warnOfUnits = (run: Run) => {
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

const pollLoop = Effect.fnUntraced(function*(
  plan: Plan,
  buffer: Queue.Queue<PolledTick, Cause.Done>,
  ledger: Ledger
): Effect.fn.Return<void, never, PollSource> {
  const source = yield* PollSource
  const clock = yield* currentClock
  const ending = yield* EndSignal
  const poll = Effect.withSpan(source.poll(plan.names), "sampleline.poll")
  const graceOver = Effect.andThen(ending.await, Effect.sleep(POLL_GRACE))
  const failing = new Set<string>()
  const start = clock.monotonicNanos()
  const targetOf = (index: number) => Math.floor(start + index * plan.periodNanos)
  let stepsSeen = clock.steps.length
  let index = 0

  while (index < plan.slots) {
    const target = targetOf(index)
    if (clock.monotonicNanos() < target) {
      yield* Effect.raceFirst(clock.waitUntil(target, plan.precise), ending.await)
    }
    if (ending.isEnded()) return
    const driftMs = (clock.monotonicNanos() - target) / 1_000_000
    const result = yield* Effect.raceFirst(poll, Effect.as(graceOver, null))
    if (result === null) {
      ledger.nextIndex = index + 1
      return
    }
    const { failures, readings } = result
    const clockSteps = clock.steps.slice(stepsSeen)
    stepsSeen += clockSteps.length
    if (clockSteps.length > 0) yield* warnOfSteps(clockSteps)
    if (failures.length > 0 || failing.size > 0) yield* tellChanges(failing, readings, failures)

    const droppedBefore = ledger.droppedNewest
    ledger.droppedNewest = 0
    yield* enqueue(buffer, { index, driftMs, clockSteps, droppedBefore, readings, failures }, plan.overflow, ledger)

    const lateNanos = clock.monotonicNanos() - targetOf(index + 1)
    const skipped = lateNanos < plan.periodNanos ? 0 : Math.ceil(lateNanos / plan.periodNanos)
    const next = Math.min(plan.slots, index + 1 + skipped)
    if (next > index + 1) yield* Metric.update(Metrics.ticksSkipped, next - index - 1)
    index = next
    ledger.nextIndex = next
  }
})

const enqueue = (
  buffer: Queue.Queue<PolledTick, Cause.Done>,
  tick: PolledTick,
  overflow: Overflow,
  ledger: Ledger
): Effect.Effect<unknown> => {
  ledger.waiting += tick.readings.length
  if (overflow === "block" || !Queue.isFullUnsafe(buffer)) return Queue.offer(buffer, tick)
  if (overflow === "dropNewest") {
    ledger.droppedNewest = tick.droppedBefore + 1
    forget(tick, ledger)
  } else {
    const oldest = Queue.takeUnsafe(buffer)
    if (oldest !== undefined && Exit.isSuccess(oldest)) {
      ledger.droppedOldest += oldest.value.droppedBefore + 1
      forget(oldest.value, ledger)
    }
    Queue.offerUnsafe(buffer, tick)
  }
  return Metric.update(Metrics.ticksDropped, 1)
}

/** Keeps of a dropped tick what must be counted all the same. */
const forget = (tick: PolledTick, ledger: Ledger): void => {
  ledger.waiting -= tick.readings.length
  ledger.droppedSteps.push(...tick.clockSteps)
  for (const { device } of tick.failures) {
    ledger.droppedFailures.set(device, (ledger.droppedFailures.get(device) ?? 0) + 1)
  }
}

/** Gives delivered samples their sequence, delivered ticks the losses before them, and what is left over to a trailer. */
const deliver = <E>(polled: Stream.Stream<PolledTick, E>, run: Run, ledger: Ledger): Stream.Stream<Tick, E> => {
  let sequence = 0
  let lastIndex = -1
  const lossesBefore = (index: number, droppedBefore: number) => {
    const dropped = ledger.droppedOldest + droppedBefore
    const skipped = index - lastIndex - 1 - dropped
    const { droppedFailures, droppedSteps } = ledger
    ledger.droppedOldest = 0
    ledger.droppedFailures = new Map()
    ledger.droppedSteps = []
    lastIndex = index
    return { skipped, dropped, droppedFailures, droppedSteps }
  }
  const toTick = ({ clockSteps, driftMs, droppedBefore, failures, index, readings }: PolledTick): Tick => {
    ledger.waiting -= readings.length
    const { droppedSteps, ...losses } = lossesBefore(index, droppedBefore)
    return {
      run,
      index,
      driftMs,
      ...losses,
      clockSteps: droppedSteps.length === 0 ? clockSteps : [...droppedSteps, ...clockSteps],
      samples: readings.map((reading) => new Sample({ ...reading, run, sequence: sequence++ })),
      failures,
      isTrailer: false
    }
  }
  const trailer = Stream.suspend(() => {
    const index = ledger.nextIndex
    const { droppedSteps, ...losses } = lossesBefore(index, ledger.droppedNewest)
    return losses.skipped + losses.dropped === 0
      ? Stream.empty
      : Stream.succeed<Tick>({
        run,
        index,
        driftMs: 0,
        ...losses,
        clockSteps: droppedSteps,
        samples: [],
        failures: [],
        isTrailer: true
      })
  })
  return Stream.concat(Stream.map(polled, toTick), trailer)
}

const warnOfSteps = (steps: ReadonlyArray<ClockStep>) =>
  Effect.forEach(
    steps,
    (step) =>
      Effect.logWarning(
        `the system clock jumped by ${step.jumpMicros / 1_000_000} s; sample times follow it from here`
      ),
    {
      discard: true
    }
  )

/** One line when a device starts failing and one when it is back. */
const tellChanges = Effect.fnUntraced(function*(
  failing: Set<string>,
  readings: ReadonlyArray<Reading>,
  failures: ReadonlyArray<DeviceFailure>
) {
  for (const { device, error } of failures) {
    yield* Metric.update(Metric.withAttributes(Metrics.deviceFailures, { device }), 1)
    if (failing.has(device)) continue
    failing.add(device)
    yield* Effect.logWarning(`${error.message}; counting its failures until it answers again`)
  }
  for (const { device } of readings) {
    if (failing.delete(device)) yield* Effect.logWarning(`${device}: answers again`)
  }
})

const validate = Effect.fnUntraced(function*(
  options: RecordOptions,
  known: ReadonlyArray<string>
): Effect.fn.Return<Plan, InvalidOptionError> {
  const refuse = (option: string, value: unknown, expected: string) =>
    Effect.fail(new InvalidOptionError({ option, value: Formatter.format(value), expected }))

  if ((options.rateHz === undefined) === (options.period === undefined)) {
    return yield* refuse("rateHz", options.rateHz, "either rateHz or period, not both")
  }
  if (options.rateHz !== undefined && !isPositive(options.rateHz)) {
    return yield* refuse("rateHz", options.rateHz, "a finite number of ticks per second above 0")
  }
  const periodNanos = options.rateHz !== undefined ? 1e9 / options.rateHz : millisOf(options.period!) * 1e6
  if (!isPositive(periodNanos)) {
    return yield* refuse("period", options.period, "a finite time above 0, such as \"100 millis\"")
  }
  const durationMillis = options.duration === undefined ? undefined : millisOf(options.duration)
  if (durationMillis !== undefined && !isPositive(durationMillis)) {
    return yield* refuse("duration", options.duration, "a finite time above 0, such as \"60 seconds\"")
  }
  const bufferSize = options.bufferSize ?? 64
  if (!Number.isSafeInteger(bufferSize) || bufferSize < 1) {
    return yield* refuse("bufferSize", bufferSize, "a whole number of ticks above 0")
  }
  const overflow = options.overflow ?? "block"
  if (!["block", "dropNewest", "dropOldest"].includes(overflow)) {
    return yield* refuse("overflow", overflow, "block, dropNewest or dropOldest")
  }
  const names = [...new Set(options.devices ?? known)]
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    return yield* refuse("devices", unknown, `names of the source's devices: ${known.join(", ")}`)
  }
  return {
    periodNanos,
    slots: durationMillis === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(1, Math.round(durationMillis * 1e6 / periodNanos)),
    names,
    overflow,
    bufferSize,
    precise: options.precise ?? false
  }
})

const isPositive = (value: number) => Number.isFinite(value) && value > 0

const millisOf = (input: Duration.Input): number =>
  Option.match(Duration.fromInput(input), { onNone: () => Number.NaN, onSome: Duration.toMillis })
