/**
 * One port and the devices on it, polled one after the other. A port that vanishes is opened again as soon as it is back; what is
 * then found there is recorded under the old names only if it is the same devices.
 */
import {
  type Device,
  DeviceError,
  type DeviceFailure,
  type DeviceIdentity,
  type Reading,
  SampleClock,
  type SourceDependencyError,
  SourceOpenError
} from "@sampleline/core"
import { Duration, Effect, Exit, Result, Schedule, Scope } from "effect"
import { openPort, type Port, type RequestError } from "./Port.ts"
import { canonicalPath, serialTransport } from "./SerialTransport.ts"
import { type TcpAddress, tcpTransport } from "./TcpTransport.ts"
import { decodeFrameTable, type FrameLayout, frameTableCommand } from "./wire/FrameTable.ts"
import { decodeFirmware, decodeManufacturing, firmwareCommand, manufacturingCommand } from "./wire/Identity.ts"
import { decodePollLine, decodeUnit, pollCommand, stopStreamingCommand } from "./wire/PollLine.ts"

/**
 * One port and the devices to find on it.
 *
 * @since 0.1.0
 * @category models
 */
export interface PortPlan {
  /** One name for the port, by which two ways to write it are told to be one. */
  readonly path: string
  /** As it was given: a link may lead to another path when the port comes back. */
  readonly given: string
  readonly address: TcpAddress | null
  /** The rates to try; none for TCP. */
  readonly bauds: ReadonlyArray<number>
  readonly units: ReadonlyArray<Unit>
}

