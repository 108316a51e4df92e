/**
 * One port and the devices on it, polled one after the other. A device with an outstanding reply is resynchronised in the
 * background, so that the others are polled on time.
 */
import {
  type Device,
  DeviceError,
  type PollBus,
  type Reading,
  SampleClock,
  type SourceDependencyError,
  type SourceOpenError
} from "@sampleline/core"
import { Array, Deferred, Duration, Effect, Exit, Option, Schedule, Scope, type Stream } from "effect"
import { AGAIN_SHARED, BusConnection, type ConnectionOptions } from "./BusConnection.ts"
import { ColumnChecks } from "./ColumnChecks.ts"
import { DeviceSlot } from "./DeviceSlot.ts"
import { askReading, type OpenDevice } from "./OpenDevice.ts"
import { failureOf, type Outcome, toDeviceError } from "./Outcome.ts"
import type { PortPlan } from "./Plan.ts"
import type { Port } from "./Port.ts"
import { pushedReadings } from "./PushedReadings.ts"
import type { RequestError } from "./RequestError.ts"

/** How often a device with an outstanding reply is asked to resynchronise. */
const RESYNCHRONISE_AGAIN = Schedule.spaced("100 millis")
/** With `allowMissing`, how long opening waits for what is missing. */
const MISSING_PATIENCE = "3 seconds"
/** How often each device is polled to measure its round trip. */
const ROUND_TRIPS = 3

/** Opens the port and finds the devices; the scope closes it. */
export const openBus = Effect.fnUntraced(function*(
  plan: PortPlan,
  options: ConnectionOptions
): Effect.fn.Return<Bus, SourceOpenError | SourceDependencyError, Scope.Scope> {
  const slots = plan.units.map((unit) => new DeviceSlot(unit, plan.given))
  const scope = yield* Scope.Scope
  const columnChecks = new ColumnChecks(slots, yield* SampleClock.current, scope)
  const connection = new BusConnection(plan, slots, columnChecks, options)
  yield* Effect.addFinalizer(() => connection.close)
  const bus = new Bus(plan.given, slots, options.timeout, columnChecks, scope)
  const open = Effect.tap(connection.open, () => bus.measureRoundTrips)
  if (options.allowMissing) yield* openMissing(plan.given, open, connection)
  else yield* Effect.forkScoped(connection.keepOpen(yield* open))
  return bus
}, (opening, { given }) => Effect.annotateLogs(opening, { port: given }))

/** Opens the port, polls each device once and closes the port. A device that cannot be opened is a failure. */
export const pollOnce = Effect.fnUntraced(function*(plan: PortPlan, timeout: Duration.Duration) {
  const slots = plan.units.map((unit) => new DeviceSlot(unit, plan.given))
  const scope = yield* Scope.Scope
  const columnChecks = new ColumnChecks(slots, yield* SampleClock.current, scope)
  const connection = new BusConnection(plan, slots, columnChecks, { timeout, allowMissing: true })
  yield* Effect.addFinalizer(() => connection.close)
  const bus = new Bus(plan.given, slots, timeout, columnChecks, scope)
  // Why it could not be opened is in the slots.
  yield* Effect.ignore(Effect.annotateLogs(connection.open, { port: plan.given }))
  return { outcomes: yield* bus.poll(new Set(plan.units.map(({ name }) => name))), devices: bus.devices }
}, Effect.scoped)

/** Opens in the background, and waits for it a while. Missing devices are recorded as soon as they are there. */
const openMissing = Effect.fnUntraced(function*(
  name: string,
  open: Effect.Effect<Port, SourceOpenError | SourceDependencyError>,
  connection: BusConnection
): Effect.fn.Return<void, SourceDependencyError, Scope.Scope> {
  const tried = yield* Deferred.make<void, SourceDependencyError>()
  yield* open.pipe(
    Effect.catchTag(
      "SourceOpenError",
      (error) => Effect.as(Effect.logWarning(`${error.message}; going on without it until it is there`), null)
    ),
    Effect.onExit((exit) => Deferred.done(tried, Exit.asVoid(exit))),
    Effect.andThen(connection.keepOpen),
    Effect.forkScoped
  )
  const inTime = yield* Effect.timeoutOption(Deferred.await(tried), MISSING_PATIENCE)
  if (Option.isNone(inTime)) yield* Effect.logWarning(`${name} is still being opened; going on without it`)
})

export class Bus {
  readonly name: string
  private readonly slots: ReadonlyArray<DeviceSlot>
  private readonly timeout: Duration.Duration
  private readonly scope: Scope.Scope
  private readonly roundTripSeconds = new Map<string, number>()
  private readonly columnChecks: ColumnChecks
  /** Devices that are being resynchronised. */
  private readonly resynchronising = new Set<OpenDevice>()

  /** Work in the background goes on until the scope ends. */
  constructor(
    name: string,
    slots: ReadonlyArray<DeviceSlot>,
    timeout: Duration.Duration,
    columnChecks: ColumnChecks,
    scope: Scope.Scope
  ) {
    this.name = name
    this.slots = slots
    this.timeout = timeout
    this.columnChecks = columnChecks
    this.scope = scope
  }

