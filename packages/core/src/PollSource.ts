/**
 * Where samples come from: one try at every device, all at once. A source never fails; a device that fails is data.
 *
 * Limits: one reading a device and poll. A source with its own bus order (several devices on one port) implements the
 * service itself; `PollSource.make` is for devices that can be asked independently.
 */
import { Cause, Context, Duration, Effect, Layer, Predicate } from "effect"
import { type Frame, FrameFormat, type FrameRecord } from "./Frame.ts"
import { type Joined, joinLayers, type Layers } from "./internal/joinLayers.ts"
import { InvalidOptionError } from "./InvalidOptionError.ts"
import { messageOf } from "./messageOf.ts"
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
 * Devices that are asked one after the other, because they share a bus.
 *
 * @since 0.1.0
 * @category models
 */
export interface PollBus {
  /** What it is called, e.g. `/dev/ttyUSB0`. */
  readonly name: string
  /** How long each of its devices took to answer when it was opened. */
  readonly roundTripSeconds: ReadonlyMap<string, number>
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
 * @category options
 */
export interface PollSourceOptions<E, R> {
  readonly devices: { readonly [name: string]: DeviceOptions } | ReadonlyArray<string>
  /** Asks one device by its name. */
  readonly poll: (device: string) => Effect.Effect<Frame | FrameRecord, E, R>
  /** How long a try at a device may take before it is a failure. Default: 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * @since 0.1.0
 * @category services
 */
export class PollSource extends Context.Service<PollSource, {
  readonly devices: ReadonlyArray<Device>
  /** One try at each of the named devices. */
  readonly poll: (names: ReadonlyArray<string>) => Effect.Effect<PollResult>
  /** The buses of devices that cannot be asked independently: a rate that they cannot reach is warned of. */
  readonly buses?: ReadonlyArray<PollBus> | undefined
}>()("@sampleline/core/PollSource") {
  /**
   * A source of devices that can be asked independently. `poll` asks one device by its name and gives a `Frame` or a plain
   * object; whatever it fails or dies with becomes a failure of that device.
   */
  static readonly make = Effect.fnUntraced(
    function*<E, R>(options: PollSourceOptions<E, R>): Effect.fn.Return<PollSource["Service"], never, R> {
      const context = yield* Effect.context<R>()
      const clock = yield* currentClock
      const timeout = Duration.fromInputUnsafe(options.timeout ?? "5 seconds")
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
        checkReply(device.name, reply)
        const format = device.format?.extended(reply) ?? FrameFormat.fromRecord(reply)
        if (format !== device.format) devices.set(device.name, { ...device, format })
        return format.frame(reply)
      }

      const pollOne = (name: string): Effect.Effect<Reading | DeviceFailure> =>
        Effect.suspend(() => {
          const device = devices.get(name)!
          const requestedAt = clock.epochMicros()
          const requestedMonotonicNanos = clock.monotonicNanos()
          return Effect.suspend(() => options.poll(name)).pipe(
            Effect.provideContext(context),
            Effect.timeoutOrElse({ duration: timeout, orElse: () => timedOut(name, timeout) }),
            Effect.map((reply): Reading => ({
              device: name,
              unitId: device.unitId,
              requestedAt,
              receivedAt: clock.epochMicros(),
              requestedMonotonicNanos,
              receivedMonotonicNanos: clock.monotonicNanos(),
              frame: toFrame(device, reply)
            })),
            // An interruption from outside passes by this; one of poll's own is a failure like any other.
            Effect.catchCause((cause) =>
              Effect.succeed<DeviceFailure>({
                device: name,
                error: toDeviceError(name, Cause.squash(cause)),
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
    }
  )

  /** `make` as a layer. */
  static readonly layer = <E, R>(options: PollSourceOptions<E, R>): Layer.Layer<PollSource, never, R> =>
    Layer.effect(PollSource, PollSource.make(options))

  /**
   * Several sources as one. Each polls its own devices, side by side. Fails with `InvalidOptionError` if two of them have a
   * device of the same name.
   *
   * The sources' other services are provided too; of two of one kind, the last one's.
   */
  static readonly layerAll = <const L extends Layers<PollSource>>(
    layers: L
  ): Joined<PollSource, L, InvalidOptionError> => joinLayers(PollSource, layers, join)
}

const join = Effect.fnUntraced(function*(sources: ReadonlyArray<PollSource["Service"]>) {
  const sourceOf = new Map<string, PollSource["Service"]>()
  for (const source of sources) {
    for (const { name } of source.devices) {
      if (sourceOf.has(name)) {
        return yield* InvalidOptionError.of("layerAll", name, "devices with different names; two sources have this one")
      }
      sourceOf.set(name, source)
    }
  }
  return PollSource.of({
    get devices() {
      return sources.flatMap((source) => source.devices)
    },
    buses: sources.flatMap((source) => source.buses ?? []),
    poll: (names) =>
      Effect.map(
        Effect.forEach(
          sources,
          (source) => source.poll(names.filter((name) => sourceOf.get(name) === source)),
          { concurrency: "unbounded" }
        ),
        (results) => {
          const byName = <A extends { readonly device: string }>(outcomes: ReadonlyArray<A>) =>
            outcomes.toSorted((a, b) => names.indexOf(a.device) - names.indexOf(b.device))
          return {
            readings: byName(results.flatMap((result) => result.readings)),
            failures: byName(results.flatMap((result) => result.failures))
          }
        }
      )
  })
})

const isNames = (devices: object): devices is ReadonlyArray<string> => Array.isArray(devices)

const isFrame = (reply: unknown): reply is Frame =>
  Predicate.isObject(reply) && "format" in reply && reply.format instanceof FrameFormat

const timedOut = (device: string, timeout: Duration.Duration) =>
  Effect.fail(new DeviceError({ device, reason: "Timeout", detail: `no reply within ${Duration.format(timeout)}` }))

const withArticle = (noun: string): string => `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`

/** A frame can hold numbers, texts and nulls. JavaScript can hand over anything. */
const checkReply = (device: string, reply: unknown): void => {
  const refuse = (found: string) => {
    throw new DeviceError({
      device,
      reason: "Malformed",
      detail: `poll gave ${found}: expected an object of numbers, texts and nulls`
    })
  }
  if (!Predicate.isObject(reply)) {
    return refuse(reply === null ? "null" : Array.isArray(reply) ? "an array" : withArticle(typeof reply))
  }
  for (const [field, value] of Object.entries(reply)) {
    if (value !== null && value !== undefined && typeof value !== "number" && typeof value !== "string") {
      refuse(`${withArticle(typeof value)} for ${field}`)
    }
  }
}

const toDeviceError = (device: string, error: unknown): DeviceError => {
  if (error instanceof DeviceError) return error
  return new DeviceError({
    device,
    reason: "Unknown",
    detail: messageOf(error),
    cause: error
  })
}