interface Unit {
  readonly name: string
  readonly unitId: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Bus {
  readonly devices: ReadonlyArray<Device>
  /** One try at each of these devices; never fails. */
  readonly poll: (names: ReadonlySet<string>) => Effect.Effect<ReadonlyArray<Reading | DeviceFailure>>
}

/** A device that was found. */
interface OpenDevice {
  readonly device: Device
  readonly port: Port
  readonly layout: FrameLayout
}

/** A device's place on the bus: it can be polled, or why it cannot. */
interface Slot {
  readonly unit: Unit
  found: OpenDevice | DeviceError
}

/** The open port, until it is gone. */
interface Connection {
  readonly scope: Scope.Closeable
  readonly port: Port
  readonly baud: number | null
  readonly slots: ReadonlyArray<Slot>
}

/** A vanished port is tried again after this, then at intervals that grow to the last. */
const FIRST_RETRY = Duration.millis(100)
const LAST_RETRY = Duration.millis(400)
/** A device that was silent when its port came back is looked for again after this. */
const LOOK_AGAIN = Duration.seconds(1)

/**
 * Opens the port and finds the devices; the scope closes it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openBus = Effect.fnUntraced(function*(
  plan: PortPlan,
  timeout: Duration.Duration
): Effect.fn.Return<Bus, SourceOpenError | SourceDependencyError, Scope.Scope> {
  const first = yield* connect(plan, plan.bauds, timeout)
  const state: { connection: Connection | undefined } = { connection: first }
  yield* Effect.addFinalizer((exit) =>
    Effect.suspend(() => state.connection === undefined ? Effect.void : Scope.close(state.connection.scope, exit))
  )
  const known = yield* Effect.forEach(plan.units, (unit) => openDevice(first.port, unit, first.baud))
  first.slots.forEach((slot, at) => {
    slot.found = known[at]!
  })

  const verified = (port: Port, slot: Slot, baud: number | null) =>
    Effect.map(Effect.result(openDevice(port, slot.unit, baud)), (opened) => {
      const { device } = known.find(({ device }) => device.name === slot.unit.name)!
      slot.found = Result.isSuccess(opened) ? sameDevice(device, opened.success) : new DeviceError({
        device: slot.unit.name,
        reason: "Timeout",
        detail: opened.failure.message,
        cause: opened.failure
      })
    })

  const reopen = Effect.gen(function*() {
    const connection = yield* connect(plan, first.baud === null ? [] : [first.baud], timeout)
    yield* Effect.forEach(connection.slots, (slot) => verified(connection.port, slot, connection.baud)).pipe(
      Effect.onInterrupt(() => Scope.close(connection.scope, Exit.void))
    )
    return connection
  })

  const lookAgain = Effect.fnUntraced(function*({ baud, port, slots }: Connection): Effect.fn.Return<never> {
    while (slots.some(isSilent)) {
      yield* Effect.sleep(LOOK_AGAIN)
      yield* Effect.forEach(slots.filter(isSilent), (slot) => verified(port, slot, baud))
    }
    return yield* Effect.never
  })

  const keepOpen = Effect.gen(function*() {
    let connection = first
    while (true) {
      yield* Effect.raceFirst(connection.port.closed, lookAgain(connection))
      state.connection = undefined
      yield* Effect.logWarning(`${plan.path} is gone; it is opened again as soon as it is back`)
      yield* Scope.close(connection.scope, Exit.void)
      connection = yield* Effect.retry(
        reopen,
        Schedule.min([Schedule.exponential(FIRST_RETRY, 1.5), Schedule.spaced(LAST_RETRY)])
      )
      state.connection = connection
      yield* Effect.logWarning(`${plan.path} is back`)
    }
  })
  yield* Effect.forkScoped(keepOpen)

  return {
    devices: known.map(({ device }) => device),
    poll: (names) =>
      Effect.suspend(() => {
        const { connection } = state
        const wanted = plan.units.filter(({ name }) => names.has(name))
        return connection === undefined
          ? Effect.forEach(wanted, ({ name }) =>
            failureOf(
              new DeviceError({ device: name, reason: "Disconnected", detail: `the port ${plan.path} is gone` })
            ))
          : Effect.forEach(
            connection.slots.filter(({ unit }) => names.has(unit.name)),
            ({ found }) => found instanceof DeviceError ? failureOf(found) : pollDevice(found)
          )
      })
  }
})

const isSilent = ({ found }: Slot): boolean => found instanceof DeviceError && found.reason === "Timeout"

/** The device if it is the one that was there before, by its serial number; one that does not tell it now is asked again later. */
const sameDevice = (before: Device, now: OpenDevice): OpenDevice | DeviceError => {
  const [expected, found] = [before, now.device].map(({ identity }) => identity?.serialNumber ?? null)
  if (expected === null || expected === found) return now
  return found === null
    ? new DeviceError({
      device: before.name,
      reason: "Timeout",
      detail: `it does not tell its serial number, which was ${expected}, since ${now.port.path} is back`
    })
    : new DeviceError({
      device: before.name,
      reason: "DeviceChanged",
      detail: `another device is on ${now.port.path} now: serial number ${found} instead of ${expected}; `
        + "plug the right one in there"
    })
}

/** Opens the port and finds its baud rate; the devices are not looked for yet. */
const connect = Effect.fnUntraced(function*(
  plan: PortPlan,
  bauds: ReadonlyArray<number>,
  timeout: Duration.Duration
): Effect.fn.Return<Connection, SourceOpenError | SourceDependencyError> {
  const scope = yield* Scope.make()
  const path = plan.address === null ? canonicalPath(plan.given) : plan.path
  const transport = plan.address === null ? serialTransport(path) : tcpTransport(path, plan.address)
  return yield* Effect.gen(function*() {
    const port = yield* Scope.provide(openPort(path, transport, bauds[0] ?? 0, timeout), scope)
    const baud = yield* findBaud(port, { ...plan, bauds })
    yield* Effect.logInfo(`opened ${path}${baud === null ? "" : ` at ${baud} baud`}`)
    const notYet = (unit: Unit) => new DeviceError({ device: unit.name, reason: "Timeout", detail: "not found yet" })
    return { scope, port, baud, slots: plan.units.map((unit): Slot => ({ unit, found: notYet(unit) })) }
  }).pipe(Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))))
})

/**
 * The first baud rate at which a device on the port answers a poll, null where the port has none. Each is tried twice: noise may
 * cost the first reply.
 */
const findBaud = Effect.fnUntraced(function*(port: Port, { bauds, path, units }: PortPlan) {
  const [first] = units as [Unit]
  const rates: ReadonlyArray<number | null> = bauds.length === 0 ? [null] : bauds
  const answers = ({ unitId }: Unit) =>
    port.askLine(pollCommand(unitId), (line) => decodeUnit(line, unitId)).pipe(
      Effect.as(true),
      Effect.orElseSucceed(() => false)
    )
  for (const baud of [...rates, ...rates]) {
    if (bauds.length > 1) yield* Effect.ignore(port.setBaud(baud!))
    yield* stopStreaming(port, units)
    for (const unit of units) {
      if (yield* answers(unit)) return baud
    }
  }
  return yield* noReply(path, first.name, first.unitId, bauds)
})

