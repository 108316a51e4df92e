/**
 * Alarms of a recording: an operator over its ticks. They pass through unchanged and in order.
 *
 * Readings are looked at as they pass (`AlarmWatch.ts`). What no tick tells is looked at each second: silent devices, outputs that are
 * behind, and room on disks. A change of an alarm is logged, becomes an event of the recording (`AlarmRaised`, `AlarmCleared`), and is
 * given to `onChange`.
 */
import { type Device, Recorder, SampleClock, type Tick } from "@sampleline/core"
import { Duration, Effect, Stream } from "effect"
import { misfit, noSuch, refuse } from "./AlarmColumns.ts"
import { type AlarmExpression, type AlarmExpressionError, parse } from "./AlarmExpression.ts"
import type { Moment } from "./AlarmState.ts"
import { type AlarmChange, AlarmWatch, type DiskRoom, type OutputBacklog } from "./AlarmWatch.ts"

export type { AlarmChange, DiskRoom, OutputBacklog } from "./AlarmWatch.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface AlarmOptions {
  /** E.g. `fuel.Mass_Flow < 90 for 5s`. */
  readonly alarms: ReadonlyArray<string>
  /** The devices of the ticks. */
  readonly devices: ReadonlyArray<Pick<Device, "name" | "format">>
  /** The room on disks, for alarms such as `disk < 1GB`. Asked each second. Default: such alarms are refused. */
  readonly disks?: Effect.Effect<ReadonlyArray<DiskRoom>> | undefined
  /** How far outputs are, for alarms such as `output is behind 1min`. Asked each second. Default: such alarms are refused. */
  readonly outputs?: Effect.Effect<ReadonlyArray<OutputBacklog>> | undefined
  /** Called with each change that is told. It holds up the ticks, so it should only hand the change on. Default: nothing. */
  readonly onChange?: ((change: AlarmChange) => Effect.Effect<void>) | undefined
}

/**
 * The alarms that these texts describe. Fails for one that cannot be understood, or that does not fit the devices and the names of
 * the outputs, where these are given.
 *
 * @since 0.1.0
 * @category validation
 */
export const check = (
  { alarms, devices, outputs }: {
    readonly alarms: ReadonlyArray<string>
    readonly devices?: AlarmOptions["devices"] | undefined
    readonly outputs?: ReadonlyArray<string> | undefined
  }
): Effect.Effect<ReadonlyArray<AlarmExpression>, AlarmExpressionError> =>
  Effect.forEach(alarms, (text) =>
    Effect.flatMap(Effect.fromResult(parse(text)), (alarm) => {
      const problem = (devices === undefined ? undefined : misfit(alarm, devices))
        ?? (outputs === undefined ? undefined : misfitOfOutput(alarm, outputs))
      return problem === undefined ? Effect.succeed(alarm) : Effect.fail(problem)
    }))

const misfitOfOutput = (alarm: AlarmExpression, outputs: ReadonlyArray<string>): AlarmExpressionError | undefined => {
  const { condition, places } = alarm
  if (condition._tag !== "Behind" || condition.output === null || outputs.includes(condition.output)) return
  return refuse(alarm, places.name, noSuch("output", condition.output, outputs))
}

const LOOK_SECONDS = 1

/**
 * Watches ticks. The alarms are checked against the devices before the first tick is asked for. Put it in front of operators that
 * leave out samples, which it would not see.
 *
 * @example
 * Recorder.record({ rateHz: 10 }).pipe(
 *   Alarms.run({ alarms: ["fuel.Mass_Flow < 90 for 5s", "* is silent for 10s"], devices }),
 *   pipeToSink()
 * )
 *
 * @since 0.1.0
 * @category combinators
 */
