/**
 * What simulated devices can be told to do wrong, and when.
 */
import { Duration } from "effect"

/**
 * Every so many readings, or from a time on, counted from the start of the simulator. Default: always.
 *
 * @since 0.1.0
 * @category models
 */
export type Occasion =
  | { readonly every: number }
  | { readonly after: Duration.Input; readonly for?: Duration.Input | undefined }

interface OfDevice {
  /** The device that has it, `sim1` and so on; a port goes with all its devices. Default: each; for `swap`, the first. */
  readonly device?: string | undefined
}

/**
 * - `delay`: the reply comes late; later replies wait for it.
 * - `garble`: one byte of the reply is noise.
 * - `cut`: the second half of the reply is missing, its end too.
 * - `silent`: there is no reply.
 *
 * @since 0.1.0
 * @category models
 */
export type ReplyFault =
  & OfDevice
  & { readonly when?: Occasion | undefined }
  & ({ readonly kind: "delay"; readonly by: Duration.Input } | { readonly kind: "garble" | "cut" | "silent" })

/**
 * - `vanish`: the port goes, and comes back under the same name after `for`, or never.
 * - `swap`: the port and the next one go, and come back with each other's devices.
 *
 * @since 0.1.0
 * @category models
 */
export type PortFault = OfDevice & {
  readonly kind: "vanish" | "swap"
  readonly after: Duration.Input
  readonly for?: Duration.Input | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export type Fault = ReplyFault | PortFault

/**
 * @since 0.1.0
 * @category guards
 */
export const isPortFault = (fault: Fault): fault is PortFault => fault.kind === "vanish" || fault.kind === "swap"

/** A reply as it leaves the device, and how late. */
interface Disturbed {
  readonly bytes: Uint8Array
  readonly delayMillis: number
}

/**
 * What becomes of the bytes of a reply, by the time it is given and which reading of the device it is, null if none; null where
 * nothing is left of it.
 *
 * @since 0.1.0
 * @category models
 */
export type Disturb = (bytes: Uint8Array, seconds: number, reading: number | null) => Disturbed | null

/**
 * The faults of one device.
 *
 * @since 0.1.0
 * @category constructors
 */
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
