/**
 * What a dashboard shows of the devices of a run: which answer, how often they failed, and their last values.
 *
 * A last value is read from the last reading when somebody asks for the metrics, so a tick only keeps the reading. A field that has
 * no number now has no series, and neither has a device that fails: an old value would look like a new one, and NaN would spoil
 * averages. The series of a run go with it.
 */
import { type Context, Effect, Metric } from "effect"
import type { Frame, FrameFormat } from "../Frame.ts"
import * as Metrics from "../Metrics.ts"
import type { PollResult } from "../PollSource.ts"
import type { Device } from "../Sample.ts"

export class DeviceMetrics {
  private readonly ofDevice = new Map<string, OneDevice>()
  private readonly context: Context.Context<never>

  private constructor(devices: ReadonlyArray<Device>, context: Context.Context<never>) {
    this.context = context
    for (const { name } of devices) this.of(name)
  }

  /** The scope is the run's. */
  static make(devices: ReadonlyArray<Device>) {
    return Effect.acquireRelease(
      Effect.map(Effect.context(), (context) => new DeviceMetrics(devices, context)),
      (metrics) => Effect.sync(() => metrics.ofDevice.forEach((device) => device.remove()))
    )
  }

  /** Called with the result of each poll. */
  observe({ failures, readings }: PollResult): void {
    for (const { device } of failures) this.of(device).failed()
    for (const { device, frame } of readings) this.of(device).answered(frame)
  }

  private of(name: string): OneDevice {
    let device = this.ofDevice.get(name)
    if (device === undefined) this.ofDevice.set(name, device = new OneDevice(name, this.context))
    return device
  }
}

class OneDevice {
  private readonly name: string
  private readonly context: Context.Context<never>
  private readonly up: Metric.Gauge<number>
  private readonly failures: Metric.Counter<number>
  private isUp = true
  /** The last reading; null before the first one, and while the device fails. */
  private last: Frame | null = null
  private format: FrameFormat | null = null
  /** Of the fields of the format that may hold numbers. */
  private fields: ReadonlyArray<FieldGauge> = []

  constructor(name: string, context: Context.Context<never>) {
    this.name = name
    this.context = context
    this.up = Metric.withAttributes(Metrics.deviceUp, { device: name })
    this.failures = Metric.withAttributes(Metrics.deviceFailures, { device: name })
    this.up.updateUnsafe(1, context)
  }

  answered(frame: Frame): void {
    this.setUp(true)
    if (frame.format !== this.format) this.setFormat(frame.format)
    this.last = frame
    for (const field of this.fields) field.show(typeof frame.values[field.position] === "number")
  }

  failed(): void {
    this.failures.updateUnsafe(1, this.context)
    this.setUp(false)
    this.hideValues()
  }

  remove(): void {
    this.hideValues()
    Metric.removeUnsafe(this.up, this.context)
  }

  private setUp(isUp: boolean): void {
    if (isUp === this.isUp) return
    this.isUp = isUp
    this.up.updateUnsafe(isUp ? 1 : 0, this.context)
  }

  private setFormat(format: FrameFormat): void {
    this.hideValues()
    this.format = format
    this.fields = format.fields.flatMap(({ kind, name, unit }, position) => {
      if (kind === "text") return []
      const attributes = { device: this.name, field: name, ...(unit === null ? {} : { units: unit }) }
      const value = () => this.last?.values[position] as number
      return new FieldGauge(position, Metric.withAttributes(Metrics.deviceValue, attributes), this.context, value)
    })
  }

  private hideValues(): void {
    for (const field of this.fields) field.show(false)
    this.last = null
  }
}

/** The series of a field. */
class FieldGauge {
  readonly position: number
  private readonly gauge: Metric.Gauge<number>
  private readonly context: Context.Context<never>
  private readonly value: () => number
  /** Undefined while there is no series. */
  private registration: Metric.Registration | undefined

  constructor(
    position: number,
    gauge: Metric.Gauge<number>,
    context: Context.Context<never>,
    value: () => number
  ) {
    this.position = position
    this.gauge = gauge
    this.context = context
    this.value = value
  }

  show(isShown: boolean): void {
    if (isShown === (this.registration !== undefined)) return
    this.registration?.remove()
    this.registration = isShown
      ? Metric.registerUnsafe(this.gauge, this.context, {
        get: () => ({ value: this.value() }),
        update: () => {},
        modify: () => {}
      })
      : undefined
  }
}
