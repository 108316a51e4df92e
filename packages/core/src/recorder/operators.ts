/**
 * What may be done to ticks between the recorder and the pipe. A tick carries accounts (skipped slots, failures, clock steps)
 * beside its samples, so these operators change the samples and never drop a tick.
 */
import { Effect, Stream } from "effect"
import type { Frame, FrameField, FrameFormat, FrameValue } from "../Frame.ts"
import { InvalidOptionError, positiveInt } from "../InvalidOptionError.ts"
import type { Device, Run, Sample, Tick } from "../Sample.ts"

/**
 * Keeps the samples of one tick in each `n` slots of the grid. The samples of the other ticks are left out and counted as
 * `thinned`; their failures and skipped slots are still counted.
 *
 * A pushed reading is a tick of its own, so this keeps one in `n` readings, whichever device sent it.
 *
 * @example
 * Recorder.record({ rateHz: 100 }).pipe(Recorder.every(10), pipeToSink())
 *
 * @since 0.1.0
 * @category combinators
 */
export const every =
  (n: number) => <E, R>(ticks: Stream.Stream<Tick, E, R>): Stream.Stream<Tick, E | InvalidOptionError, R> =>
    Stream.unwrap(Effect.map(positiveInt("every", n, "ticks"), () => {
      let nextIndex = 0
      return Stream.map(ticks, (tick) => {
        if (tick.isTrailer) return tick
        if (tick.index < nextIndex) return leaveOut(tick, tick.samples, [])
        nextIndex = (Math.floor(tick.index / n) + 1) * n
        return tick
      })
    }))

/**
 * Keeps the samples that match. The others are left out and counted as `thinned`.
 *
 * @example
 * Recorder.record({ rateHz: 10 }).pipe(
 *   Recorder.filterSamples((sample) => Number(sample.value("Mass_Flow")) > 1),
 *   pipeToSink()
 * )
 *
 * @since 0.1.0
 * @category combinators
 */
export const filterSamples =
  (predicate: (sample: Sample) => boolean) => <E, R>(ticks: Stream.Stream<Tick, E, R>): Stream.Stream<Tick, E, R> =>
    Stream.map(ticks, (tick) => {
      const kept: Array<Sample> = []
      const left: Array<Sample> = []
      for (const sample of tick.samples) (predicate(sample) ? kept : left).push(sample)
      return left.length === 0 ? tick : leaveOut(tick, left, kept)
    })

const leaveOut = (tick: Tick, left: ReadonlyArray<Sample>, kept: ReadonlyArray<Sample>): Tick => ({
  ...tick,
  samples: kept,
  thinned: [...tick.thinned, ...left]
})

/**
 * How the numbers of one field change.
 *
 * @since 0.1.0
 * @category options
 */
export interface ValueMapping {
  /** The unit of the new values, or null for none. Default: the field keeps its unit. */
  readonly unit?: string | null | undefined
  /** Called with each number. Nulls stay null. */
  readonly map: (value: number) => number
}

/**
 * Changes the numbers of fields, by name. The formats of the samples and of the run's devices are renewed, so that units
 * follow in files and tables. An int field becomes a float.
 *
 * Fails with `InvalidOptionError` if no device has a field of that name, or if the field is a text.
 *
 * @example
 * Recorder.record({ rateHz: 10 }).pipe(
 *   Recorder.mapValues({ Mass_Flow: { unit: "g/min", map: (sccm) => sccm * 0.00125 } }),
 *   pipeToSink()
 * )
 *
 * @since 0.1.0
 * @category combinators
 */
export const mapValues =
  (mappings: { readonly [field: string]: ValueMapping }) =>
  <E, R>(ticks: Stream.Stream<Tick, E, R>): Stream.Stream<Tick, E | InvalidOptionError, R> =>
    Stream.suspend(() => {
      const mapping = new Mapping(mappings)
      return Stream.mapEffect(ticks, (tick) => mapping.tick(tick))
    })

/** The new formats and runs of one recording: one object each for all its samples. */
class Mapping {
  private readonly mappings: ReadonlyMap<string, ValueMapping>
  private readonly formats = new WeakMap<FrameFormat, FrameFormat>()
  private readonly runs = new WeakMap<Run, Run>()

  constructor(mappings: { readonly [field: string]: ValueMapping }) {
    this.mappings = new Map(Object.entries(mappings))
  }

  tick(tick: Tick): Effect.Effect<Tick, InvalidOptionError> {
    return Effect.map(this.run(tick.run), (run) => ({
      ...tick,
      run,
      samples: tick.samples.map((sample) => this.sample(sample, run)),
      thinned: tick.thinned.map((sample) => this.sample(sample, run))
    }))
  }

  private run(run: Run): Effect.Effect<Run, InvalidOptionError> {
    const known = this.runs.get(run)
    if (known !== undefined) return Effect.succeed(known)
    const refused = this.refused(run.devices)
    if (refused !== undefined) return Effect.fail(refused)
    const devices = run.devices.map((device) => ({
      ...device,
      format: device.format === null ? null : this.format(device.format)
    }))
    const renewed = { ...run, devices }
    this.runs.set(run, renewed)
    return Effect.succeed(renewed)
  }

  /** A field that no device has is a typing error, unless some device's fields are not known yet. */
  private refused(devices: ReadonlyArray<Device>): InvalidOptionError | undefined {
    const fields = devices.flatMap((device) => device.format?.fields ?? [])
    const numeric = fields.filter((field) => field.kind !== "text").map((field) => field.name)
    const areKnown = devices.length > 0 && devices.every((device) => device.format !== null)
    for (const name of this.mappings.keys()) {
      const isText = fields.some((field) => field.name === name && field.kind === "text")
      if (isText || areKnown && !numeric.includes(name)) {
        const names = [...new Set(numeric)].join(", ")
        return InvalidOptionError.of("mapValues", name, `the name of a number field, one of ${names}`)
      }
    }
    return undefined
  }

  private format(format: FrameFormat): FrameFormat {
    let renewed = this.formats.get(format)
    if (renewed === undefined) {
      renewed = format.mapFields((field) => this.field(field))
      this.formats.set(format, renewed)
    }
    return renewed
  }

  private field(field: FrameField): FrameField {
    const mapping = this.mappings.get(field.name)
    if (mapping === undefined) return field
    const { unit = field.unit } = mapping
    return { ...field, unit, kind: field.kind === "int" ? "float" : field.kind }
  }

  private sample(sample: Sample, run: Run): Sample {
    return sample.with({ run, frame: this.frame(sample.frame) })
  }

  private frame(frame: Frame): Frame {
    const values: Array<FrameValue> = frame.values.slice()
    frame.format.fields.forEach(({ name }, at) => {
      const value = values[at]
      if (typeof value === "number") values[at] = this.mappings.get(name)?.map(value) ?? value
    })
    return { ...frame, format: this.format(frame.format), values }
  }
}
