/**
 * Alicat mass-flow and pressure instruments as a `PollSource`: devices on ports, one command in flight a port, all ports in
 * parallel.
 *
 *     Alicat.layer({ devices: { fuel: { port: "/dev/ttyUSB0" }, air: { port: "/dev/ttyUSB1", unit: "B" } } })
 *
 * Devices can also push their readings by themselves, one on each port:
 *
 *     Alicat.stream("fuel", { interval: "10 millis" })
 */
import {
  type Device,
  type DeviceError,
  InvalidOptionError,
  PollSource,
  PushRecorder,
  type Sample,
  type SourceDependencyError,
  type SourceOpenError,
  type Tick
} from "@sampleline/core"
import { Context, type Duration, Effect, Formatter, Layer, type Scope, Stream } from "effect"
import { openBus } from "./Bus.ts"
import type { Outcome } from "./Outcome.ts"
import { type DeviceOptions, millisOf, planPorts, validTimeout } from "./Plan.ts"

export { discover, type DiscoverOptions, type Discovery } from "./Discovery.ts"
export type { DeviceOptions } from "./Plan.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface AlicatOptions {
  /** The devices to record, by the names that their samples are to bear. */
  readonly devices: { readonly [name: string]: DeviceOptions }
  /** How long a device may take to answer. Default: 500 milliseconds. */
  readonly timeout?: Duration.Input | undefined
  /**
   * Open although devices or ports are not there: they are failures of each tick until they are, and recorded from then on.
   * Default: false.
   */
  readonly allowMissing?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface StreamOptions {
  /** The time between two readings, in whole milliseconds; 0 is as fast as the device can. Default: what the device is set to. */
  readonly interval?: Duration.Input | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface StreamingOptions extends StreamOptions, Omit<PushRecorder.PushOptions, "devices"> {
  /** Names of the devices, one on each port. Default: all. */
  readonly devices?: ReadonlyArray<string> | undefined
}

/**
 * The instruments beside their being a `PollSource`.
 *
 * @since 0.1.0
 * @category services
 */
export class Instruments extends Context.Service<Instruments, {
  readonly devices: ReadonlyArray<Device>
  /** Fails where these devices are unknown, or two of them are on one port. */
  readonly checkStreaming: (names: ReadonlyArray<string>) => Effect.Effect<void, InvalidOptionError>
  /** What the devices send by themselves, each every so many milliseconds, and why one does not. */
  readonly pushed: (
    names: ReadonlyArray<string>,
    intervalMillis: number | undefined
  ) => Stream.Stream<Outcome, DeviceError>
}>()("@sampleline/alicat/Instruments") {}

/**
 * @since 0.1.0
 * @category errors
 */
export type AlicatError = InvalidOptionError | SourceOpenError | SourceDependencyError

/**
 * Opens the ports, finds out who is there, and gives the source. The scope closes the ports.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function*(
  options: AlicatOptions
): Effect.fn.Return<PollSource["Service"] & Instruments["Service"], AlicatError, Scope.Scope> {
  const timeout = yield* validTimeout(options.timeout ?? "500 millis")
  const plans = yield* planPorts(options.devices)
  const busOptions = { timeout, allowMissing: options.allowMissing ?? false }
  const buses = yield* Effect.forEach(plans, (plan) => openBus(plan, busOptions), { concurrency: "unbounded" })
  const order = Object.keys(options.devices)
  const busOf = new Map(buses.flatMap((bus) => bus.devices().map(({ name }) => [name, bus])))
  return {
    get devices() {
      return buses.flatMap((bus) => bus.devices()).toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
    },
    buses: buses.map(({ timing }) => timing),
    poll: Effect.fnUntraced(function*(names) {
      const wanted = new Set(names)
      const outcomes = yield* Effect.forEach(buses, (bus) => bus.poll(wanted), { concurrency: "unbounded" })
      const byName = new Map(outcomes.flat().map((outcome) => [outcome.device, outcome]))
      const inOrder = names.flatMap((name) => byName.get(name) ?? [])
      return {
        readings: inOrder.filter((outcome) => "frame" in outcome),
        failures: inOrder.filter((outcome) => "error" in outcome)
      }
    }),
    checkStreaming: Effect.fnUntraced(function*(names) {
      const unknown = names.find((name) => !busOf.has(name))
      if (unknown !== undefined) {
        return yield* new InvalidOptionError({
          option: "device",
          value: unknown,
          expected: `one of ${order.join(", ")}`
        })
      }
      const twin = names.find((name, at) => names.slice(0, at).some((other) => busOf.get(other) === busOf.get(name)))
      if (twin === undefined) return
      const bus = busOf.get(twin)!
      return yield* new InvalidOptionError({
        option: "devices",
        value: names.filter((name) => busOf.get(name) === bus).join(", "),
        expected: `one device to stream on ${bus.name}, for nothing else can be heard there meanwhile`
      })
    }),
    pushed: (names, intervalMillis) =>
      Stream.mergeAll(names.map((name) => busOf.get(name)!.pushed(name, intervalMillis)), {
        concurrency: "unbounded"
      })
  }
}, Effect.withSpan("sampleline.open"))

/**
 * `make` as a layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: AlicatOptions): Layer.Layer<PollSource | Instruments, AlicatError> =>
  Layer.effectContext(
    Effect.map(make(options), (made) => Context.make(PollSource, made).pipe(Context.add(Instruments, made)))
  )

/**
 * Fails as `recordStreaming` would before it tells a device to begin; gives the interval in milliseconds.
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
 * Records what the devices send by themselves: a tick for each reading and each failure, for `pipeToSink`. A device is told to
 * begin when the stream runs, and stopped when it ends, however it ends; meanwhile any other request to its port fails at once.
 * Both times of a sample are those of its arrival.
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
      devices: instruments.devices.filter(({ name }) => names.includes(name))
    })
  }))

/**
 * The samples that a device sends by itself; its failures are logged. See `recordStreaming`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const stream = (
  device: string,
  options: StreamOptions = {}
): Stream.Stream<Sample, InvalidOptionError | DeviceError, Instruments> =>
  Stream.flatMap(recordStreaming({ devices: [device], ...options }), (tick) => Stream.fromIterable(tick.samples))

const validInterval = (value: Duration.Input | undefined): Effect.Effect<number | undefined, InvalidOptionError> => {
  if (value === undefined) return Effect.succeed(value)
  const millis = millisOf(value)
  return Number.isSafeInteger(millis) && millis >= 0 && millis <= MAX_INTERVAL_MILLIS
    ? Effect.succeed(millis)
    : Effect.fail(
      new InvalidOptionError({
        option: "interval",
        value: Formatter.format(value),
        expected: `whole milliseconds from 0 to ${MAX_INTERVAL_MILLIS}, such as "10 millis"`
      })
    )
}

const MAX_INTERVAL_MILLIS = 65_535
