/**
 * Where samples come from: one try at every device, all at once. A source never fails; a device that fails is data.
 *
 * Limits: one reading a device and poll. A source with its own bus order (several devices on one port) implements the
 * service itself; `PollSource.make` is for devices that can be asked independently.
 */
import { Cause, Context, Effect, Layer } from "effect"
import { type Frame, FrameFormat, type FrameRecord } from "./Frame.ts"
import type { Device, DeviceFailure, DeviceIdentity } from "./Sample.ts"
import { current as currentClock } from "./SampleClock.ts"
import { DeviceError } from "./SourceError.ts"

/**
 * One device's reply, with the times of its own request.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reading {
  readonly device: string
  readonly unitId: string
  /** Microseconds since the epoch. */
  readonly requestedAt: number
  /** Microseconds since the epoch. */
  readonly receivedAt: number
  readonly requestedMonotonicNanos: number
  readonly receivedMonotonicNanos: number
  readonly frame: Frame
}

/**
 * @since 0.1.0
 * @category models
 */
export interface PollResult {
  readonly readings: ReadonlyArray<Reading>
  readonly failures: ReadonlyArray<DeviceFailure>
}

/**
 * What `make` has to know of a device; everything may be left out.
 *
 * @since 0.1.0
 * @category options
 */
export interface DeviceOptions {
  /** Its address on the bus. Default: empty. */
  readonly unitId?: string | undefined
  /** Default: unknown. */
  readonly identity?: DeviceIdentity | undefined
  /** Default: inferred from the first reading. */
  readonly format?: FrameFormat | undefined
}

/**
 * @since 0.1.0
 * @category services
 */
export class PollSource extends Context.Service<PollSource, {
  readonly devices: ReadonlyArray<Device>
  /** One try at each of the named devices. */
  readonly poll: (names: ReadonlyArray<string>) => Effect.Effect<PollResult>
}>()("@sampleline/core/PollSource") {
  /**
   * A source of devices that can be asked independently. `poll` asks one device by its name and gives a `Frame` or a plain
   * object; whatever it fails or dies with becomes a failure of that device.
   */
  static readonly make = Effect.fnUntraced(function*<E, R>(options: {
    readonly devices: { readonly [name: string]: DeviceOptions } | ReadonlyArray<string>
    readonly poll: (device: string) => Effect.Effect<Frame | FrameRecord, E, R>
  }): Effect.fn.Return<PollSource["Service"], never, R> {
    const context = yield* Effect.context<R>()
    const clock = yield* currentClock
    const optionsOf: ReadonlyArray<readonly [string, DeviceOptions]> = isNames(options.devices)
      ? options.devices.map((name) => [name, {}])
      : Object.entries(options.devices)
    const devices = new Map(optionsOf.map(([name, device]): [string, Device] => [name, {
      name,
      unitId: device.unitId ?? "",
      identity: device.identity ?? null,
      format: device.format ?? null
    }]))

    const toFrame = (device: Device, reply: Frame | FrameRecord): Frame => {
      if (isFrame(reply)) return reply
      let format = device.format
      if (format === null || Object.keys(reply).some((name) => !format!.fields.some((field) => field.name === name))) {
        format = FrameFormat.make([
          ...(format?.fields ?? []),
          ...FrameFormat.fromRecord(reply).fields.filter((field) =>
            !format?.fields.some((known) => known.name === field.name)
          )
        ])
        devices.set(device.name, { ...device, format })
      }
      return format.frame(reply)
    }

    const pollOne = (name: string): Effect.Effect<Reading | DeviceFailure> =>
      Effect.suspend(() => {
        const device = devices.get(name)!
        const requestedAt = clock.epochMicros()
        const requestedMonotonicNanos = clock.monotonicNanos()
        return options.poll(name).pipe(
          Effect.provideContext(context),
          Effect.map((reply): Reading => ({
            device: name,
            unitId: device.unitId,
            requestedAt,
            receivedAt: clock.epochMicros(),
            requestedMonotonicNanos,
            receivedMonotonicNanos: clock.monotonicNanos(),
            frame: toFrame(device, reply)
          })),
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause)
              ? Effect.failCause(cause as Cause.Cause<never>)
              : Effect.succeed<DeviceFailure>({
                device: name,
                error: toDeviceError(name, cause),
                at: clock.epochMicros()
              })
          )
        )
      })

    return {
      get devices() {
        return [...devices.values()]
      },
      poll: (names) =>
        Effect.map(Effect.forEach(names, pollOne, { concurrency: "unbounded" }), (outcomes) => ({
          readings: outcomes.filter((outcome) => "frame" in outcome),
          failures: outcomes.filter((outcome) => "error" in outcome)
        }))
    }
  })

  /** `make` as a layer. */
  static readonly layer = <E, R>(options: {
    readonly devices: { readonly [name: string]: DeviceOptions } | ReadonlyArray<string>
    readonly poll: (device: string) => Effect.Effect<Frame | FrameRecord, E, R>
  }): Layer.Layer<PollSource, never, R> => Layer.effect(PollSource, PollSource.make(options))
}

const isNames = (devices: object): devices is ReadonlyArray<string> => Array.isArray(devices)

const isFrame = (reply: Frame | FrameRecord): reply is Frame => reply["format"] instanceof FrameFormat

const toDeviceError = (device: string, cause: Cause.Cause<unknown>): DeviceError => {
  const error = Cause.squash(cause)
  if (error instanceof DeviceError) return error
  return new DeviceError({
    device,
    reason: "Unknown",
    detail: error instanceof Error && error.message !== "" ? error.message : String(error),
    cause: error
  })
}
