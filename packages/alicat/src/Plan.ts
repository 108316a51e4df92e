/**
 * What the options mean: which ports there are, and which devices on each.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Duration, Effect, Formatter, Option } from "effect"
import { canonicalPath } from "./SerialTransport.ts"
import { canonicalTcp, parseTcp, type TcpAddress } from "./TcpTransport.ts"

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
 * Where a port is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Place {
  /** One name for the port, by which two ways to write it are told to be one. */
  readonly path: string
  /** As it was given: a link may lead to another path when the port comes back. */
  readonly given: string
  readonly address: TcpAddress | null
}

/**
 * One port and the devices to find on it.
 *
 * @since 0.1.0
 * @category models
 */
export interface PortPlan extends Place {
  /** The rates to try; none for TCP. */
  readonly bauds: ReadonlyArray<number>
  readonly units: ReadonlyArray<Unit>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Unit {
  readonly name: string
  readonly unitId: string
}

/**
 * The rates that are tried where none is given.
 *
 * @since 0.1.0
 * @category constants
 */
export const DEFAULT_BAUDS = [19200, 115200]

/**
 * The unit ids that there are, `A` to `Z`.
 *
 * @since 0.1.0
 * @category constants
 */
export const UNIT_IDS: ReadonlyArray<string> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".split("")

const refuse = (option: string, value: string, expected: string) => new InvalidOptionError({ option, value, expected })

/**
 * A time in milliseconds, NaN where it is none.
 *
 * @since 0.1.0
 * @category conversions
 */
export const millisOf = (input: Duration.Input): number =>
  Option.match(Duration.fromInput(input), { onNone: () => Number.NaN, onSome: Duration.toMillis })

/**
 * @since 0.1.0
 * @category validation
 */
export const validTimeout = (value: Duration.Input): Effect.Effect<Duration.Duration, InvalidOptionError> => {
  const millis = millisOf(value)
  return Number.isFinite(millis) && millis > 0
    ? Effect.succeed(Duration.millis(millis))
    : Effect.fail(refuse("timeout", Formatter.format(value), "a time above 0 such as \"500 millis\""))
}

/**
 * A unit id, in capitals.
 *
 * @since 0.1.0
 * @category validation
 */
export const validUnit = (option: string, unit: string): Effect.Effect<string, InvalidOptionError> =>
  /^[A-Z]$/i.test(unit)
    ? Effect.succeed(unit.toUpperCase())
    : Effect.fail(refuse(option, JSON.stringify(unit), "a unit id, one letter from A to Z"))

/**
 * @since 0.1.0
 * @category validation
 */
export const validBaud = (option: string, baud: number): Effect.Effect<number, InvalidOptionError> =>
  Number.isSafeInteger(baud) && baud > 0
    ? Effect.succeed(baud)
    : Effect.fail(refuse(option, String(baud), "a baud rate such as 19200 or 115200"))

/**
 * The place that a port's name means.
 *
 * @since 0.1.0
 * @category constructors
 */
export const locate = Effect.fnUntraced(function*(option: string, port: string) {
  if (port === "") return yield* refuse(option, "\"\"", "a port such as /dev/ttyUSB0 or COM3")
  const address = parseTcp(port)
  if (port.startsWith("tcp:") && address === null) {
    const shown = JSON.stringify(port.replace(/\/\/.*@/, "//"))
    return yield* refuse(option, shown, "an address such as tcp://192.168.0.20:4001, without user and password")
  }
  const path = address === null ? canonicalPath(port) : yield* canonicalTcp(address)
  return { path, given: port, address } satisfies Place
})

/**
 * The devices, by the ports that they are on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const planPorts = Effect.fnUntraced(function*(
  devices: { readonly [name: string]: DeviceOptions }
): Effect.fn.Return<ReadonlyArray<PortPlan>, InvalidOptionError> {
  const plans = new Map<
    string,
    Omit<PortPlan, "units"> & { readonly units: Array<PortPlan["units"][number]> }
  >()
  if (Object.keys(devices).length === 0) return yield* refuse("devices", "empty", "at least one device")

  for (const [name, { baud, port, unit = "A" }] of Object.entries(devices)) {
    if (name === "") return yield* refuse("devices", "\"\"", "a name for each device")
    const unitId = yield* validUnit(`${name}.unit`, unit)
    if (baud !== undefined) yield* validBaud(`${name}.baud`, baud)
    const place = yield* locate(`${name}.port`, port)
    const { address, path } = place
    if (address !== null && baud !== undefined) {
      return yield* refuse(`${name}.baud`, String(baud), "none for TCP: the serial server decides it")
    }
    const bauds = address !== null ? [] : baud === undefined ? DEFAULT_BAUDS : [baud]
    const plan = plans.get(path)
    if (plan === undefined) {
      plans.set(path, { ...place, bauds, units: [{ name, unitId }] })
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
