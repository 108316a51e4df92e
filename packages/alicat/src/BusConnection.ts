/**
 * The open port of a bus. If it vanishes, it is opened again as soon as it is back. It is also opened again if it gives nothing
 * but failures.
 */
import { SampleClock, type SourceDependencyError, type SourceOpenError } from "@sampleline/core"
import { type Duration, Effect, Exit, Schedule, Scope } from "effect"
import { connect } from "./BaudSearch.ts"
import type { ColumnChecks } from "./ColumnChecks.ts"
import type { DeviceSlot } from "./DeviceSlot.ts"
import { answers, type OpenDevice, openDevice, warnOfUnknownTypes } from "./OpenDevice.ts"
import { OutstandingReplies } from "./OutstandingReplies.ts"
import { mayExist } from "./Place.ts"
import type { PortPlan } from "./Plan.ts"
import type { Port } from "./Port.ts"

export interface ConnectionOptions {
  readonly timeout: Duration.Duration
  /** Go on without missing devices. */
  readonly allowMissing: boolean
}

/** A port that is gone is tried again after the first interval; the intervals grow to the last. */
const REOPEN = Schedule.min([Schedule.exponential("50 millis", 1.5), Schedule.spaced("250 millis")])
/** Missing devices are looked for this long after the port was opened. The same wait comes before each further look. */
const LOOK_AFTER = "1 second"
/** The pause after each look, if no other device waits for the port. */
const LOOK_AGAIN = Schedule.spaced("1 second")
/** How often requests that may time out are repeated while other devices on the port wait for it. */
export const AGAIN_SHARED = Schedule.min([Schedule.exponential("4 seconds"), Schedule.spaced("20 seconds")])

export class BusConnection {
  private readonly plan: PortPlan
  private readonly slots: ReadonlyArray<DeviceSlot>
  private readonly columnChecks: ColumnChecks
  private readonly options: ConnectionOptions
  /** Of the open port; null while it is closed. */
  private scope: Scope.Closeable | null = null
  /** The rates to try: the one that was found, once it is known. */
  private bauds: ReadonlyArray<number>
  /** Late replies may come after the port was opened again. */
  private readonly outstanding: OutstandingReplies

  constructor(
    plan: PortPlan,
    slots: ReadonlyArray<DeviceSlot>,
    columnChecks: ColumnChecks,
    options: ConnectionOptions
  ) {
    this.plan = plan
    this.slots = slots
    this.columnChecks = columnChecks
    this.options = options
    this.bauds = plan.bauds
    this.outstanding = new OutstandingReplies(options.timeout)
  }

  /** Opens the port and looks for its devices. Waits until no reply to an earlier request can come any more. */
  get open(): Effect.Effect<Port, SourceOpenError | SourceDependencyError> {
    return Effect.andThen(this.allQuiet, this.openNow)
  }

  private readonly allQuiet = Effect.gen({ self: this }, function*() {
    const clock = yield* SampleClock.current
    const left = () => this.outstanding.nanosUntilQuiet(clock.monotonicNanos())
    // Timers may end early.
    while (left() > 0) yield* Effect.sleep(left() / 1e6)
    this.outstanding.clearQuiet(clock.monotonicNanos())
  })

  private get openNow(): Effect.Effect<Port, SourceOpenError | SourceDependencyError> {
    return Effect.flatMap(Scope.make(), (scope) =>
      Effect.gen({ self: this }, function*() {
        const { baud, port } = yield* Scope.provide(
          connect({ ...this.plan, bauds: this.bauds }, this.options.timeout, this.outstanding),
          scope
        )
        this.bauds = baud === null ? [] : [baud]
        yield* Effect.forEach(this.slots, (slot) => this.find(port, slot, baud))
        this.scope = scope
        return port
      }).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
        Effect.tapError((error) =>
          Effect.sync(() => {
            for (const slot of this.slots) slot.portNotOpened(error)
          })
        )
      ))
  }

  get close(): Effect.Effect<void> {
    return this.closeBecause("is closed")
  }

  private closeBecause(why: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { scope } = this
      this.scope = null
      for (const slot of this.slots) slot.portClosed(why)
      return scope === null ? Effect.void : Scope.close(scope, Exit.void)
    })
  }

  /** Looks for missing devices while the port is open, and opens it again when it is back. `opened` is null if it is closed. */
  readonly keepOpen = Effect.fnUntraced(
    { self: this },
    function*(opened: Port | null): Effect.fn.Return<never, SourceOpenError | SourceDependencyError> {
      const { given } = this.plan
      let port = opened
      while (true) {
        if (port === null) {
          yield* this.untilThere
          port = yield* Effect.retry(this.open, REOPEN)
          yield* Effect.logInfo(`${given} is open`)
        }
        const [event, why] = yield* Effect.raceAllFirst([
          Effect.as(port.closed, ["is gone; it is opened again as soon as it is back", "is missing"] as const),
          Effect.as(
            port.givesOnlyFailures,
            [
              "gives nothing but failures; it is opened again",
              "gave nothing but failures; it is being opened again"
            ] as const
          ),
          this.lookAgain(port)
        ])
        port = null
        yield* Effect.logWarning(`${given} ${event}`)
        yield* this.closeBecause(why)
      }
    }
  )

  /** Looks for a device. Without `allowMissing` it must answer the first time. */
  private find(port: Port, slot: DeviceSlot, baud: number | null): Effect.Effect<void, SourceOpenError> {
    const opening = Effect.tap(
      openDevice(port, slot.unit, baud, slot.device.format),
      () => Effect.ignore(port.settle(slot.unit.unitId))
    )
    const found = Effect.matchEffect(opening, {
      onSuccess: (opened) => {
        const { wasFound } = slot
        slot.opened(opened)
        // Why it is not polled is a failure of each tick.
        if (slot.isMissing) return Effect.void
        return Effect.andThen(Effect.logInfo(describe(opened)), wasFound ? Effect.void : warnOfUnknownTypes(opened))
      },
      onFailure: (error) => {
        if (!slot.wasFound && !this.options.allowMissing) return Effect.fail(error)
        slot.didNotAnswer(error)
        return Effect.void
      }
    })
    return Effect.annotateLogs(found, { device: slot.unit.name })
  }

  private lookAgain(port: Port): Effect.Effect<never> {
    const baud = this.bauds[0] ?? null
    return Effect.gen({ self: this }, function*() {
      for (const slot of this.slots.filter((slot) => slot.isMissing && !this.columnChecks.looksAt(slot))) {
        if (yield* answers(port, slot.unit)) {
          port.gaveReading()
          yield* Effect.ignore(this.find(port, slot, baud))
        } else port.gaveFailure()
      }
    }).pipe(
      Effect.delay(LOOK_AFTER),
      Effect.repeat({ schedule: this.slots.length > 1 ? AGAIN_SHARED : LOOK_AGAIN }),
      Effect.andThen(Effect.never)
    )
  }

  /** Opening a tty that does not exist lists all ports of the machine, which is slow. */
  private get untilThere(): Effect.Effect<unknown> {
    return Effect.repeat(Effect.sync(() => mayExist(this.plan)), { schedule: REOPEN, until: (isThere) => isThere })
  }
}

const describe = ({ device: { identity, name, unitId }, port }: OpenDevice): string =>
  `${name} is unit ${unitId} on ${port.path}: ${
    identity === null
      ? "identity unknown"
      : `${identity.model ?? "model unknown"}, serial number ${identity.serialNumber ?? "unknown"}`
  }`
