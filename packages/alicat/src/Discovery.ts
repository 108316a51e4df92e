/**
 * Finds out which devices answer where: asks every unit id on every port at every baud rate.
 *
 * The search is bounded: ports × baud rates × units tries, each with a time-out, all ports at once. When a device answers, no
 * other baud rate is tried on its port. When a device is heard to stream, nothing more is sent to its port: the command that
 * stops it would need its unit id.
 *
 * Most of the time nothing answers, so a unit has a short time at first, and the whole time-out only where something was heard.
 */
import {
  type DeviceIdentity,
  type FrameFormat,
  InvalidOptionError,
  positiveDuration,
  type SourceDependencyError,
  type SourceOpenError
} from "@sampleline/core"
import { Duration, Effect, Queue, type Scope, Stream } from "effect"
import { answers, openDevice } from "./OpenDevice.ts"
import { locate, openPlace, type Place } from "./Place.ts"
import { DEFAULT_BAUDS, validBaud } from "./Plan.ts"
import type { Port } from "./Port.ts"
import type { RequestError } from "./RequestError.ts"
import { sleepAwake } from "./Timeouts.ts"
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
  /** How long a device may take to answer. Default: 500 milliseconds. */
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
  readonly timeoutMs: number
}

const planSearch = Effect.fnUntraced(function*(
  options: DiscoverOptions
): Effect.fn.Return<SearchPlan, InvalidOptionError | SourceOpenError | SourceDependencyError> {
  const timeout = yield* positiveDuration("timeout", options.timeout ?? "500 millis", "500 millis")
  const units = yield* Effect.forEach(options.units ?? UNIT_IDS, (unit) => validUnit("units", unit))
  const bauds = yield* Effect.forEach(options.bauds ?? DEFAULT_BAUDS, (baud) => validBaud("bauds", baud))
  for (const [option, values] of Object.entries({ units, bauds })) {
    if (values.length === 0) return yield* InvalidOptionError.of(option, values, "at least one")
  }
  const located = yield* Effect.forEach(options.ports ?? (yield* listPorts), (port) => locate("ports", port))
  return {
    places: [...new Map(located.map((place) => [place.path, place])).values()],
    units,
    bauds,
    timeoutMs: Duration.toMillis(timeout)
  }
})

/** How long a unit has to answer at first, in milliseconds. */
const SHORT_MS = 200
/** A reply has more bytes, and an echo of a question has fewer. */
const SHORTEST_REPLY = 5

/** Units to be asked at a baud rate, and how long each has to answer. */
interface Round {
  readonly baud: number | null
  readonly units: ReadonlyArray<string>
  readonly afterMs: number
  /** Whether they were asked at this baud rate before. */
  readonly isAgain: boolean
}

/** The search of one port. */
interface Visit {
  readonly place: Place
  readonly port: Port
  /** How many of its tries are done. */
  asked: number
  /** How often each unit was asked that has not answered. */
  rounds: number
}

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
    let talked = false
    const rates = this.ratesOf(place)
    const port = yield* openPlace(place, rates[0] ?? undefined, Duration.millis(this.plan.timeoutMs))
    const visit: Visit = { place, port, asked: 0, rounds: 0 }
    yield* Effect.addFinalizer(() => Effect.sync(() => this.done += this.triesOn(place) - visit.asked))
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
      const answering = yield* this.unitsAt(baud, visit)
      if (port.heardPushed) return yield* streams
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

  /**
   * The units that answer at a baud rate. If more comes than their replies, a slow device may be there, or replies may have met on the
   * line: the others are asked again then, each with the whole time-out.
   */
  private readonly unitsAt = Effect.fnUntraced({ self: this }, function*(baud: number | null, visit: Visit) {
    const { timeoutMs, units } = this.plan
    const afterMs = Math.min(SHORT_MS, timeoutMs)
    const { answering, heardMore } = yield* this.ask(visit, { baud, units, afterMs, isAgain: false })
    if (!heardMore) return answering
    const silent = units.filter((unitId) => !answering.includes(unitId))
    const { answering: slow } = yield* this.ask(visit, { baud, units: silent, afterMs: timeoutMs, isAgain: true })
    return [...answering, ...slow]
  })

  /** Asks units, one after the other. When it ends, every reply had the whole time-out to come. */
  private readonly ask = Effect.fnUntraced(
    { self: this },
    function*(visit: Visit, { afterMs, baud, isAgain, units }: Round) {
      const { place, port } = visit
      const answering: Array<string> = []
      let heardMore = false
      for (const unitId of units) {
        const done = isAgain ? this.done - 1 : this.done
        yield* Queue.offer(this.queue, { _tag: "Asking", port: place.given, unitId, baud, done, of: this.of })
        if (!isAgain) {
          this.done++
          visit.asked++
        }
        const before = port.bytesHeard
        if (yield* this.answersNow(visit, unitId, afterMs)) answering.push(unitId)
        else heardMore ||= port.bytesHeard - before >= SHORTEST_REPLY
        if (port.heardPushed) return { answering, heardMore: false }
      }
      visit.rounds++
      const before = port.bytesHeard
      if (answering.length < units.length) yield* sleepAwake(this.plan.timeoutMs - afterMs)
      return { answering, heardMore: heardMore || port.bytesHeard - before >= SHORTEST_REPLY }
    }
  )

  /**
   * Whether a unit answers now. What comes may be a late reply to an earlier question, at another baud rate. A device answers in order, so
   * it must answer as often as it was asked before, and once more.
   */
  private readonly answersNow = Effect.fnUntraced(function*({ port, rounds }: Visit, unitId: string, afterMs: number) {
    for (let round = 0; round <= rounds; round++) {
      if (!(yield* answers(port, { unitId }, afterMs))) return false
    }
    return true
  })

  private ratesOf({ address }: Place): ReadonlyArray<number | null> {
    return address === null ? this.plan.bauds : [null]
  }

  private triesOn(place: Place): number {
    return this.ratesOf(place).length * this.plan.units.length
  }
}
