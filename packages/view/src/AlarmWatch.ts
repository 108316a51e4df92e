/**
 * What alarms make of readings, disks and outputs. It gathers changes until they are taken. Without effects: the times are given.
 *
 * Only the fields that alarms name are looked at. Their positions are kept for the format of each device.
 */
import { formatTimestamp, type FrameFormat, type Sample, type Tick } from "@sampleline/core"
import { Duration } from "effect"
import { misfitOfField } from "./AlarmColumns.ts"
import { type AlarmCondition, type AlarmExpression, type AlarmOperator, print } from "./AlarmExpression.ts"
import { AlarmState, type Change, type Moment } from "./AlarmState.ts"

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
  /** The name that alarms call it by, e.g. `run.csv`. Each has its own. */
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
  /** How long the recorder itself stood still since then, in nanoseconds. */
  stoodNanos: number
  readonly alarms: ReadonlyArray<{ readonly alarm: Alarm; readonly state: AlarmState }>
}

/** All alarms of a recording. */
export class AlarmWatch {
  private readonly alarms: ReadonlyArray<Alarm>
  private readonly plans = new Map<string, Plan>()
  private readonly heard = new Map<string, Heard>()
  /** The units of fields, by device and field. */
  private readonly units = new Map<string, string | null>()
  private readonly backlogs = new Map<string, Backlog>()
  private stoodUntil = Number.NEGATIVE_INFINITY
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
      this.changed(alarm, device, state.observe(holds(condition, state, value), value, momentOf(sample), now))
    }
    for (const { alarm, code, state } of plan.statuses) {
      const isSent = status.some((found) => found.toUpperCase() === code)
      this.changed(alarm, device, state.observe(isSent, null, momentOf(sample), now))
    }
    const heard = this.heard.get(device) ?? this.hearFrom(device, { at: sample.receivedAt, nanos: now })
    if (heard.alarms.length === 0) return
    heard.last = { at: sample.receivedAt, nanos: now }
    heard.stoodNanos = 0
    for (const { alarm, state } of heard.alarms) {
      this.changed(alarm, device, state.observe(false, null, heard.last, now))
    }
  }

  /**
   * In this time, by a clock that does not jump, the recorder itself stood still: it heard no device, and no output could go on. The
   * time may begin within one that was told before.
   */
  stoodStill(from: number, to: number): void {
    const begin = Math.max(from, this.stoodUntil)
    if (to <= begin) return
    this.stoodUntil = to
    for (const heard of this.heard.values()) heard.stoodNanos += Math.max(0, to - Math.max(begin, heard.last.nanos))
    for (const backlog of this.backlogs.values()) backlog.stoodStill(to - begin)
  }

  /** Silent devices, and what was left out for long enough. */
  look(moment: Moment): void {
    for (const [device, { alarms, last, stoodNanos }] of this.heard) {
      const silentMillis = (moment.nanos - last.nanos - stoodNanos) / 1e6
      for (const { alarm, state } of alarms) {
        if (silentMillis < alarm.condition.forMillis) continue
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
        const isFull = holds(condition, state, freeBytes)
        this.changed(alarm, name, state.observe(isFull, freeBytes, moment, moment.nanos))
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
    const heard = { last, stoodNanos: 0, alarms }
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

/** Whether the condition holds for a value. An alarm that is raised may have another threshold. */
const holds = (
  { clear, operator, threshold }: Of<"Value" | "Disk">,
  { isRaised }: AlarmState,
  value: number
): boolean => COMPARE[operator](value, isRaised ? clear ?? threshold : threshold)

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
    : `; it was raised ${count} times in the last ${secondsText(leftOutNanos / 1e9)}`
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

/** `0.02s`, `1.1s`, `2m 5s`. */
const secondsText = (seconds: number): string =>
  seconds < 10 ? `${Number(seconds.toPrecision(2))}s` : Duration.format(Duration.seconds(Math.round(seconds)))

const timeText = (at: number): string => `${formatTimestamp(at).slice(0, 19).replace("T", " ")} UTC`

/** Looks that are kept of an output. Beyond that every second one goes. */
const MOST_LOOKS = 1000

/** How old the oldest item is that an output lacks, from how many items there were at each look. */
class Backlog {
  private looks: Array<{ readonly total: number; readonly nanos: number }> = []

  /** Time in which no output could go on. */
  stoodStill(nanos: number): void {
    this.looks = this.looks.map((look) => ({ ...look, nanos: look.nanos + nanos }))
  }

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