/**
 * A program that died while a device streamed leaves it talking, and deaf to all but this. It does nothing to a device that does
 * not stream; but it gives the one that does the unit id in it, so among several it must not be guessed.
 */
const stopStreaming = Effect.fnUntraced(function*(port: Port, units: PortPlan["units"]) {
  const isTalking = yield* Effect.orElseSucceed(port.isTalking, () => false)
  if (units.length === 1) return yield* Effect.ignore(port.tell(stopStreamingCommand(units[0]!.unitId)))
  if (!isTalking) return
  return yield* new SourceOpenError({
    target: port.path,
    reason: "Busy",
    detail:
      `a device on it streams, and of ${units.length} units it cannot be told which; stop it by sending \`@@\` and its unit id, `
      + "or switch it off and on"
  })
})

const noReply = (path: string, name: string, unitId: string, bauds: ReadonlyArray<number>) =>
  new SourceOpenError({
    target: path,
    reason: "NoReply",
    detail: bauds.length === 0
      ? `${name} (unit ${unitId}) did not answer; check its power, the cable, the unit id and the serial server's baud rate`
      : `${name} (unit ${unitId}) did not answer at ${
        bauds.join(" or ")
      } baud; check its power, the cable, the unit id and the baud rate`
  })

const openDevice = Effect.fnUntraced(function*(port: Port, { name, unitId }: Unit, baud: number | null) {
  const layout = yield* port.askTable(frameTableCommand(unitId), (lines) => decodeFrameTable(lines, unitId)).pipe(
    Effect.retry({ times: 1 }),
    Effect.mapError((error) =>
      error._tag === "NoReply" ? noReply(port.path, name, unitId, baud === null ? [] : [baud]) : new SourceOpenError({
        target: port.path,
        reason: "Unknown",
        detail: `${name} (unit ${unitId}) did not tell its frame format: ${error.message}`,
        cause: error
      })
    )
  )
  const identity = yield* identify(port, unitId)
  yield* Effect.logInfo(
    `${name} is unit ${unitId} on ${port.path}: ${
      identity === null
        ? "identity unknown"
        : `${identity.model ?? "model unknown"}, serial number ${identity.serialNumber ?? "unknown"}`
    }`
  )
  return { device: { name, unitId, identity, format: layout.format }, port, layout }
})

/** What the device says of itself; it may be silent on either question. */
const identify = Effect.fnUntraced(function*(port: Port, unitId: string): Effect.fn.Return<DeviceIdentity | null> {
  const firmware = yield* port.askLine(firmwareCommand(unitId), (line) => decodeFirmware(line, unitId)).pipe(
    Effect.map((reply) => reply.value),
    Effect.orElseSucceed(() => null)
  )
  const made = yield* Effect.orElseSucceed(
    port.askTable(manufacturingCommand(unitId), (lines) => decodeManufacturing(lines, unitId)),
    () => null
  )
  port.fenceBy(unitId, made === null ? frameTableCommand(unitId) : manufacturingCommand(unitId))
  if (firmware === null && made === null) return null
  return {
    manufacturer: made?.manufacturer ?? null,
    model: made?.model ?? null,
    serialNumber: made?.serialNumber ?? null,
    firmware: firmware ?? made?.firmware ?? null,
    calibrationDate: made?.calibrationDate ?? null
  }
})

const pollDevice = ({ device, layout, port }: OpenDevice): Effect.Effect<Reading | DeviceFailure> =>
  Effect.matchEffect(port.askLine(pollCommand(device.unitId), (line) => decodePollLine(line, device.unitId, layout)), {
    onSuccess: ({ value: frame, ...times }) =>
      Effect.succeed<Reading>({ device: device.name, unitId: device.unitId, ...times, frame }),
    onFailure: (error) => failureOf(toDeviceError(device.name, error))
  })

const failureOf = (error: DeviceError): Effect.Effect<DeviceFailure> =>
  Effect.map(SampleClock.current, (clock) => ({ device: error.device, error, at: clock.epochMicros() }))

const toDeviceError = (device: string, error: RequestError): DeviceError =>
  new DeviceError({ device, reason: REASONS[error._tag], detail: error.message, cause: error })

const REASONS = {
  NoReply: "Timeout",
  PortGone: "Disconnected",
  MalformedReply: "Malformed",
  RejectedCommand: "Rejected"
} as const satisfies { readonly [tag in RequestError["_tag"]]: DeviceError["reason"] }
