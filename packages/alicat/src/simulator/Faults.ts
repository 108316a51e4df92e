/**
 * The faults of simulated devices: what goes wrong, and when.
 */
import { Duration } from "effect"

/**
 * When a fault happens: at every n-th reading, or from a time on. Times count from the start of the simulator.
 *
 * @since 0.1.0
 * @category models
 */
export type Occasion =
  | { readonly every: number }
  | { readonly after: Duration.Input; readonly for?: Duration.Input | undefined }

interface OfDevice {
  /**
   * The device with the fault, `sim1` and so on. A port fault affects all devices on its port. Default: every device; for `swap`,
   * the first.
   */
  readonly device?: string | undefined
}

/**
 * - `delay`: the reply comes late; later replies wait for it.
 * - `garble`: one byte of the reply is noise.
 * - `cut`: the second half of the reply is missing, and so is its CR.
 * - `silent`: there is no reply.
 */
type ReplyFault =
  & OfDevice
  & {
    /** Default: always. */
    readonly when?: Occasion | undefined
  }
  & ({ readonly kind: "delay"; readonly by: Duration.Input } | { readonly kind: "garble" | "cut" | "silent" })

/**
 * - `vanish`: the port disappears. It comes back under the same path after `for`; without `for`, never.
 * - `swap`: the port and the next one disappear, and come back with each other's devices.
 */
export type PortFault = OfDevice & {
  readonly kind: "vanish" | "swap"
  readonly after: Duration.Input
  readonly for?: Duration.Input | undefined
}

/**
 * A fault of a device's replies, or of a port.
 *
 * @since 0.1.0
 * @category models
 */
export type Fault = ReplyFault | PortFault

export const isPortFault = (fault: Fault): fault is PortFault => fault.kind === "vanish" || fault.kind === "swap"

/** A reply as it leaves the device, and its delay. */
interface Disturbed {
  readonly bytes: Uint8Array
  readonly delayMillis: number
}

/**
 * Applies faults to the bytes of a reply. `reading` is the number of the reading in the reply, or null. The result is null if the
 * device does not reply.
 */
export type Disturb = (bytes: Uint8Array, seconds: number, reading: number | null) => Disturbed | null

/** Applies the faults of one device. */
export const disturb = (faults: ReadonlyArray<Fault>, device: string): Disturb => {
  const own = faults.flatMap((fault) => !isPortFault(fault) && (fault.device ?? device) === device ? [fault] : [])
  return (bytes, seconds, reading) => {
    let reply: Disturbed = { bytes, delayMillis: 0 }
    for (const fault of own) {
      if (!isOccasion(fault.when, seconds, reading)) continue
      if (fault.kind === "silent") return null
      if (fault.kind === "delay") {
        reply = { ...reply, delayMillis: reply.delayMillis + Duration.toMillis(Duration.fromInputUnsafe(fault.by)) }
      } else reply = { ...reply, bytes: fault.kind === "cut" ? firstHalf(reply.bytes) : withNoise(reply.bytes) }
    }
    return reply
  }
}

const isOccasion = (when: Occasion | undefined, seconds: number, reading: number | null): boolean => {
  if (when === undefined) return true
  if ("every" in when) return reading !== null && reading % when.every === 0
  const after = toSeconds(when.after)
  return seconds >= after && (when.for === undefined || seconds < after + toSeconds(when.for))
}

const toSeconds = (time: Duration.Input): number => Duration.toSeconds(Duration.fromInputUnsafe(time))

const firstHalf = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length >> 1)

/** A byte of noise somewhere before the end of the line. */
const withNoise = (bytes: Uint8Array): Uint8Array => {
  const noisy = Uint8Array.from(bytes)
  noisy[Math.floor(Math.random() * Math.max(1, bytes.length - 1))] = 0x80 + Math.floor(Math.random() * 0x80)
  return noisy
}
