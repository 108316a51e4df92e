/**
 * The options of a simulator, and their checks.
 */
import { InvalidOptionError, millisOf } from "@sampleline/core"
import { type Duration, Effect } from "effect"
import { type Fault, isPortFault, type Occasion, type PortFault } from "./Faults.ts"
import type { SimulatedFirmware } from "./SimulatedDevice.ts"

/**
 * What to simulate.
 *
 * @since 0.1.0
 * @category options
 */
export interface SimulatorOptions {
  /** How many devices. Default: 1. */
  readonly devices?: number | undefined
  /** How many devices share a port. Their unit ids are `A`, `B` and so on. Default: 1. */
  readonly units?: number | undefined
  /** The first TCP port on 127.0.0.1; the next devices get the next ports. 0: any free port. Default: pseudo-terminals. */
  readonly tcp?: number | undefined
  /** Default: `10v20`. */
  readonly firmware?: SimulatedFirmware | undefined
  /** Adds a column `Reading_Number`. Default: false. */
  readonly numbered?: boolean | undefined
  /** The faults of devices and ports. Default: none. */
  readonly faults?: ReadonlyArray<Fault> | undefined
  /**
   * Gives each pseudo-terminal a name that stays when it is unplugged: a link in a temporary folder. Default: only if `faults`
   * takes ports away.
   */
  readonly pluggable?: boolean | undefined
}

/** Fails with `InvalidOptionError` for options that make no sense. */
export const validate = Effect.fnUntraced(function*({ devices = 1, faults = [], tcp, units = 1 }: SimulatorOptions) {
  const ports = Math.ceil(devices / units)
  for (
    const [option, value, lowest, highest] of [
      ["devices", devices, 1, 1000],
      ["units", units, 1, 26],
      ["tcp", tcp ?? 0, 0, 65_536 - ports]
    ] as const
  ) {
    if (!Number.isSafeInteger(value) || value < lowest || value > highest) {
      return yield* InvalidOptionError.of(option, value, `a whole number from ${lowest} to ${highest}`)
    }
  }
  for (const fault of faults) {
    if (fault.device !== undefined && !(Number(/^sim([1-9]\d*)$/.exec(fault.device)?.[1]) <= devices)) {
      return yield* InvalidOptionError.of(`faults.${fault.kind}.device`, fault.device, `sim1 to sim${devices}`)
    }
    if (fault.kind === "swap" && devices <= units) {
      return yield* InvalidOptionError.of("faults.swap", { devices, units }, "at least two ports to swap")
    }
    const occasion = isPortFault(fault) ? fault : fault.when
    const times = [fault.kind === "delay" ? fault.by : 0, ...(occasion === undefined ? [] : timesOf(occasion))]
    const wrong = times.find((time) => {
      const millis = millisOf(time)
      return !(Number.isFinite(millis) && millis >= 0)
    })
    if (wrong !== undefined) {
      return yield* InvalidOptionError.of(`faults.${fault.kind}`, wrong, "a finite time such as \"600 millis\"")
    }
    if (
      occasion !== undefined && "every" in occasion && !(Number.isSafeInteger(occasion.every) && occasion.every > 0)
    ) {
      return yield* InvalidOptionError.of(`faults.${fault.kind}.when.every`, occasion.every, "a whole number above 0")
    }
  }
})

const timesOf = (occasion: PortFault | Occasion): ReadonlyArray<Duration.Input> =>
  "after" in occasion ? [occasion.after, occasion.for ?? 0] : []
