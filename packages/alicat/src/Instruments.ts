/**
 * What the instruments offer beside polling: readings that they send by themselves.
 */
import type { Device, DeviceError, InvalidOptionError } from "@sampleline/core"
import { Context, type Effect, type Stream } from "effect"
import type { Outcome } from "./Outcome.ts"

/**
 * The open instruments; `Alicat.layer` provides it.
 *
 * @since 0.1.0
 * @category services
 */
export class Instruments extends Context.Service<Instruments, {
  readonly devices: ReadonlyArray<Device>
  /** Fails if a device is unknown, or if two of them are on one port. */
  readonly checkStreaming: (names: ReadonlyArray<string>) => Effect.Effect<void, InvalidOptionError>
  /** Readings and failures of devices that send by themselves. `undefined` leaves a device's interval as it is. */
  readonly pushed: (
    names: ReadonlyArray<string>,
    intervalMillis: number | undefined
  ) => Stream.Stream<Outcome, DeviceError>
}>()("@sampleline/alicat/Instruments") {}
