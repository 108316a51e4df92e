/**
 * Faults of simulated devices and ports, and when they happen.
 */
import { Duration } from "effect"

/** With every nth reading, or from a time on, counted from the start of the simulator. Default: always. */
export type Occasion =
  | { readonly every: number }
  | { readonly after: Duration.Input; readonly for?: Duration.Input | undefined }

interface OfDevice {
  /** The device, e.g. `sim1`. A port fault affects all devices on its port. Default: every device; for `swap`, the first. */
  readonly device?: string | undefined
}

/**
 * - `delay`: the reply comes late, and later replies wait for it.
 * - `garble`: one byte of the reply is noise.
 * - `cut`: the second half of the reply and its end are missing.
 * - `silent`: there is no reply.
 */
type ReplyFault =
  & OfDevice
  & { readonly when?: Occasion | undefined }
  & ({ readonly kind: "delay"; readonly by: Duration.Input } | { readonly kind: "garble" | "cut" | "silent" })

/**
 * - `vanish`: the port goes. After `for` it comes back with the same path. Without `for` it never does.
 * - `swap`: the port and the next one go. They come back with each other's devices.
 */
export type PortFault = OfDevice & {
  readonly kind: "vanish" | "swap"
  readonly after: Duration.Input
  readonly for?: Duration.Input | undefined
}

export type Fault = ReplyFault | PortFault

export const isPortFault = (fault: Fault): fault is PortFault => fault.kind === "vanish" || fault.kind === "swap"

/** A reply with its faults. */
interface Disturbed {
  readonly bytes: Uint8Array
  readonly delayMillis: number
}

/**
 * Applies faults to a reply. `reading` is the number of the reading, or null if the reply has none. Gives null if nothing is sent.
 */
export type Disturb = (bytes: Uint8Array, seconds: number, reading: number | null) => Disturbed | null

/** The faults of one device. */
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
