/**
 * Alicat mass-flow and pressure instruments as a `PollSource`: devices on ports, one command in flight a port, all ports in
 * parallel.
 *
 *     Alicat.layer({ devices: { fuel: { port: "/dev/ttyUSB0" }, air: { port: "/dev/ttyUSB1", unit: "B" } } })
 *
 * Limits: a port that vanishes stays gone until the layer is built again.
 */
import {
  type Device,
  DeviceError,
  type DeviceFailure,
  type DeviceIdentity,
  InvalidOptionError,
  PollSource,
  type Reading,
  SampleClock,
  type SourceDependencyError,
  SourceOpenError
} from "@sampleline/core"
import { Duration, Effect, Formatter, Layer, Option, type Scope } from "effect"
import { openPort, type Port, type RequestError } from "./Port.ts"
import { canonicalPath, serialTransport } from "./SerialTransport.ts"
import { canonicalTcp, parseTcp, type TcpAddress, tcpTransport } from "./TcpTransport.ts"
import { decodeFrameTable, type FrameLayout, frameTableCommand } from "./wire/FrameTable.ts"
import { decodeFirmware, decodeManufacturing, firmwareCommand, manufacturingCommand } from "./wire/Identity.ts"
import { decodePollLine, decodeUnit, pollCommand, stopStreamingCommand } from "./wire/PollLine.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface DeviceOptions {
  /** A tty such as `/dev/ttyUSB0`, a COM name, or `tcp://host:port` for a serial server on the network. */
  readonly port: string
  /** The unit id, `A` to `Z`. Default: `A`. */
  readonly unit?: string | undefined
  /** Not for TCP. Default: 19200 is tried first, then 115200. */
  readonly baud?: number | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface AlicatOptions {
  /** The devices to record, by the names that their samples are to bear. */
  readonly devices: { readonly [name: string]: DeviceOptions }
  /** How long a device may take to answer. Default: 500 milliseconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * @since 0.1.0
 * @category errors
 */
export type AlicatError = InvalidOptionError | SourceOpenError | SourceDependencyError

const DEFAULT_BAUDS = [19200, 115200]

/**
 * Opens the ports, finds out who is there, and gives the source. The scope closes the ports.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function*(
  options: AlicatOptions
): Effect.fn.Return<PollSource["Service"], AlicatError, Scope.Scope> {
  const timeout = yield* validTimeout(options.timeout ?? "500 millis")
  const plans = yield* planPorts(options.devices)
  const buses = yield* Effect.forEach(plans, (plan) => openBus(plan, timeout), { concurrency: "unbounded" })
  const order = Object.keys(options.devices)
  const devices = buses.flat().toSorted((a, b) => order.indexOf(a.device.name) - order.indexOf(b.device.name))
  return {
    devices: devices.map(({ device }) => device),
    poll: Effect.fnUntraced(function*(names) {
      const outcomes = new Map<string, Reading | DeviceFailure>()
      const wanted = new Set(names)
      yield* Effect.forEach(buses, (bus) =>
        Effect.forEach(bus, (device) =>
          wanted.has(device.device.name)
            ? Effect.map(pollDevice(device), (outcome) => outcomes.set(device.device.name, outcome))
            : Effect.void, { discard: true }), { concurrency: "unbounded", discard: true })
      const inOrder = names.flatMap((name) => outcomes.get(name) ?? [])
      return {
        readings: inOrder.filter((outcome) => "frame" in outcome),
        failures: inOrder.filter((outcome) => "error" in outcome)
      }
    })
  }
}, Effect.withSpan("sampleline.open"))

/**
 * `make` as a layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: AlicatOptions): Layer.Layer<PollSource, AlicatError> =>
  Layer.effect(PollSource, make(options))

const validTimeout = (value: Duration.Input): Effect.Effect<Duration.Duration, InvalidOptionError> => {
  const timeout = Option.getOrUndefined(Duration.fromInput(value))
  return timeout !== undefined && Duration.isFinite(timeout) && Duration.toMillis(timeout) > 0
    ? Effect.succeed(timeout)
    : Effect.fail(
      new InvalidOptionError({
        option: "timeout",
        value: Formatter.format(value),
        expected: "a time above 0 such as \"500 millis\""
      })
    )
}

/** One port and the devices to find on it. */
interface PortPlan {
  readonly path: string
  readonly address: TcpAddress | null
  /** The rates to try; none for TCP. */
  readonly bauds: ReadonlyArray<number>
  readonly units: ReadonlyArray<{ readonly name: string; readonly unitId: string }>
}

/** A device that was found. */
interface OpenDevice {
  readonly device: Device
  readonly port: Port
  readonly layout: FrameLayout
}

const planPorts = Effect.fnUntraced(function*(
  devices: AlicatOptions["devices"]
): Effect.fn.Return<ReadonlyArray<PortPlan>, InvalidOptionError> {
  const refuse = (option: string, value: string, expected: string) =>
    new InvalidOptionError({ option, value, expected })
  const plans = new Map<
    string,
    Omit<PortPlan, "units"> & { readonly units: Array<PortPlan["units"][number]> }
  >()
  if (Object.keys(devices).length === 0) return yield* refuse("devices", "empty", "at least one device")

  for (const [name, { baud, port, unit = "A" }] of Object.entries(devices)) {
    if (name === "") return yield* refuse("devices", "\"\"", "a name for each device")
    if (port === "") return yield* refuse(`${name}.port`, "\"\"", "a port such as /dev/ttyUSB0 or COM3")
    const unitId = unit.toUpperCase()
    if (!/^[A-Z]$/.test(unitId)) {
      return yield* refuse(`${name}.unit`, JSON.stringify(unit), "a unit id, one letter from A to Z")
    }
    if (baud !== undefined && (!Number.isSafeInteger(baud) || baud <= 0)) {
      return yield* refuse(`${name}.baud`, String(baud), "a baud rate such as 19200 or 115200")
    }
    const address = parseTcp(port)
    if (port.startsWith("tcp:") && address === null) {
      return yield* refuse(`${name}.port`, JSON.stringify(port), "an address such as tcp://192.168.0.20:4001")
    }
    if (address !== null && baud !== undefined) {
      return yield* refuse(`${name}.baud`, String(baud), "none for TCP: the serial server decides it")
    }
    const path = address === null ? canonicalPath(port) : yield* canonicalTcp(address)
    const bauds = address !== null ? [] : baud === undefined ? DEFAULT_BAUDS : [baud]
    const plan = plans.get(path)
    if (plan === undefined) {
      plans.set(path, { path, address, bauds, units: [{ name, unitId }] })
      continue
    }
    const twin = plan.units.find((other) => other.unitId === unitId)
    if (twin !== undefined) {
      return yield* refuse(
        `${name}.unit`,
        unitId,
        `another unit id or port: ${twin.name} is unit ${unitId} on ${path} already`
      )
    }
    if (bauds.join() !== plan.bauds.join()) {
      return yield* refuse(
        `${name}.baud`,
        bauds.join(" or "),
        `the baud rate of ${plan.units[0]!.name}, which is on the same port: ${plan.bauds.join(" or ")}`
      )
    }
    plan.units.push({ name, unitId })
  }
  return [...plans.values()]
})

const openBus = Effect.fnUntraced(function*(plan: PortPlan, timeout: Duration.Duration): Effect.fn.Return<
  ReadonlyArray<OpenDevice>,
  SourceOpenError | SourceDependencyError,
  Scope.Scope
> {
  const { address, bauds, path } = plan
  const transport = address === null ? serialTransport(path) : tcpTransport(path, address)
  const port = yield* openPort(path, transport, bauds[0] ?? 0, timeout)
  const baud = yield* findBaud(port, plan)
  yield* Effect.logInfo(`opened ${path}${baud === null ? "" : ` at ${baud} baud`}`)
  const tried = baud === null ? [] : [baud]
  return yield* Effect.forEach(plan.units, (unit) => openDevice(port, unit.name, unit.unitId, tried))
})

/**
 * The first baud rate at which the port's first device answers a poll, null where the port has none. Each is tried twice: noise
 * may cost the first reply.
 */
const findBaud = Effect.fnUntraced(function*(port: Port, { bauds, path, units }: PortPlan) {
  const [{ name, unitId }] = units as [PortPlan["units"][number]]
  const rates: ReadonlyArray<number | null> = bauds.length === 0 ? [null] : bauds
  for (const baud of [...rates, ...rates]) {
    if (bauds.length > 1) yield* Effect.ignore(port.setBaud(baud!))
    yield* stopStreaming(port, units)
    const answered = yield* port.askLine(pollCommand(unitId), (line) => decodeUnit(line, unitId)).pipe(
      Effect.as(true),
      Effect.orElseSucceed(() => false)
    )
    if (answered) return baud
  }
  return yield* noReply(path, name, unitId, bauds)
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

const openDevice = Effect.fnUntraced(function*(port: Port, name: string, unitId: string, bauds: ReadonlyArray<number>) {
  const layout = yield* port.askTable(frameTableCommand(unitId), (lines) => decodeFrameTable(lines, unitId)).pipe(
    Effect.retry({ times: 1 }),
    Effect.mapError((error) =>
      error._tag === "NoReply" ? noReply(port.path, name, unitId, bauds) : new SourceOpenError({
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
    onFailure: (error) =>
      Effect.map(SampleClock.current, (clock): DeviceFailure => ({
        device: device.name,
        error: toDeviceError(device.name, error),
        at: clock.epochMicros()
      }))
  })

const toDeviceError = (device: string, error: RequestError): DeviceError =>
  new DeviceError({ device, reason: REASONS[error._tag], detail: error.message, cause: error })

const REASONS = {
  NoReply: "Timeout",
  PortGone: "Disconnected",
  MalformedReply: "Malformed",
  RejectedCommand: "Rejected"
} as const satisfies { readonly [tag in RequestError["_tag"]]: DeviceError["reason"] }
