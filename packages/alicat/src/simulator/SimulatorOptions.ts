/**
 * What can be simulated: the options of the simulator, and their limits.
 */
import { InvalidOptionError, millisOf } from "@sampleline/core"
import { type Duration, Effect } from "effect"
import { type Fault, isPortFault, type Occasion, type PortFault } from "./Faults.ts"
import type { SimulatedFirmware } from "./SimulatedFirmware.ts"

/**
 * What to simulate.
 *
 * @since 0.1.0
 * @category options
 */
export interface SimulatorOptions {
  /** How many devices. Default: 1. */
  readonly devices?: number | undefined
  /** How many devices share a port, as units `A`, `B` and so on. Default: 1. */
  readonly units?: number | undefined
  /**
   * The first TCP port, on 127.0.0.1. Further ports follow it. 0 takes any free ports. Default: pseudo-terminals instead of TCP.
   */
  readonly tcp?: number | undefined
  /** The one baud rate at which devices answer; not for TCP. Reading it costs some milliseconds a command. Default: any. */
  readonly baud?: number | undefined
  /** The firmware of the devices. Default: `10v20`. */
  readonly firmware?: SimulatedFirmware | undefined
  /** Adds a column `Reading_Number`. Default: false. */
  readonly numbered?: boolean | undefined
  /** What goes wrong. Default: nothing. */
  readonly faults?: ReadonlyArray<Fault> | undefined
  /**
   * Gives each pseudo-terminal a name that stays when it is unplugged: a link in a temporary folder. Default: true if `faults` makes
   * a port vanish.
   */
  readonly pluggable?: boolean | undefined
}

const MAX_DEVICES = 1000
const MAX_UNITS = 26
const TCP_PORTS = 65_536
const MIN_BAUD = 50
const MAX_BAUD = 4_000_000

/** Fails if an option is out of its limits, or if a fault can never happen. */
export const validate = Effect.fnUntraced(function*(
  { baud, devices = 1, faults = [], tcp, units = 1 }: SimulatorOptions
): Effect.fn.Return<void, InvalidOptionError> {
  yield* validInt("devices", devices, 1, MAX_DEVICES)
  yield* validInt("units", units, 1, MAX_UNITS)
  yield* validInt("tcp", tcp ?? 0, 0, TCP_PORTS - Math.ceil(devices / units))
  yield* validInt("baud", baud ?? MIN_BAUD, MIN_BAUD, MAX_BAUD)
  if (baud !== undefined && tcp !== undefined) {
    return yield* InvalidOptionError.of("baud", baud, "none for TCP, which has no baud rate")
  }
  for (const fault of faults) {
    if (fault.kind === "swap" && devices <= units) {
      return yield* InvalidOptionError.of("faults.swap", { devices, units }, "at least two ports to swap")
    }
    yield* validFault(fault, devices)
  }
})

const validInt = (option: string, value: number, lowest: number, highest: number) =>
  Number.isSafeInteger(value) && value >= lowest && value <= highest
    ? Effect.void
    : Effect.fail(InvalidOptionError.of(option, value, `a whole number from ${lowest} to ${highest}`))

const validFault = Effect.fnUntraced(function*(
  fault: Fault,
  devices: number
): Effect.fn.Return<void, InvalidOptionError> {
  if (fault.device !== undefined && !(Number(/^sim([1-9]\d*)$/.exec(fault.device)?.[1]) <= devices)) {
    return yield* InvalidOptionError.of(`faults.${fault.kind}.device`, fault.device, `sim1 to sim${devices}`)
  }
  const occasion = isPortFault(fault) ? fault : fault.when
  const times = [fault.kind === "delay" ? fault.by : 0, ...(occasion === undefined ? [] : timesOf(occasion))]
  const wrong = times.find((time) => !isTime(time))
  if (wrong !== undefined) {
    return yield* InvalidOptionError.of(`faults.${fault.kind}`, wrong, "a finite time such as \"600 millis\"")
  }
  if (occasion !== undefined && "every" in occasion && !(Number.isSafeInteger(occasion.every) && occasion.every > 0)) {
    return yield* InvalidOptionError.of(`faults.${fault.kind}.when.every`, occasion.every, "a whole number above 0")
  }
})

const timesOf = (occasion: PortFault | Occasion): ReadonlyArray<Duration.Input> =>
  "after" in occasion ? [occasion.after, occasion.for ?? 0] : []

const isTime = (time: Duration.Input): boolean => {
  const millis = millisOf(time)
  return Number.isFinite(millis) && millis >= 0
}
