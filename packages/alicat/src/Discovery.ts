/**
 * Finds out which devices answer where: asks every unit id on every port at every baud rate.
 *
 * The search is bounded: ports × baud rates × units tries, each with a time-out, all ports at once. When a device answers, no
 * other baud rate is tried on its port. When a device is heard to stream, nothing more is sent to its port: the command that
 * stops it would need its unit id.
 */
import {
  type DeviceIdentity,
  type FrameFormat,
  InvalidOptionError,
  positiveDuration,
  type SourceDependencyError,
  type SourceOpenError
} from "@sampleline/core"
import { type Duration, Effect, Queue, type Scope, Stream } from "effect"
import { answers, openDevice } from "./OpenDevice.ts"
import { locate, openPlace, type Place } from "./Place.ts"
import { DEFAULT_BAUDS, validBaud } from "./Plan.ts"
import type { RequestError } from "./RequestError.ts"
import { listPorts } from "./transport/SerialTransport.ts"
import { UNIT_IDS, validUnit } from "./wire/UnitId.ts"
import { quoteBytes } from "./wire/WireError.ts"

/**
 * Where to search.
 *
 * @since 0.1.0
 * @category options
 */
export interface DiscoverOptions {
  /** Ttys, COM names or `tcp://host:port`. Default: the serial ports of this machine. */
  readonly ports?: ReadonlyArray<string> | undefined
  /** Unit ids. Default: `A` to `Z`. */
  readonly units?: ReadonlyArray<string> | undefined
  /** Baud rates. Default: 19200, 115200, 38400, 9600 and 57600, in this order. */
  readonly bauds?: ReadonlyArray<number> | undefined
  /** How long a device may take to answer. Default: 200 milliseconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * What a search finds, and its progress.
 * - `Device`: a device that answers. It may be one that cannot be recorded.
 * - `Streams`: a device streams on the port, so its unit id is unknown.
 * - `Echoes`: no device answers on the port, but it sends back what it gets.
 * - `Heard`: no device answers on the port, but something else was heard: the last of it, quoted.
 * - `PortFailed`: the port cannot be opened.
 * - `Asking`: what is asked next, and how many of the tries are done.
 *
 * @since 0.1.0
 * @category models
 */
export type Discovery =
  | {
    readonly _tag: "Device"
    readonly port: string
    readonly unitId: string
    /** Null for TCP. */
    readonly baud: number | null
    /** Null if the device did not send it. */
    readonly identity: DeviceIdentity | null
    /** Null if the device did not send it. */
    readonly format: FrameFormat | null
    /** Why the device cannot be recorded; null if it can. */
    readonly problem: SourceOpenError | null
  }
  | { readonly _tag: "Streams"; readonly port: string; readonly baud: number | null }
  | { readonly _tag: "Echoes"; readonly port: string }
  | {
    readonly _tag: "Heard"
    readonly port: string
    readonly text: string
    /** Whether it goes on without a pause, and without a request. Then nothing is sent to the port. */
    readonly withoutEnd: boolean
  }
  | { readonly _tag: "PortFailed"; readonly port: string; readonly error: SourceOpenError | SourceDependencyError }
  | {
    readonly _tag: "Asking"
    readonly port: string
    readonly unitId: string
    readonly baud: number | null
    readonly done: number
    readonly of: number
  }

/**
 * Looks for devices. Ends when every port was searched. A stream without a `Device` has found none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const discover = (
  options: DiscoverOptions = {}
): Stream.Stream<Discovery, InvalidOptionError | SourceOpenError | SourceDependencyError> =>
  Stream.unwrap(Effect.map(planSearch(options), (plan) =>
    Stream.callback<Discovery>((queue) => {
      const search = new Search(plan, queue)
      return Effect.forEach(plan.places, (place) =>
        search.port(place).pipe(
          Effect.catch((error) =>
            error._tag === "SourceOpenError" || error._tag === "SourceDependencyError"
              ? Queue.offer(queue, { _tag: "PortFailed", port: place.given, error })
              : Effect.logWarning(`${place.given}: ${error.message}`)
          ),
          Effect.annotateLogs({ port: place.given })
        ), { concurrency: "unbounded", discard: true }).pipe(Effect.andThen(Queue.end(queue)))
    })))

interface SearchPlan {
  readonly places: ReadonlyArray<Place>
  readonly units: ReadonlyArray<string>
  readonly bauds: ReadonlyArray<number>
  readonly timeout: Duration.Duration
}

const planSearch = Effect.fnUntraced(function*(
  options: DiscoverOptions
): Effect.fn.Return<SearchPlan, InvalidOptionError | SourceOpenError | SourceDependencyError> {
  const timeout = yield* positiveDuration("timeout", options.timeout ?? "200 millis", "200 millis")
  const units = yield* Effect.forEach(options.units ?? UNIT_IDS, (unit) => validUnit("units", unit))
  const bauds = yield* Effect.forEach(options.bauds ?? DEFAULT_BAUDS, (baud) => validBaud("bauds", baud))
  for (const [option, values] of Object.entries({ units, bauds })) {
    if (values.length === 0) return yield* InvalidOptionError.of(option, values, "at least one")
  }
  const located = yield* Effect.forEach(options.ports ?? (yield* listPorts), (port) => locate("ports", port))
  return { places: [...new Map(located.map((place) => [place.path, place])).values()], units, bauds, timeout }
})

/** A search under way. `done` counts tries over all ports. */
class Search {
  private readonly plan: SearchPlan
  private readonly queue: Queue.Enqueue<Discovery>
  private readonly of: number
  private done = 0

