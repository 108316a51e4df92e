/**
 * One port and the devices on it, polled one after the other. A port that vanishes is opened again as soon as it is back; what is
 * then found there is recorded under the old names only if it is the same devices.
 */
import {
  type Device,
  DeviceError,
  type PollBus,
  type Reading,
  type SourceDependencyError,
  type SourceOpenError
} from "@sampleline/core"
import { Array, Deferred, Duration, Effect, Exit, Option, Result, Schedule, Scope, type Stream } from "effect"
import { answers, connect, type OpenDevice, openDevice } from "./Connection.ts"
import { failureOf, type Outcome, toDeviceError } from "./Outcome.ts"
import type { PortPlan, Unit } from "./Plan.ts"
import type { Port } from "./Port.ts"
import { mayBeThere } from "./SerialTransport.ts"
import { pushed } from "./Streaming.ts"
import { decodeManufacturing } from "./wire/Identity.ts"
import { decodePollLine, pollCommand } from "./wire/PollLine.ts"

/**
 * @since 0.1.0
 * @category models
 */
export interface Bus {
  readonly name: string
  /** What is known of the devices now. */
  readonly devices: () => ReadonlyArray<Device>
  /** One try at each of these devices; never fails. */
  readonly poll: (names: ReadonlySet<string>) => Effect.Effect<ReadonlyArray<Outcome>>
  /** How long the devices took to answer when the port was opened. */
  readonly timing: PollBus
  /** What a device sends by itself, and why it does not; nothing else can be asked on the port meanwhile. */
  readonly pushed: (
    name: string,
    intervalMillis: number | undefined
  ) => Stream.Stream<Outcome, DeviceError>
}

/** A device's place on the bus. */
interface Slot {
  readonly unit: Unit
  /** The device that the run has under this name; null until it was there for the first time. */
  known: Device | null
  /** The device as it can be polled, or why it cannot. */
  found: OpenDevice | DeviceError
}

/**
 * @since 0.1.0
 * @category options
 */
export interface BusOptions {
  readonly timeout: Duration.Duration
  /** Go on without what is not there. */
  readonly allowMissing: boolean
}

/** A port that is gone is tried again after this, then at intervals that grow to the last. */
const REOPEN = Schedule.min([Schedule.exponential("50 millis", 1.5), Schedule.spaced("250 millis")])
/** A device that is not the right one, or silent, is looked for again at this interval. */
const LOOK_AGAIN = Schedule.spaced("1 second")
/** A device that owes a reply is asked to catch up at this interval. */
const SETTLE_AGAIN = Schedule.spaced("100 millis")
/** Both at these intervals where others wait for the port meanwhile. */
const AGAIN_SHARED = Schedule.min([Schedule.exponential("4 seconds"), Schedule.spaced("20 seconds")])
/** With `allowMissing`, how long to wait for what may be there. */
const MISSING_PATIENCE = "3 seconds"
/** How often the devices are asked to find out how long they take. */
const ROUND_TRIPS = 3

