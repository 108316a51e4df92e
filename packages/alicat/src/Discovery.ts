/**
 * Which devices answer where: asks every unit id on every port at every baud rate.
 *
 * Bounded: ports × rates × units tries, each with a time-out, all ports at once; where a device answers no other rate is tried.
 * Nothing more is sent to a port on which a device is heard to stream: what stops it would also have to name its unit id.
 */
import {
  type DeviceIdentity,
  type FrameFormat,
  InvalidOptionError,
  type SourceDependencyError,
  type SourceOpenError
} from "@sampleline/core"
import { type Duration, Effect, Queue, Stream } from "effect"
import { answers, openAt, openDevice } from "./Connection.ts"
import { DEFAULT_BAUDS, locate, type Place, UNIT_IDS, validBaud, validTimeout, validUnit } from "./Plan.ts"
import { listPorts } from "./SerialTransport.ts"
import { stopStreamingCommand } from "./wire/PollLine.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface DiscoverOptions {
  /** Ttys, COM names or `tcp://host:port`. Default: the serial ports of this machine. */
  readonly ports?: ReadonlyArray<string> | undefined
  /** Default: `A` to `Z`. */
  readonly units?: ReadonlyArray<string> | undefined
  /** Default: 19200, then 115200. */
  readonly bauds?: ReadonlyArray<number> | undefined
  /** How long a device may take to answer. Default: 200 milliseconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * What a search comes upon, as it goes on: a device; a device that streams, so that its unit id is unknown; a port that cannot
 * be opened; and, of no interest but to who waits, what is asked next, with how many tries are done of how many there can be.
 *
 * @since 0.1.0
 * @category models
 */
export type Discovery =
  | {
    readonly _tag: "Device"
    readonly port: string
    readonly unitId: string
    /** Null behind TCP. */
    readonly baud: number | null
    /** Null where the device does not tell. */
    readonly identity: DeviceIdentity | null
    /** Null where the device does not tell. */
    readonly format: FrameFormat | null
  }
  | { readonly _tag: "Streams"; readonly port: string; readonly baud: number | null }
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
 * Looks for devices. Ends when every port was searched; a stream without a `Device` has found none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const discover = (
  options: DiscoverOptions = {}
): Stream.Stream<Discovery, InvalidOptionError | SourceDependencyError> =>
  Stream.unwrap(Effect.gen(function*() {
    const timeout = yield* validTimeout(options.timeout ?? "200 millis")
    const units = yield* Effect.forEach(options.units ?? UNIT_IDS, (unit) => validUnit("units", unit))
    const bauds = yield* Effect.forEach(options.bauds ?? DEFAULT_BAUDS, (baud) => validBaud("bauds", baud))
    for (const [option, { length }] of Object.entries({ units, bauds })) {
      if (length === 0) return yield* new InvalidOptionError({ option, value: "empty", expected: "at least one" })
    }
    const located = yield* Effect.forEach(options.ports ?? (yield* listPorts), (port) => locate("ports", port))
    const places = [...new Map(located.map((place) => [place.path, place])).values()]
    const ratesOf = ({ address }: Place): ReadonlyArray<number | null> => address === null ? bauds : [null]
    const of = places.reduce((sum, place) => sum + ratesOf(place).length * units.length, 0)
    let done = 0

    const search = Effect.fnUntraced(function*(place: Place, queue: Queue.Enqueue<Discovery>) {
      const rates = ratesOf(place)
      const tries = rates.length * units.length
      let asked = 0
      yield* Effect.addFinalizer(() => Effect.sync(() => done += tries - asked))
      const port = yield* openAt(place, rates[0] ?? undefined, timeout)
      for (const baud of rates) {
        if (rates.length > 1) yield* port.setBaud(baud!)
        const streams = Queue.offer(queue, { _tag: "Streams", port: place.given, baud })
        if (yield* port.isTalking) return yield* streams
        const answering: Array<string> = []
        for (const unitId of units) {
          yield* Queue.offer(queue, { _tag: "Asking", port: place.given, unitId, baud, done, of })
          done++
          asked++
          if (yield* answers(port, { unitId })) answering.push(unitId)
          if (port.heardPushed()) return yield* streams
        }
        if (answering.length === 1) yield* port.tell(stopStreamingCommand(answering[0]!))
        for (const unitId of answering) {
          const device = yield* openDevice(port, { name: unitId, unitId }, baud).pipe(
            Effect.map(({ device: { format, identity } }) => ({ identity, format })),
            Effect.orElseSucceed(() => ({ identity: null, format: null }))
          )
          yield* Queue.offer(queue, { _tag: "Device", port: place.given, unitId, baud, ...device })
        }
        if (answering.length > 0) return
      }
    }, Effect.scoped)

    return Stream.callback<Discovery>((queue) =>
      Effect.forEach(places, (place) =>
        search(place, queue).pipe(
          Effect.catch((error) =>
            error._tag === "SourceOpenError" || error._tag === "SourceDependencyError"
              ? Queue.offer(queue, { _tag: "PortFailed", port: place.given, error })
              : Effect.logWarning(`${place.given}: ${error.message}`)
          )
        ), { concurrency: "unbounded", discard: true }).pipe(Effect.andThen(Queue.end(queue)))
    )
  }))