export const run =
  (options: AlarmOptions) =>
  <E, R>(ticks: Stream.Stream<Tick, E, R>): Stream.Stream<Tick, E | AlarmExpressionError, R> =>
    Stream.unwrap(Effect.gen(function*() {
      const alarms = yield* check({ alarms: options.alarms, devices: options.devices })
      yield* Effect.forEach(alarms, (alarm) => expectTold(alarm, options), { discard: true })
      const clock = yield* SampleClock.current
      const now = (): Moment => ({ at: clock.epochMicros(), nanos: clock.monotonicNanos() })
      const watch = new AlarmWatch(alarms, options.devices, now())

      const tell = Effect.fnUntraced(function*(change: AlarmChange) {
        yield* change.state === "raised" || change.count > 1
          ? Effect.logWarning(change.message)
          : Effect.logInfo(change.message)
        yield* Recorder.note(eventOf(change))
        yield* options.onChange?.(change) ?? Effect.void
      })
      const tellAll = Effect.suspend(() => {
        const { changes, problems } = watch.takeNews()
        return Effect.andThen(
          Effect.forEach(problems, (problem) => Effect.logWarning(problem), { discard: true }),
          Effect.forEach(changes, tell, { discard: true })
        )
      })
      // A second that takes longer is time in which the recorder itself stood still.
      const sleepSecond = Effect.suspend(() => {
        const due = clock.monotonicNanos() + LOOK_SECONDS * 1e9
        return Effect.andThen(
          Effect.sleep(Duration.seconds(LOOK_SECONDS)),
          Effect.sync(() => watch.stoodStill(due, clock.monotonicNanos()))
        )
      })
      const eachSecond = (look: Effect.Effect<void>) =>
        Effect.forkScoped(
          Effect.forever(sleepSecond.pipe(Effect.andThen(look), Effect.andThen(tellAll))),
          { startImmediately: true }
        )

      yield* eachSecond(Effect.sync(() => watch.look(now())))
      // Each has a fiber of its own: the disk of a server that is gone may never answer.
      const { disks, outputs } = options
      if (disks !== undefined && watch.asksFor("Disk")) {
        yield* eachSecond(Effect.map(disks, (found) => watch.disks(found, now())))
      }
      if (outputs !== undefined && watch.asksFor("Behind")) {
        yield* eachSecond(Effect.map(outputs, (found) => watch.outputs(found, now())))
      }
      const last = Effect.andThen(Effect.sync(() => watch.takeLeftOut(clock.monotonicNanos(), true)), tellAll)
      return ticks.pipe(
        Stream.mapArrayEffect((chunk) => {
          watch.ticks(chunk, clock.monotonicNanos())
          return watch.hasNews ? Effect.as(tellAll, chunk) : Effect.succeed(chunk)
        }),
        Stream.concat(Stream.fromEffectDrain(last))
      )
    }))

/**
 * The alarms that are raised, from the changes that are told.
 *
 * @since 0.1.0
 * @category models
 */
export class RaisedAlarms {
  private readonly raised = new Map<string, AlarmChange>()

  take(change: AlarmChange): void {
    const key = `${change.alarm}\0${change.device ?? change.target}`
    if (change.state === "raised") this.raised.set(key, change)
    else this.raised.delete(key)
  }

  /** The change that raised each, the earliest first. */
  get all(): ReadonlyArray<AlarmChange> {
    return [...this.raised.values()]
  }
}

/** Fails for an alarm of a kind that nothing tells of. */
const expectTold = (alarm: AlarmExpression, { disks, outputs }: AlarmOptions) => {
  const missing = alarm.condition._tag === "Disk" && disks === undefined
    ? "disks"
    : alarm.condition._tag === "Behind" && outputs === undefined
    ? "outputs"
    : undefined
  return missing === undefined
    ? Effect.void
    : Effect.fail(refuse(alarm, 0, `expected another alarm: nothing tells of the ${missing} here`))
}

const eventOf = (change: AlarmChange): Recorder.NotedEvent => {
  const { alarm, at, count, device, field, lastedMicros, since, target, threshold, unit, until } = change
  const value = Number.isFinite(change.value) ? change.value : null
  const event = { at, alarm, device, target, field, value, unit, threshold, since, count }
  return until === null || lastedMicros === null
    ? { _tag: "AlarmRaised", ...event }
    : { _tag: "AlarmCleared", ...event, until, lastedMicros }
}
