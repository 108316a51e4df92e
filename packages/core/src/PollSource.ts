/**
 * Where samples come from: one poll asks all devices. A source never fails. A device that fails is data.
 *
 * `PollSource.make` is for devices that can be asked independently. A source whose devices share a bus implements the service
 * itself.
 */
import { Cause, Context, Duration, Effect, Layer, Predicate } from "effect"
import { type Frame, FrameFormat, type FrameRecord } from "./Frame.ts"
import { InvalidOptionError } from "./InvalidOptionError.ts"
import { type Joined, joinLayers, type Layers } from "./joinLayers.ts"
import { messageOf } from "./messageOf.ts"
import type { Device, DeviceFailure, DeviceIdentity } from "./Sample.ts"
import { current as currentClock } from "./SampleClock.ts"
import { DeviceError } from "./SourceError.ts"

/**
 * One device's reply, with the times of its own request and reply.
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
 * Devices that share a bus, and so are asked one after the other.
 *
 * @since 0.1.0
 * @category models
 */
export interface PollBus {
  /** E.g. `/dev/ttyUSB0`. */
  readonly name: string
  /** How long each device took to answer when it was opened. */
  readonly roundTripSeconds: ReadonlyMap<string, number>
}

/**
 * What is known of a device. All of it is optional.
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
  /** Asks the device with this name. */
  readonly poll: (device: string) => Effect.Effect<Frame | FrameRecord, E, R>
  /** How long a device may take to answer. Default: 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * @since 0.1.0
 * @category services
 */
export class PollSource extends Context.Service<PollSource, {
  readonly devices: ReadonlyArray<Device>
  /**
   * Asks each of the named devices once. `nextPollAtNanos` is when the next poll is due, by the monotonic clock; `undefined` if
   * that is not known. A source may use the time between, but must not be late for the next poll.
   */
  readonly poll: (
    names: ReadonlyArray<string>,
    nextPollAtNanos?: number
  ) => Effect.Effect<PollResult>
  /** Buses that devices share. The recorder warns of a rate that they cannot reach. */
  readonly buses?: ReadonlyArray<PollBus> | undefined
  /** The machine that the devices are attached to. */
  readonly host?: string | undefined
}>()("@sampleline/core/PollSource") {
  /**
   * A source of devices that can be asked independently. `poll` gives a `Frame` or a plain object. If it fails or dies, that is
   * a failure of the device.
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
            // External interruption is not caught here. A poll that interrupts itself has failed.
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
   * Joins several sources. They poll side by side. Fails with `InvalidOptionError` if two devices have the same name.
   *
   * The other services of the layers are provided too. If two layers provide the same service, the last one is used.
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
    host: sources.find(({ host }) => host !== undefined)?.host,
    poll: (names, nextPollAtNanos) =>
      Effect.map(
        Effect.forEach(
          sources,
          (source) => source.poll(names.filter((name) => sourceOf.get(name) === source), nextPollAtNanos),
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

/** Refuses what JavaScript lets through: a frame holds numbers, texts and nulls. */
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