  /** What is known of the devices now. */
  get devices(): ReadonlyArray<Device> {
    return this.slots.map(({ device }) => device)
  }

  /** How long the devices took to answer when the port was opened. */
  get timing(): PollBus {
    return { name: this.name, roundTripSeconds: this.roundTripSeconds }
  }

  has(name: string): boolean {
    return this.slots.some(({ unit }) => unit.name === name)
  }

  /** One try at each of these devices; never fails. The time until the next poll is used to check their columns. */
  poll(names: ReadonlySet<string>, nextPollAtNanos?: number): Effect.Effect<ReadonlyArray<Outcome>> {
    const outcomes = Effect.forEach(
      this.slots.filter(({ unit }) => names.has(unit.name)),
      (slot) => slot.found instanceof DeviceError ? failureOf(slot.found) : this.pollDevice(slot, slot.found)
    )
    return Effect.tap(outcomes, () => this.columnChecks.polled(nextPollAtNanos))
  }

  /** What a device sends by itself, and its failures. No other request can be sent on the port then. */
  pushed(name: string, intervalMillis: number | undefined): Stream.Stream<Outcome, DeviceError> {
    const slot = this.slots.find(({ unit }) => unit.name === name)!
    return pushedReadings(slot, intervalMillis)
  }

  /** Takes the shortest of a few round trips: this machine may have been busy during the others. */
  get measureRoundTrips(): Effect.Effect<void> {
    return Effect.forEach(
      this.slots.flatMap(({ found }) => found instanceof DeviceError ? [] : [found]),
      Effect.fnUntraced({ self: this }, function*(opened: OpenDevice) {
        const asks = Effect.forEach(Array.range(1, ROUND_TRIPS), () => askReading(opened))
        const replies = yield* Effect.orElseSucceed(asks, () => [])
        const nanos = replies.map((reply) => reply.receivedMonotonicNanos - reply.requestedMonotonicNanos)
        if (nanos.length > 0) this.roundTripSeconds.set(opened.device.name, Math.min(...nanos) / 1e9)
      }),
      { discard: true }
    )
  }

  private pollDevice(slot: DeviceSlot, opened: OpenDevice): Effect.Effect<Outcome> {
    const { device, port } = opened
    if (port.hasOutstandingLine(device.unitId)) {
      port.gaveFailure()
      return Effect.andThen(this.resynchronise(slot, opened), failureOf(this.noReplySince(device.name)))
    }
    if (this.columnChecks.isAsking(opened)) return failureOf(columnsAsked(device.name))
    if (port.isSendingTable(device.unitId)) return failureOf(sendsColumns(device.name))
    return Effect.matchEffect(askReading(opened), {
      onSuccess: ({ value: frame, ...times }) => {
        port.gaveReading()
        const reading: Reading = { device: device.name, unitId: device.unitId, ...times, frame }
        if (slot.malformed.replied(frame.fieldFailures === undefined)) this.columnChecks.want(slot)
        return Effect.succeed(reading)
      },
      onFailure: (error) => {
        port.gaveFailure()
        return Effect.andThen(this.afterFailure(slot, opened, error), failureOf(toDeviceError(device.name, error)))
      }
    })
  }

  private afterFailure(slot: DeviceSlot, opened: OpenDevice, error: RequestError): Effect.Effect<unknown> {
    if (opened.port.hasOutstandingLine(opened.device.unitId)) return this.resynchronise(slot, opened)
    if (error._tag === "MalformedReply" && slot.malformed.replied(false)) this.columnChecks.want(slot)
    return Effect.void
  }

  /** Resynchronises a device in the background. It is not polled until then, and holds no other device up. */
  private resynchronise(slot: DeviceSlot, opened: OpenDevice): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      if (this.resynchronising.has(opened)) return Effect.void
      this.resynchronising.add(opened)
      return opened.port.resynchronise(opened.device.unitId).pipe(
        Effect.retry({
          schedule: this.slots.length > 1 ? AGAIN_SHARED : RESYNCHRONISE_AGAIN,
          while: (error) => error._tag === "NoReply"
        }),
        Effect.tap((table) => Effect.sync(() => slot.resynchronised(opened, table))),
        Effect.ignore,
        Effect.ensuring(Effect.sync(() => this.resynchronising.delete(opened))),
        Effect.forkIn(this.scope)
      )
    })
  }

  private noReplySince(device: string): DeviceError {
    return new DeviceError({
      device,
      reason: "Timeout",
      detail: `no reply within ${Duration.toMillis(this.timeout)} ms, and none since`
    })
  }
}

/** A column check took longer than there was time. */
const sendsColumns = (device: string): DeviceError =>
  new DeviceError({
    device,
    reason: "Busy",
    detail: "it is still sending its columns, which were asked for to check them"
  })

const columnsAsked = (device: string): DeviceError =>
  new DeviceError({
    device,
    reason: "Malformed",
    detail: "its replies made no sense; it is asked for its columns again"
  })
