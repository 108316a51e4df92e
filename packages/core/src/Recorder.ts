/**
 * From a source to a stream of ticks, on an absolute grid: targets are `start + index * period` on the monotonic clock.
 *
 * No tick begins before its target. A poll that ends a whole period or more after the next target skips the missed slots
 * and counts them; one that is late by less begins the next tick at once. So the recorder neither drifts nor bunches up.
 */
import { Cause, Duration, Effect, Exit, Formatter, Metric, Option, Queue, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { EndSignal } from "./EndSignal.ts"
import { spanned } from "./internal/tracing.ts"
import { InvalidOptionError } from "./InvalidOptionError.ts"
import * as Metrics from "./Metrics.ts"
import { type PollResult, PollSource, type Reading } from "./PollSource.ts"
import { type Device, type DeviceFailure, type Run, Sample, type Tick } from "./Sample.ts"
import { type ClockStep, current as currentClock } from "./SampleClock.ts"
import type { DeviceError } from "./SourceError.ts"

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
      yield* warnOfRate(source, plan)
      const devices = source.devices.filter((device) => plan.names.includes(device.name))
      return yield* produce(devices, plan, (ledger, offer) =>
        Effect.flatMap(EndSignal, (ending) =>
          Effect.raceFirst(pollLoop(plan, ledger, offer), timeToStop(ledger, ending.await))))
    }).pipe(spanned("sampleline.record"))
  )

/**
 * @since 0.1.0
 * @category options
 */
export interface PushedOptions {
  /** The devices that the readings are of. */
  readonly devices: ReadonlyArray<Device>
  /** How long to record. Default: until ended or interrupted. */
  readonly duration?: Duration.Input | undefined
  /** Default: `block`: readings wait, in memory, however many there are. */
  readonly overflow?: Overflow | undefined
  /** How many readings may wait for the consumer. Default: 64. */
  readonly bufferSize?: number | undefined
}

/**
 * Records what devices send by themselves: a tick for each reading and each failure, without a grid.
 *
 * @since 0.1.0
 * @category constructors
 */
export const recordPushed = <E, R>(
  outcomes: Stream.Stream<Reading | DeviceFailure, E, R>,
  options: PushedOptions
): Stream.Stream<Tick, E | InvalidOptionError, R> =>
  Stream.unwrap(
    Effect.gen(function*() {
      const { durationMillis, ...buffering } = yield* validateBuffer(options)
      const over = durationMillis === undefined ? Effect.never : Effect.sleep(Duration.millis(durationMillis))
      return yield* produce(options.devices, buffering, (ledger, offer) =>
        Effect.gen(function*() {
          const ending = yield* EndSignal
          const observe = yield* observer
          // Devices do not wait: what they send is taken from them at once. When the run ends they are stopped, and what was taken
          // is delivered.
          const taken = yield* Queue.unbounded<Reading | DeviceFailure, E | Cause.Done>()
          yield* ending.observe(() => Queue.sizeUnsafe(taken))
          yield* Stream.runForEach(outcomes, (outcome) => Queue.offer(taken, outcome)).pipe(
            Effect.raceFirst(Effect.raceFirst(over, ending.await)),
            Effect.onExit((exit) => Exit.isFailure(exit) ? Queue.failCause(taken, exit.cause) : Queue.end(taken)),
            Effect.forkScoped({ startImmediately: true })
          )
          yield* Stream.runForEach(
            Stream.fromQueue(taken),
            Effect.fnUntraced(function*(outcome) {
              const result = "error" in outcome
                ? { readings: [], failures: [outcome] }
                : { readings: [outcome], failures: [] }
              const clockSteps = yield* observe(result)
              yield* offer({ index: ledger.nextIndex++, driftMs: 0, clockSteps, ...result })
            })
          )
        }))
    }).pipe(spanned("sampleline.recordPushed"))
  )

/** Puts a tick into the buffer, as the overflow policy has it. */
type Offer = (tick: Omit<PolledTick, "droppedBefore">) => Effect.Effect<unknown>