/**
 * Opens the port and finds the devices; the scope closes it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openBus = Effect.fnUntraced(function*(
  plan: PortPlan,
  options: BusOptions
): Effect.fn.Return<Bus, SourceOpenError | SourceDependencyError, Scope.Scope> {
  const { given, units } = plan
  const isShared = units.length > 1
  const slots = units.map((unit): Slot => ({ unit, known: null, found: notThere(unit, given) }))
  const connection: { scope: Scope.Closeable | null; baud: number | null | undefined } = {
    scope: null,
    baud: undefined
  }
  const close = Effect.suspend(() => {
    const { scope } = connection
    connection.scope = null
    for (const slot of slots) slot.found = notThere(slot.unit, given)
    return scope === null ? Effect.void : Scope.close(scope, Exit.void)
  })
  yield* Effect.addFinalizer(() => close)

  /** Looks for the device; without `allowMissing` it must be there the first time. */
  const find = (port: Port, slot: Slot) =>
    Effect.matchEffect(openDevice(port, slot.unit, connection.baud ?? null), {
      onSuccess: (opened) => {
        // A device that did not tell its serial number before is known by it from now on.
        if (serialOf(slot.known) === null) slot.known = opened.device
        slot.found = sameDevice(slot.known ?? opened.device, opened)
        return Effect.logInfo(describe(opened))
      },
      onFailure: (error) => {
        if (slot.known === null && !options.allowMissing) return Effect.fail(error)
        slot.found = new DeviceError({
          device: slot.unit.name,
          reason: "Timeout",
          detail: error.message,
          cause: error
        })
        return Effect.void
      }
    })

  /** Gives the port when its devices were looked for. */
  const open = Effect.gen(function*() {
    const scope = yield* Scope.make()
    return yield* Effect.gen(function*() {
      const bauds = connection.baud === undefined ? plan.bauds : connection.baud === null ? [] : [connection.baud]
      const { baud, port } = yield* Scope.provide(connect(plan, bauds, options.timeout), scope)
      connection.baud = baud
      yield* Effect.forEach(slots, (slot) => find(port, slot))
      connection.scope = scope
      return port
    }).pipe(
      Effect.onError((cause) => Effect.andThen(Scope.close(scope, Exit.failCause(cause)), close)),
      Effect.tapError((error) =>
        Effect.sync(() => {
          for (const slot of slots) slot.found = cannotOpen(slot.unit, error)
        })
      )
    )
  })

  const lookAgain = (port: Port): Effect.Effect<unknown> =>
    Effect.gen(function*() {
      for (const slot of slots.filter(isMissing)) {
        if (yield* answers(port, slot.unit)) yield* Effect.ignore(find(port, slot))
      }
    }).pipe(Effect.delay("1 second"), Effect.repeat({ schedule: isShared ? AGAIN_SHARED : LOOK_AGAIN }))

  const keepOpen = Effect.fnUntraced(function*(opened: Port | null) {
    let port: Port | null = opened
    while (true) {
      if (port === null) {
        yield* untilThere(plan)
        port = yield* Effect.retry(open, REOPEN)
        yield* Effect.logWarning(`${given} is there`)
      }
      yield* Effect.raceFirst(port.closed, lookAgain(port))
      port = null
      yield* Effect.logWarning(`${given} is gone; it is opened again as soon as it is back`)
      yield* close
    }
  })

  const roundTripSeconds = new Map<string, number>()
  const begin = Effect.tap(open, () => measureRoundTrips(slots, roundTripSeconds))
  if (options.allowMissing) {
    const tried = yield* Deferred.make<void, SourceDependencyError>()
    yield* begin.pipe(
      Effect.catchTag(
        "SourceOpenError",
        (error) => Effect.as(Effect.logWarning(`${error.message}; going on without it until it is there`), null)
      ),
      Effect.onExit((exit) => Deferred.done(tried, Exit.asVoid(exit))),
      Effect.andThen(keepOpen),
      Effect.forkScoped
    )
    const inTime = yield* Effect.timeoutOption(Deferred.await(tried), MISSING_PATIENCE)
    if (Option.isNone(inTime)) yield* Effect.logWarning(`${given} is still being looked at; going on without it`)
  } else yield* Effect.forkScoped(keepOpen(yield* begin))

  const noReplySince = (device: string) =>
    new DeviceError({
      device,
      reason: "Timeout",
      detail: `no reply within ${Duration.toMillis(options.timeout)} ms, and none since`
    })
  const scope = yield* Scope.Scope
  const settling = new Set<OpenDevice>()
  /**
   * Has a device catch up that owes a reply; meanwhile it is not polled, and holds nobody up. What it answers with tells its serial
   * number, too: while it was silent another one may have taken its place.
   */
  const settle = (opened: OpenDevice) =>
    Effect.suspend(() => {
      if (settling.has(opened)) return Effect.void
      settling.add(opened)
      const slot = slots.find(({ found }) => found === opened)
      return opened.port.settle(opened.device.unitId).pipe(
        Effect.retry({ schedule: isShared ? AGAIN_SHARED : SETTLE_AGAIN, while: (error) => error._tag === "NoReply" }),
        Effect.tap((table) =>
          Effect.sync(() => {
            const identity = Result.getOrNull(decodeManufacturing(table, opened.device.unitId))
            const another = anotherDevice(opened.device, { ...opened, device: { ...opened.device, identity } })
            if (slot?.found === opened && another !== null) slot.found = another
          })
        ),
        Effect.ignore,
        Effect.ensuring(Effect.sync(() => settling.delete(opened))),
        Effect.forkIn(scope)
      )
    })

  const pollDevice = (opened: OpenDevice): Effect.Effect<Outcome> => {
    const { device, port } = opened
    if (port.owes(device.unitId)) return Effect.andThen(settle(opened), failureOf(noReplySince(device.name)))
    return Effect.matchEffect(askReading(opened), {
      onSuccess: ({ value: frame, ...times }) =>
        Effect.succeed<Reading>({ device: device.name, unitId: device.unitId, ...times, frame }),
      onFailure: (error) =>
        Effect.andThen(
          port.owes(device.unitId) ? settle(opened) : Effect.void,
          failureOf(toDeviceError(device.name, error))
        )
    })
  }

  return {
    name: given,
    devices: () => slots.map(({ known, unit }) => known ?? { ...unit, identity: null, format: null }),
    timing: { name: given, roundTripSeconds },
    poll: (names) =>
      Effect.forEach(
        slots.filter(({ unit }) => names.has(unit.name)),
        ({ found }) => found instanceof DeviceError ? failureOf(found) : pollDevice(found)
      ),
    pushed: (name, intervalMillis) => {
      const slot = slots.find(({ unit }) => unit.name === name)!
      return pushed(() => slot.found, intervalMillis)
    }
  }
})

