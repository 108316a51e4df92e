/**
 * Alicat mass-flow and pressure instruments as a `PollSource`: devices on ports, one command in flight a port, all ports in
 * parallel.
 *
 *     Alicat.layer({ devices: { fuel: { port: "/dev/ttyUSB0" }, air: { port: "/dev/ttyUSB1", unit: "B" } } })
 */
import {
  type DeviceFailure,
  InvalidOptionError,
  PollSource,
  type Reading,
  type SourceDependencyError,
  type SourceOpenError
} from "@sampleline/core"
import { Duration, Effect, Formatter, Layer, Option, type Scope } from "effect"
import { openBus, type PortPlan } from "./Bus.ts"
import { canonicalPath } from "./SerialTransport.ts"
import { canonicalTcp, parseTcp } from "./TcpTransport.ts"

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
  const devices = buses.flatMap((bus) => bus.devices)
  return {
    devices: devices.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name)),
    poll: Effect.fnUntraced(function*(names) {
      const wanted = new Set(names)
      const outcomes = yield* Effect.forEach(buses, (bus) => bus.poll(wanted), { concurrency: "unbounded" })
      const byName = new Map<string, Reading | DeviceFailure>(
        outcomes.flat().map((outcome) => [outcome.device, outcome])
      )
      const inOrder = names.flatMap((name) => byName.get(name) ?? [])
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
      plans.set(path, { path, given: port, address, bauds, units: [{ name, unitId }] })
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
