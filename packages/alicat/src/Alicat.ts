/**
 * Alicat mass-flow and pressure instruments as a `PollSource`. Each port has one request at a time; all ports are polled in
 * parallel.
 *
 *     Alicat.layer({ devices: { fuel: { port: "/dev/ttyUSB0" }, air: { port: "/dev/ttyUSB1", unit: "B" } } })
 *
 * Devices can also send readings by themselves, one device on each port:
 *
 *     Alicat.stream("fuel", { interval: "10 millis" })
 */
import {
  type Device,
  type DeviceError,
  InvalidOptionError,
  type PollResult,
  PollSource,
  positiveDuration,
  type SourceDependencyError,
  type SourceOpenError
} from "@sampleline/core"
import { Config, Context, type Duration, Effect, Layer, type Scope, Stream } from "effect"
import * as os from "node:os"
import { type Bus, openBus, pollOnce } from "./Bus.ts"
import type { Outcome } from "./Outcome.ts"
import { type DeviceOptions, planPorts } from "./Plan.ts"
import { Instruments } from "./Streaming.ts"

export { discover, type DiscoverOptions, type Discovery } from "./Discovery.ts"
export type { DeviceOptions } from "./Plan.ts"
export {
  checkStreaming,
  Instruments,
  recordStreaming,
  stream,
  type StreamingOptions,
  type StreamOptions
} from "./Streaming.ts"

/**
 * The instruments to record.
 *
 * @since 0.1.0
 * @category options
 */
export interface AlicatOptions {
  // A Record, because Config.Wrap does not look into an index signature.
  /** The devices, by the names that their samples carry. */
  readonly devices: Readonly<Record<string, DeviceOptions>>
  /** How long a device may take to answer. Default: 500 milliseconds. */
  readonly timeout?: Duration.Input | undefined
  /**
   * Open although devices or ports are missing. A missing device is a failure of each tick, and is recorded as soon as it is there.
   * Default: false.
   */
  readonly allowMissing?: boolean | undefined
}

/**
 * Why the instruments could not be opened.
 *
 * @since 0.1.0
 * @category errors
 */
export type AlicatError = InvalidOptionError | SourceOpenError | SourceDependencyError

/**
 * Opens the ports and finds the devices. The scope closes the ports.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function*(
  options: AlicatOptions
): Effect.fn.Return<PollSource["Service"] & Instruments["Service"], AlicatError, Scope.Scope> {
  const timeout = yield* positiveDuration("timeout", options.timeout ?? "500 millis", "500 millis")
  const plans = yield* planPorts(options.devices)
  const connectionOptions = { timeout, allowMissing: options.allowMissing ?? false }
  const buses = yield* Effect.forEach(plans, (plan) => openBus(plan, connectionOptions), { concurrency: "unbounded" })
  const order = Object.keys(options.devices)
  const busOf = new Map(order.map((name) => [name, buses.find((bus) => bus.has(name))!]))
  return {
    get devices() {
      return buses.flatMap((bus) => bus.devices).toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
    },
    buses: buses.map(({ timing }) => timing),
    host: os.hostname(),
    poll: (names, nextPollAtNanos) => pollBuses(buses, names, nextPollAtNanos),
    checkStreaming: (names) => checkPorts(busOf, names),
    pushed: (names, intervalMillis) => pushedBy(busOf, names, intervalMillis)
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
 * The layer with options from the configuration.
 *
 * @example
 * Alicat.layerConfig({ devices: { fuel: { port: Config.String("FUEL_PORT") } } })
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Wrap<AlicatOptions>
): Layer.Layer<PollSource | Instruments, AlicatError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

/**
 * @since 0.1.0
 * @category options
 */
export interface CheckOptions extends Omit<AlicatOptions, "allowMissing"> {
  /** Whether the devices stream, one on each port. Default: false. */
  readonly stream?: boolean | undefined
}

/**
 * One poll of each device, and what is known of the devices.
 *
 * @since 0.1.0
 * @category models
 */
export interface CheckResult extends PollResult {
  readonly devices: ReadonlyArray<Device>
}

/**
 * Opens the ports, polls each device once, and closes the ports. A device that cannot be opened or polled is a failure, and the
 * other devices are polled all the same. The cause of a failure is the error that `make` would fail with.
 *
 * @since 0.1.0
 * @category validation
 */
export const check = Effect.fnUntraced(function*(
  options: CheckOptions
): Effect.fn.Return<CheckResult, InvalidOptionError> {
  const timeout = yield* positiveDuration("timeout", options.timeout ?? "500 millis", "500 millis")
  const plans = yield* planPorts(options.devices)
  const order = Object.keys(options.devices)
  if (options.stream) {
    const portOf = new Map(
      plans.map(({ given, units }) => [{ name: given }, units] as const).flatMap(([port, units]) =>
        units.map(({ name }) => [name, port] as const)
      )
    )
    yield* checkPorts(portOf, order)
  }
  const polled = yield* Effect.forEach(plans, (plan) => pollOnce(plan, timeout), { concurrency: "unbounded" })
  const devices = polled.flatMap((bus) => bus.devices)
  return {
    devices: devices.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name)),
    ...inOrder(order, polled.flatMap((bus) => bus.outcomes))
  }
}, Effect.withSpan("sampleline.check"))

type BusOf = ReadonlyMap<string, Bus>

const pollBuses = Effect.fnUntraced(function*(
  buses: ReadonlyArray<Bus>,
  names: ReadonlyArray<string>,
  nextPollAtNanos: number | undefined
) {
  const wanted = new Set(names)
  const outcomes = yield* Effect.forEach(buses, (bus) => bus.poll(wanted, nextPollAtNanos), {
    concurrency: "unbounded"
  })
  return inOrder(names, outcomes.flat())
})

const inOrder = (names: ReadonlyArray<string>, outcomes: ReadonlyArray<Outcome>): PollResult => {
  const byName = new Map(outcomes.map((outcome) => [outcome.device, outcome]))
  const sorted = names.flatMap((name) => byName.get(name) ?? [])
  return {
    readings: sorted.filter((outcome) => "frame" in outcome),
    failures: sorted.filter((outcome) => "error" in outcome)
  }
}

const checkPorts = Effect.fnUntraced(function*(
  busOf: ReadonlyMap<string, Pick<Bus, "name">>,
  names: ReadonlyArray<string>
): Effect.fn.Return<void, InvalidOptionError> {
  const unknown = names.find((name) => !busOf.has(name))
  if (unknown !== undefined) {
    return yield* InvalidOptionError.of("device", unknown, `one of ${[...busOf.keys()].join(", ")}`)
  }
  const twin = names.find((name, at) => names.slice(0, at).some((other) => busOf.get(other) === busOf.get(name)))
  if (twin === undefined) return
  const bus = busOf.get(twin)!
  return yield* new InvalidOptionError({
    option: "devices",
    value: names.filter((name) => busOf.get(name) === bus).join(", "),
    expected: `one device to stream on ${bus.name}; put the others on ports of their own`
  })
})

const pushedBy = (
  busOf: BusOf,
  names: ReadonlyArray<string>,
  intervalMillis: number | undefined
): Stream.Stream<Outcome, DeviceError> =>
  Stream.mergeAll(names.map((name) => busOf.get(name)!.pushed(name, intervalMillis)), { concurrency: "unbounded" })
