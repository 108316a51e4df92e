/**
 * What the options mean: which ports there are, and which devices are on each.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Effect } from "effect"
import { givenLayout } from "./GivenColumns.ts"
import { locate, type Place } from "./Place.ts"
import type { FrameLayout } from "./wire/FrameTable.ts"
import { validUnit } from "./wire/UnitId.ts"

/**
 * Where a device is.
 *
 * @since 0.1.0
 * @category options
 */
export interface DeviceOptions {
  /** A tty such as `/dev/ttyUSB0`, a COM name, or `tcp://host:port` for a serial server on the network. */
  readonly port: string
  /** The unit id, `A` to `Z`. Default: `A`. */
  readonly unit?: string | undefined
  /** The baud rate; not for TCP. Default: 19200 is tried first, then 115200, 38400, 9600 and 57600. */
  readonly baud?: number | undefined
  /**
   * What each reading of the device holds, in its order: `["Temp:°C", "Flow:SCCM", "Total", "Gas:text"]`. For BASIS devices and old
   * firmware, which do not declare their columns. Default: the device is asked.
   */
  readonly columns?: ReadonlyArray<string> | undefined
}

/** One port and the devices to find on it. */
export interface PortPlan extends Place {
  /** The baud rates to try; none for TCP. */
  readonly bauds: ReadonlyArray<number>
  readonly units: ReadonlyArray<Unit>
}

/** A device by its name and its unit id. */
export interface Unit {
  readonly name: string
  readonly unitId: string
  /** How to read its replies, as its user says; null to ask the device. */
  readonly givenLayout: FrameLayout | null
}

/** The baud rates that are tried by default. */
export const DEFAULT_BAUDS: ReadonlyArray<number> = [19200, 115200, 38400, 9600, 57600]

/** A baud rate. `option` is named in the error. */
export const validBaud = (option: string, baud: number): Effect.Effect<number, InvalidOptionError> =>
  Number.isSafeInteger(baud) && baud > 0
    ? Effect.succeed(baud)
    : Effect.fail(InvalidOptionError.of(option, baud, "a baud rate such as 19200 or 115200"))

/** The devices, grouped by port. */
export const planPorts = Effect.fnUntraced(function*(
  devices: { readonly [name: string]: DeviceOptions }
): Effect.fn.Return<ReadonlyArray<PortPlan>, InvalidOptionError> {
  const plans = new Map<string, PortPlan>()
  if (Object.keys(devices).length === 0) {
    return yield* InvalidOptionError.of("devices", devices, "at least one device")
  }
  for (const [name, options] of Object.entries(devices)) {
    const planned = yield* planDevice(name, options)
    const before = plans.get(planned.path)
    plans.set(planned.path, before === undefined ? planned : yield* merge(before, planned))
  }
  return [...plans.values()]
})

/** A plan for this device alone. */
const planDevice = Effect.fnUntraced(function*(
  name: string,
  { baud, columns, port, unit = "A" }: DeviceOptions
): Effect.fn.Return<PortPlan, InvalidOptionError> {
  if (name === "") return yield* InvalidOptionError.of("devices", name, "a name for each device")
  const unitId = yield* validUnit(`${name}.unit`, unit)
  if (baud !== undefined) yield* validBaud(`${name}.baud`, baud)
  const layout = columns === undefined ? null : yield* givenLayout(`${name}.columns`, columns)
  const place = yield* locate(`${name}.port`, port)
  if (place.address !== null && baud !== undefined) {
    return yield* InvalidOptionError.of(`${name}.baud`, baud, "none for TCP: set the baud rate in the serial server")
  }
  const bauds = place.address !== null ? [] : baud === undefined ? DEFAULT_BAUDS : [baud]
  return { ...place, bauds, units: [{ name, unitId, givenLayout: layout }] }
})

const baudText = (bauds: ReadonlyArray<number>): string => bauds.length === 1 ? String(bauds[0]) : "not given"

/** The plan of a port with one more device. */
const merge = Effect.fnUntraced(function*(
  plan: PortPlan,
  { bauds, units }: PortPlan
): Effect.fn.Return<PortPlan, InvalidOptionError> {
  const [{ name, unitId }] = units as [Unit]
  const twin = plan.units.find((other) => other.unitId === unitId)
  if (twin !== undefined) {
    return yield* InvalidOptionError.of(
      `${name}.unit`,
      unitId,
      `another unit id or port: ${twin.name} is unit ${unitId} on ${plan.path} already`
    )
  }
  if (bauds.join() !== plan.bauds.join()) {
    return yield* new InvalidOptionError({
      option: `${name}.baud`,
      value: baudText(bauds),
      expected: `${baudText(plan.bauds)}, as for ${plan.units[0]!.name} on the same port`
    })
  }
  return { ...plan, units: [...plan.units, ...units] }
})
