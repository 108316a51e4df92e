/**
 * Alarms of a recording: an operator over its ticks. They pass through unchanged and in order.
 *
 * Readings are looked at as they pass, in plain code and only at the fields that alarms name. What no tick tells is looked at each
 * second: silent devices, outputs that are behind, and room on disks. A change of an alarm is logged, becomes an event of the
 * recording (`AlarmRaised`, `AlarmCleared`), and is given to `onChange`.
 */
import {
  type Device,
  formatTimestamp,
  type FrameFormat,
  Recorder,
  type Sample,
  SampleClock,
  type Tick
} from "@sampleline/core"
import { Duration, Effect, Stream } from "effect"
import { misfit, misfitOfField, noSuch, refuse } from "./AlarmColumns.ts"
import {
  type AlarmCondition,
  type AlarmExpression,
  type AlarmExpressionError,
  type AlarmOperator,
  parse,
  print
} from "./AlarmExpression.ts"
import { AlarmState, type Change, type Moment } from "./AlarmState.ts"

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
 * @since 0.1.0
 * @category models
 */
export interface DiskRoom {
  /** A folder on the disk. */
  readonly name: string
  readonly freeBytes: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface OutputBacklog {
  /** The name that alarms call it by, e.g. `run.csv`. */
  readonly name: string
  /** Samples and events that it has, and that it lacks. */
  readonly written: number
  readonly behind: number
}

/**
 * An alarm that was raised or cleared. Times are microseconds since the epoch.
 *
 * @since 0.1.0
 * @category models
 */
export interface AlarmChange {
  readonly state: "raised" | "cleared"
  /** E.g. `fuel.Mass_Flow < 90 for 5s`. */
  readonly alarm: string
  /** Null: no tick has come yet. */
  readonly runId: string | null
  /** Null: the alarm is of an output or a disk. */
  readonly device: string | null
  /** The output, or a folder on the disk; null for a device. */
  readonly target: string | null
  /** Null: the alarm is not of a field. */
  readonly field: string | null
  /** What raised or cleared it; null if that is no number. */
  readonly value: number | null
  readonly unit: string | null
  readonly threshold: number | null
  readonly at: number
  /** When the condition began to hold. */
  readonly since: number
  /** When the condition ceased to hold; null if it holds. */
  readonly until: number | null
  /** How long it held, by a clock that does not jump; null if it holds. */
  readonly lastedMicros: number | null
  /** How often it was raised since the last change that was told. */
  readonly count: number
  /** What is logged, in one line. */
  readonly message: string
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

const LOOK_INTERVAL = "1 second"

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
      const watch = new Watch(alarms, options.devices, now())

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
      const eachSecond = (look: Effect.Effect<void>) =>
        Effect.forkScoped(
          Effect.forever(Effect.sleep(LOOK_INTERVAL).pipe(Effect.andThen(look), Effect.andThen(tellAll))),
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

/** An alarm, with its states by the names of devices, outputs or folders. */
class Alarm {
  readonly expression: AlarmExpression
  readonly condition: AlarmCondition
  readonly text: string
  private readonly states = new Map<string, AlarmState>()

  constructor(expression: AlarmExpression) {
    this.expression = expression
    this.condition = expression.condition
    this.text = print(expression)
  }

  stateOf(name: string): AlarmState {
    let state = this.states.get(name)
    if (state === undefined) {
      const { condition } = this
      const { forMillis } = condition
      // The next reading ends a silence. A threshold of its own for clearing needs no time beside it.
      const clearsAtOnce = condition._tag === "Silent" || ("clear" in condition && condition.clear !== null)
      state = new AlarmState(forMillis, clearsAtOnce ? 0 : forMillis)
      this.states.set(name, state)
    }
    return state
  }

  get all(): Iterable<readonly [name: string, state: AlarmState]> {
    return this.states
  }
}

type Of<Tag extends AlarmCondition["_tag"]> = Extract<AlarmCondition, { readonly _tag: Tag }>

/** What a device's readings are looked at for, as long as they have this format. */
interface Plan {
  readonly format: FrameFormat
  readonly values: ReadonlyArray<{
    readonly alarm: Alarm
    readonly condition: Of<"Value">
    readonly state: AlarmState
    readonly position: number
  }>
  readonly statuses: ReadonlyArray<{ readonly alarm: Alarm; readonly code: string; readonly state: AlarmState }>
}

/** When a device gave its last reading. */
interface Heard {
  last: Moment
  readonly alarms: ReadonlyArray<{ readonly alarm: Alarm; readonly state: AlarmState }>
}

/** All alarms of a recording. It gathers news until they are taken. */
class Watch {
  private readonly alarms: ReadonlyArray<Alarm>
  private readonly plans = new Map<string, Plan>()
  private readonly heard = new Map<string, Heard>()
  /** The units of fields, by device and field. */
  private readonly units = new Map<string, string | null>()
  private readonly backlogs = new Map<string, Backlog>()
  private readonly warned = new Set<string>()
  private runId: string | null = null
  private changes: Array<AlarmChange> = []
  private problems: Array<string> = []

  constructor(
    expressions: ReadonlyArray<AlarmExpression>,
    devices: ReadonlyArray<{ readonly name: string }>,
    start: Moment
  ) {
    this.alarms = expressions.map((expression) => new Alarm(expression))
    for (const { name } of devices) this.hearFrom(name, start)
  }

  get hasNews(): boolean {
    return this.changes.length + this.problems.length > 0
  }

  takeNews() {
    const { changes, problems } = this
    this.changes = []
    this.problems = []
    return { changes, problems }
  }

  asksFor(tag: AlarmCondition["_tag"]): boolean {
    return this.alarms.some(({ condition }) => condition._tag === tag)
  }

  ticks(ticks: ReadonlyArray<Tick>, now: number): void {
    for (const { run, samples } of ticks) {
      this.runId = run.id
      for (const sample of samples) this.sample(sample, now)
    }
  }

  private sample(sample: Sample, now: number): void {
    const { device, frame: { format, status, values } } = sample
    let plan = this.plans.get(device)
    if (plan?.format !== format) {
      plan = this.planOf(device, format)
      this.plans.set(device, plan)
    }
    for (const { alarm, condition, position, state } of plan.values) {
      const value = values[position]
      if (typeof value !== "number" || Number.isNaN(value)) continue
      const threshold = state.isRaised ? condition.clear ?? condition.threshold : condition.threshold
      const holds = COMPARE[condition.operator](value, threshold)
      this.changed(alarm, device, state.observe(holds, value, momentOf(sample), now))
    }
    for (const { alarm, code, state } of plan.statuses) {
      const holds = status.some((found) => found.toUpperCase() === code)
      this.changed(alarm, device, state.observe(holds, null, momentOf(sample), now))
    }
    const heard = this.heard.get(device) ?? this.hearFrom(device, { at: sample.receivedAt, nanos: now })
    if (heard.alarms.length === 0) return
    heard.last = { at: sample.receivedAt, nanos: now }
    for (const { alarm, state } of heard.alarms) {
      this.changed(alarm, device, state.observe(false, null, heard.last, now))
    }
  }

  /** Silent devices, and what was left out for long enough. */
  look(moment: Moment): void {
    for (const [device, { alarms, last }] of this.heard) {
      for (const { alarm, state } of alarms) {
        this.changed(alarm, device, state.observe(true, null, moment, moment.nanos, last))
      }
    }
    this.takeLeftOut(moment.nanos)
  }

  disks(found: ReadonlyArray<DiskRoom>, moment: Moment): void {
    for (const alarm of this.alarms) {
      const { condition } = alarm
      if (condition._tag !== "Disk") continue
      for (const { freeBytes, name } of found) {
        const state = alarm.stateOf(name)
        const threshold = state.isRaised ? condition.clear ?? condition.threshold : condition.threshold
        const holds = COMPARE[condition.operator](freeBytes, threshold)
        this.changed(alarm, name, state.observe(holds, freeBytes, moment, moment.nanos))
      }
    }
  }

  outputs(found: ReadonlyArray<OutputBacklog>, moment: Moment): void {
    for (const { behind, name, written } of found) {
      let backlog = this.backlogs.get(name)
      if (backlog === undefined) this.backlogs.set(name, backlog = new Backlog())
      const seconds = backlog.ageOf(written, behind, moment.nanos)
      for (const alarm of this.alarms) {
        const { condition } = alarm
        if (condition._tag !== "Behind" || (condition.output ?? name) !== name) continue
        const [value, threshold] = condition.millis === null
          ? [behind, condition.items!]
          : [seconds, condition.millis / 1000]
        const state = alarm.stateOf(name)
        this.changed(alarm, name, state.observe(value >= threshold, value, moment, moment.nanos))
      }
    }
  }

  /** Changes that were left out for long enough, or all of them at the end. */
  takeLeftOut(now: number, isLast = false): void {
    for (const alarm of this.alarms) {
      for (const [name, state] of alarm.all) this.changed(alarm, name, state.take(now, isLast))
    }
  }

  private hearFrom(device: string, last: Moment): Heard {
    const alarms = this.alarms
      .filter(({ condition }) => condition._tag === "Silent" && (condition.device ?? device) === device)
      .map((alarm) => ({ alarm, state: alarm.stateOf(device) }))
    const heard = { last, alarms }
    this.heard.set(device, heard)
    return heard
  }

  private planOf(device: string, format: FrameFormat): Plan {
    const values: Array<Plan["values"][number]> = []
    const statuses: Array<Plan["statuses"][number]> = []
    for (const alarm of this.alarms) {
      const { condition } = alarm
      if (condition._tag === "Status" && (condition.device ?? device) === device) {
        statuses.push({ alarm, code: condition.code.toUpperCase(), state: alarm.stateOf(device) })
      }
      if (condition._tag !== "Value" || (condition.device ?? device) !== device) continue
      const problem = misfitOfField(alarm.expression, [format], condition.device !== null)
      if (problem !== undefined) this.warn(`alarm ${alarm.text} does not watch ${device}: ${problem.problem}`)
      const position = format.positionOf(condition.field)
      if (problem !== undefined || position < 0) continue
      this.units.set(`${device}\0${condition.field}`, format.fields[position]!.unit)
      values.push({ alarm, condition, state: alarm.stateOf(device), position })
    }
    return { format, values, statuses }
  }

  private warn(problem: string): void {
    if (this.warned.has(problem)) return
    this.warned.add(problem)
    this.problems.push(problem)
  }

  private changed(alarm: Alarm, name: string, change: Change | undefined): void {
    if (change === undefined) return
    const field = fieldOf(alarm.condition)
    const unit = unitOf(alarm.condition) ?? this.units.get(`${name}\0${field}`) ?? null
    const isOfDevice = "device" in alarm.condition
    const { at, count, isRaised, since, until, value } = change
    this.changes.push({
      state: isRaised ? "raised" : "cleared",
      alarm: alarm.text,
      runId: this.runId,
      device: isOfDevice ? name : null,
      target: isOfDevice ? null : name,
      field,
      value,
      unit,
      threshold: thresholdOf(alarm.condition),
      at: at.at,
      since: since.at,
      until: until?.at ?? null,
      lastedMicros: until === null ? null : Math.round((until.nanos - since.nanos) / 1000),
      count,
      message: messageOf(alarm, name, unit, change)
    })
  }
}

const momentOf = ({ receivedAt, receivedMonotonicNanos }: Sample): Moment => ({
  at: receivedAt,
  nanos: receivedMonotonicNanos
})

const COMPARE: { readonly [operator in AlarmOperator]: (value: number, threshold: number) => boolean } = {
  "<": (value, threshold) => value < threshold,
  "<=": (value, threshold) => value <= threshold,
  ">": (value, threshold) => value > threshold,
  ">=": (value, threshold) => value >= threshold,
  "==": (value, threshold) => value === threshold,
  "!=": (value, threshold) => value !== threshold
}

const fieldOf = (condition: AlarmCondition): string | null =>
  condition._tag === "Value" ? condition.field : condition._tag === "Status" ? "status" : null

/** The unit of what is not a field. */
const unitOf = (condition: AlarmCondition): string | undefined => {
  switch (condition._tag) {
    case "Silent":
      return "s"
    case "Disk":
      return "B"
    case "Behind":
      return condition.millis === null ? undefined : "s"
  }
}

const thresholdOf = (condition: AlarmCondition): number | null => {
  switch (condition._tag) {
    case "Value":
    case "Disk":
      return condition.threshold
    case "Status":
      return null
    case "Silent":
      return condition.forMillis / 1000
    case "Behind":
      return condition.items ?? condition.millis! / 1000
  }
}

/** `alarm fuel.Mass_Flow < 90: fuel.Mass_Flow is 84.2 SCCM`. */
const messageOf = (
  { condition, text }: Alarm,
  name: string,
  unit: string | null,
  { count, isRaised, leftOutNanos, since, until, value }: Change
): string => {
  const repeated = leftOutNanos === 0
    ? ""
    : `; it was raised ${count} more times in the last ${secondsText(leftOutNanos / 1e9)}`
  const found = () => {
    switch (condition._tag) {
      case "Value":
        return `${name}.${condition.field} is ${value}${unit === null ? "" : ` ${unit}`}`
      case "Status":
        return `${name} ${isRaised ? "has" : "no longer has"} ${condition.code}`
      case "Silent":
        return isRaised ? `${name} has given no reading since ${timeText(since.at)}` : `${name} gives readings`
      case "Disk":
        return `${name} has room for ${(value! / 1e9).toFixed(3)} GB`
      case "Behind":
        return `${name} is behind by ${condition.millis === null ? `${value} samples and events` : secondsText(value!)}`
    }
  }
  return until === null
    ? `alarm ${text}: ${found()}${repeated}`
    : `alarm ${text} cleared after ${secondsText((until.nanos - since.nanos) / 1e9)}: ${found()}${repeated}`
}

const secondsText = (seconds: number): string => Duration.format(Duration.millis(Math.round(seconds * 10) * 100))

const timeText = (at: number): string => `${formatTimestamp(at).slice(0, 19).replace("T", " ")} UTC`

const eventOf = (change: AlarmChange): Recorder.NotedEvent => {
  const { alarm, at, count, device, field, lastedMicros, since, target, threshold, unit, until } = change
  const value = Number.isFinite(change.value) ? change.value : null
  const event = { at, alarm, device, target, field, value, unit, threshold, since, count }
  return until === null || lastedMicros === null
    ? { _tag: "AlarmRaised", ...event }
    : { _tag: "AlarmCleared", ...event, until, lastedMicros }
}

/** Looks that are kept of an output. Beyond that every second one goes. */
const MOST_LOOKS = 1000

/** How old the oldest item is that an output lacks, from how many items there were at each look. */
class Backlog {
  private looks: Array<{ readonly total: number; readonly nanos: number }> = []

  /** In seconds. */
  ageOf(written: number, behind: number, nanos: number): number {
    if (behind === 0) {
      this.looks = []
      return 0
    }
    this.looks.push({ total: written + behind, nanos })
    const oldest = this.looks.findIndex(({ total }) => total > written)
    this.looks.splice(0, oldest)
    if (this.looks.length > MOST_LOOKS) this.looks = this.looks.filter((_, at) => at % 2 === 0)
    return (nanos - this.looks[0]!.nanos) / 1e9
  }
}