/** Runs `fill` beside the stream of what it puts into the buffer. */
const produce = Effect.fnUntraced(function*<E, R>(
  devices: ReadonlyArray<Device>,
  { bufferSize, overflow }: { readonly bufferSize: number; readonly overflow: Overflow },
  fill: (ledger: Ledger, offer: Offer) => Effect.Effect<void, E, R>
) {
  const buffer = yield* Queue.make<PolledTick, E | Cause.Done>({ capacity: bufferSize })
  const ledger: Ledger = {
    droppedOldest: 0,
    droppedNewest: 0,
    droppedFailures: new Map(),
    droppedSteps: [],
    nextIndex: 0,
    waiting: 0,
    state: "idle"
  }
  const run = yield* startRun(devices)
  yield* warnOfUnits(run)
  const ending = yield* EndSignal
  yield* ending.observe(() => ledger.waiting)
  yield* fill(ledger, (tick) => enqueue(buffer, tick, overflow, ledger)).pipe(
    Effect.onExit((exit) =>
      Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
        ? Queue.failCause(buffer, exit.cause)
        : Queue.end(buffer)
    ),
    Effect.forkScoped({ startImmediately: true })
  )
  return deliver(Stream.fromQueue(buffer), run, ledger)
})

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
  /** What the poll loop is about. */
  state: "idle" | "polling" | "offering"
}

interface Plan {
  readonly periodNanos: number
  readonly slots: number
  readonly names: ReadonlyArray<string>
  readonly overflow: Overflow
  readonly bufferSize: number
  readonly precise: boolean
}

const startRun = Effect.fnUntraced(function*(devices: ReadonlyArray<Device>): Effect.fn.Return<Run> {
  const clock = yield* currentClock
  return { id: SecureRandom.uuidV7Unsafe(), startedAt: clock.epochMicros(), devices }
})

/** Says so before the first tick if a bus cannot be polled as often as asked. */
const warnOfRate = (source: PollSource["Service"], plan: Plan) =>
  Effect.forEach(source.buses ?? [], ({ name, roundTripSeconds }) => {
    const polled = plan.names.filter((device) => roundTripSeconds.has(device))
    const seconds = polled.reduce((sum, device) => sum + roundTripSeconds.get(device)!, 0)
    const format = (value: number) => String(Number(value.toPrecision(3)))
    return seconds * 1e9 <= plan.periodNanos ? Effect.void : Effect.logWarning(
      `${format(1e9 / plan.periodNanos)} Hz is more than ${name} can do: polling ${polled.join(", ")} there takes ${
        format(seconds * 1000)
      } ms, which makes at most ${format(1 / seconds)} Hz; the slots between are skipped`
    )
  }, { discard: true })

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

/** Looks at what each poll gave: tells when a device starts failing or is back, and gives the steps of the clock since the last. */
const observer = Effect.gen(function*() {
  const clock = yield* currentClock
  const failing: Failing = new Map()
  let stepsSeen = clock.steps.length
  return Effect.fnUntraced(function*({ failures, readings }: PollResult) {
    if (failures.length > 0 || failing.size > 0) yield* tellChanges(failing, readings, failures)
    if (clock.steps.length === stepsSeen) return []
    const clockSteps = clock.steps.slice(stepsSeen)
    stepsSeen += clockSteps.length
    yield* warnOfSteps(clockSteps)
    return clockSteps
  })
})

