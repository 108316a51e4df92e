/**
 * Records the readings that devices send by themselves, one device on each port.
 */
import {
  type Device,
  type DeviceError,
  InvalidOptionError,
  millisOf,
  PushRecorder,
  type Sample,
  type Tick
} from "@sampleline/core"
import { Context, type Duration, Effect, Stream } from "effect"
import * as os from "node:os"
import type { Outcome } from "./Outcome.ts"

/**
 * How a device streams.
 *
 * @since 0.1.0
 * @category options
 */
export interface StreamOptions {
  /**
   * The time between two readings, in whole milliseconds; 0 is as fast as the device can. Default: the interval that the device is
   * set to.
   */
  readonly interval?: Duration.Input | undefined
}

/**
 * How devices are recorded that stream.
 *
 * @since 0.1.0
 * @category options
 */
export interface StreamingOptions extends StreamOptions, Omit<PushRecorder.PushOptions, "devices" | "host"> {
  /** The names of the devices, one on each port. Default: all. */
  readonly devices?: ReadonlyArray<string> | undefined
}

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

/**
 * Fails as `recordStreaming` would, before a device is started. Gives the interval in milliseconds.
 *
 * @since 0.1.0
 * @category validation
 */
export const checkStreaming = Effect.fnUntraced(function*(
  { devices, interval }: Pick<StreamingOptions, "devices" | "interval"> = {}
): Effect.fn.Return<number | undefined, InvalidOptionError, Instruments> {
  const instruments = yield* Instruments
  yield* instruments.checkStreaming(devices ?? instruments.devices.map(({ name }) => name))
  return yield* validInterval(interval)
})

/**
 * Records what the devices send by themselves, for `pipeToSink`: a tick for each reading and each failure. A device starts when
 * the stream runs. It is stopped when the stream ends, however it ends. While it streams, any other request to its port fails at
 * once. Both times of a sample are those of its arrival.
 *
 * @since 0.1.0
 * @category constructors
 */
export const recordStreaming = (
  options: StreamingOptions = {}
): Stream.Stream<Tick, InvalidOptionError | DeviceError, Instruments> =>
  Stream.unwrap(Effect.gen(function*() {
    const instruments = yield* Instruments
    const names = options.devices ?? instruments.devices.map(({ name }) => name)
    const interval = yield* checkStreaming(options)
    return PushRecorder.record(instruments.pushed(names, interval), {
      ...options,
      host: os.hostname(),
      devices: instruments.devices.filter(({ name }) => names.includes(name))
    })
  }))

/**
 * The samples that one device sends by itself. Its failures are logged. See `recordStreaming`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const stream = (
  device: string,
  options: StreamOptions = {}
): Stream.Stream<Sample, InvalidOptionError | DeviceError, Instruments> =>
  Stream.flatMap(recordStreaming({ devices: [device], ...options }), (tick) => Stream.fromIterable(tick.samples))

const MAX_INTERVAL_MILLIS = 65_535

const validInterval = (value: Duration.Input | undefined): Effect.Effect<number | undefined, InvalidOptionError> => {
  if (value === undefined) return Effect.succeed(value)
  const millis = millisOf(value)
  return Number.isSafeInteger(millis) && millis >= 0 && millis <= MAX_INTERVAL_MILLIS
    ? Effect.succeed(millis)
    : Effect.fail(
      InvalidOptionError.of(
        "interval",
        value,
        `whole milliseconds from 0 to ${MAX_INTERVAL_MILLIS}, such as "10 millis"`
      )
    )
}