/** Opening a tty that is not there costs a look at all the ports that are: waits until it is worth that. */
const untilThere = ({ address, given }: PortPlan) =>
  Effect.repeat(Effect.sync(() => address !== null || mayBeThere(given)), {
    schedule: REOPEN,
    until: (isThere) => isThere
  })

const describe = ({ device: { identity, name, unitId }, port }: OpenDevice): string =>
  `${name} is unit ${unitId} on ${port.path}: ${
    identity === null
      ? "identity unknown"
      : `${identity.model ?? "model unknown"}, serial number ${identity.serialNumber ?? "unknown"}`
  }`

const isMissing = ({ found }: Slot): boolean => found instanceof DeviceError

const notThere = ({ name }: Unit, path: string) =>
  new DeviceError({ device: name, reason: "Disconnected", detail: `the port ${path} is not there` })

const cannotOpen = ({ name }: Unit, error: SourceOpenError | SourceDependencyError) =>
  new DeviceError({
    device: name,
    reason: error._tag === "SourceOpenError" && error.reason === "NoReply" ? "Timeout" : "Disconnected",
    detail: error.message,
    cause: error
  })

const serialOf = (device: Device | null): string | null => device?.identity?.serialNumber ?? null

/** The device if it is the one that was there before, by its serial number; one that does not tell it now is asked again later. */
const sameDevice = (before: Device, now: OpenDevice): OpenDevice | DeviceError => {
  const expected = serialOf(before)
  return expected !== null && serialOf(now.device) === null
    ? new DeviceError({
      device: before.name,
      reason: "Timeout",
      detail: `it does not tell its serial number, which was ${expected}, since ${now.port.path} is back`
    })
    : anotherDevice(before, now) ?? now
}

/** A failure if both tell their serial number, and another one; null otherwise. */
const anotherDevice = (before: Device, { device, port }: OpenDevice): DeviceError | null => {
  const [expected, found] = [serialOf(before), serialOf(device)]
  return expected === null || found === null || expected === found ? null : new DeviceError({
    device: before.name,
    reason: "DeviceChanged",
    detail:
      `another device is on ${port.path} now: serial number ${found} instead of ${expected}; plug the right one in there`
  })
}

const askReading = ({ device: { unitId }, layout, port }: OpenDevice) =>
  port.askLine(pollCommand(unitId), (line) => decodePollLine(line, unitId, layout))

/** The time that each device takes to answer: the shortest of a few, for this machine may have been busy during the others. */
const measureRoundTrips = (slots: ReadonlyArray<Slot>, seconds: Map<string, number>) =>
  Effect.forEach(
    slots.flatMap(({ found }) => found instanceof DeviceError ? [] : [found]),
    Effect.fnUntraced(function*(opened) {
      const asks = Effect.forEach(Array.range(1, ROUND_TRIPS), () => askReading(opened))
      const replies = yield* Effect.orElseSucceed(asks, () => [])
      const nanos = replies.map((reply) => reply.receivedMonotonicNanos - reply.requestedMonotonicNanos)
      if (nanos.length > 0) seconds.set(opened.device.name, Math.min(...nanos) / 1e9)
    }),
    { discard: true }
  )