  constructor(plan: SearchPlan, queue: Queue.Enqueue<Discovery>) {
    this.plan = plan
    this.queue = queue
    this.of = plan.places.reduce((sum, place) => sum + this.triesOn(place), 0)
  }

  /** Searches one port. Tries that it did not need count as done. */
  readonly port = Effect.fnUntraced({ self: this }, function*(
    place: Place
  ): Effect.fn.Return<unknown, SourceOpenError | SourceDependencyError | RequestError, Scope.Scope> {
    let asked = 0
    let talked = false
    yield* Effect.addFinalizer(() => Effect.sync(() => this.done += this.triesOn(place) - asked))
    const rates = this.ratesOf(place)
    const port = yield* openPlace(place, rates[0] ?? undefined, this.plan.timeout)
    for (const baud of rates) {
      if (rates.length > 1) yield* port.setBaud(baud!)
      const streams = Queue.offer(this.queue, { _tag: "Streams", port: place.given, baud })
      const talks = yield* port.talks
      if (port.heardPushed) return yield* streams
      // A device that streams at another baud rate is noise.
      if (talks) {
        talked = true
        continue
      }
      const answering: Array<string> = []
      for (const unitId of this.plan.units) {
        yield* Queue.offer(this.queue, {
          _tag: "Asking",
          port: place.given,
          unitId,
          baud,
          done: this.done,
          of: this.of
        })
        this.done++
        asked++
        if (yield* answers(port, { unitId })) answering.push(unitId)
        if (port.heardPushed) return yield* streams
      }
      if (answering.length === 1) {
        const [unitId] = answering as [string]
        yield* port.stopStreaming(unitId)
        yield* answers(port, { unitId })
      }
      for (const unitId of answering) {
        const device = yield* openDevice(port, { name: "the device", unitId, givenLayout: null }, baud).pipe(
          Effect.map(({ device: { format, identity } }) => ({ identity, format, problem: null })),
          Effect.catch((problem) => Effect.succeed({ identity: null, format: null, problem }))
        )
        yield* Queue.offer(this.queue, { _tag: "Device", port: place.given, unitId, baud, ...device })
      }
      if (answering.length > 0) return
    }
    if (port.heardEcho) yield* Queue.offer(this.queue, { _tag: "Echoes", port: place.given })
    else {
      const heard = talked ? port.lastBytes : port.lastHeard
      if (heard === null) return
      yield* Queue.offer(this.queue, { _tag: "Heard", port: place.given, text: quoteBytes(heard), withoutEnd: talked })
    }
  }, Effect.scoped)

  private ratesOf({ address }: Place): ReadonlyArray<number | null> {
    return address === null ? this.plan.bauds : [null]
  }

  private triesOn(place: Place): number {
    return this.ratesOf(place).length * this.plan.units.length
  }
}