const pollLoop = Effect.fnUntraced(function*(
  plan: Plan,
  ledger: Ledger,
  offer: Offer
): Effect.fn.Return<void, never, PollSource> {
  const source = yield* PollSource
  const clock = yield* currentClock
  const ending = yield* EndSignal
  const poll = spanned("sampleline.poll")(source.poll(plan.names))
  const observe = yield* observer
  const start = clock.monotonicNanos()
  const targetOf = (index: number) => Math.floor(start + index * plan.periodNanos)
  let index = 0

  while (index < plan.slots) {
    const target = targetOf(index)
    ledger.state = "idle"
    if (!ending.isEnded() && clock.monotonicNanos() < target) yield* clock.waitUntil(target, plan.precise)
    if (ending.isEnded()) return
    const driftMs = (clock.monotonicNanos() - target) / 1_000_000
    ledger.state = "polling"
    ledger.nextIndex = index + 1
    const result = yield* poll
    ledger.state = "offering"
    const clockSteps = yield* observe(result)
    yield* offer({ index, driftMs, clockSteps, ...result })

    const lateNanos = clock.monotonicNanos() - targetOf(index + 1)
    const skipped = lateNanos < plan.periodNanos ? 0 : Math.ceil(lateNanos / plan.periodNanos)
    const next = Math.min(plan.slots, index + 1 + skipped)
    if (next > index + 1) yield* Metric.update(Metrics.ticksSkipped, next - index - 1)
    index = next
    ledger.nextIndex = next
  }
})

/** Returns when the run has ended and the recording may be cut off: at once while it waits, after a grace while it polls. */
const timeToStop = Effect.fnUntraced(function*(ledger: Ledger, ended: Effect.Effect<void>) {
  yield* ended
  const polled = ledger.nextIndex
  if (ledger.state === "polling") yield* Effect.sleep(POLL_GRACE)
  // A tick that was polled is delivered, however long that takes; the recording then ends by itself.
  if (ledger.state === "offering" || ledger.nextIndex !== polled) return yield* Effect.never
})

const enqueue = <E>(
  buffer: Queue.Queue<PolledTick, E | Cause.Done>,
  polled: Omit<PolledTick, "droppedBefore">,
  overflow: Overflow,
  ledger: Ledger
): Effect.Effect<unknown> => {
  const tick = { ...polled, droppedBefore: ledger.droppedNewest }
  ledger.droppedNewest = 0
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

const NO_FAILURES: ReadonlyMap<string, number> = new Map()

/** Gives delivered samples their sequence, delivered ticks the losses before them, and what is left over to a trailer. */
const deliver = <E>(polled: Stream.Stream<PolledTick, E>, run: Run, ledger: Ledger): Stream.Stream<Tick, E> => {
  let sequence = 0
  let lastIndex = -1
  const lossesBefore = (index: number, droppedBefore: number) => {
    const dropped = ledger.droppedOldest + droppedBefore
    const skipped = index - lastIndex - 1 - dropped
    const { droppedFailures, droppedSteps } = ledger
    ledger.droppedOldest = 0
    if (droppedFailures.size > 0) ledger.droppedFailures = new Map()
    if (droppedSteps.length > 0) ledger.droppedSteps = []
    lastIndex = index
    return {
      skipped,
      dropped,
      droppedFailures: droppedFailures.size === 0 ? NO_FAILURES : droppedFailures,
      droppedSteps
    }
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

/** What a device has failed with since its last reading. */
type Failing = Map<string, Set<DeviceError["reason"]>>

/** One line when a device starts failing, one for each further reason, and one when it is back. */
const tellChanges = Effect.fnUntraced(function*(
  failing: Failing,
  readings: ReadonlyArray<Reading>,
  failures: ReadonlyArray<DeviceFailure>
) {
  for (const { device, error } of failures) {
    yield* Metric.update(Metric.withAttributes(Metrics.deviceFailures, { device }), 1)
    const reasons = failing.get(device) ?? new Set()
    if (reasons.has(error.reason)) continue
    failing.set(device, reasons.add(error.reason))
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
  const { bufferSize, durationMillis, overflow } = yield* validateBuffer(options)
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

const validateBuffer = Effect.fnUntraced(function*(
  options: Pick<RecordOptions, "duration" | "overflow" | "bufferSize">
) {
  const refuse = (option: string, value: unknown, expected: string) =>
    Effect.fail(new InvalidOptionError({ option, value: Formatter.format(value), expected }))
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
  return { bufferSize, durationMillis, overflow }
})

const isPositive = (value: number) => Number.isFinite(value) && value > 0

const millisOf = (input: Duration.Input): number =>
  Option.match(Duration.fromInput(input), { onNone: () => Number.NaN, onSome: Duration.toMillis })
