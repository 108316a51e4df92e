/**
 * What happened in a run beside its samples: when it began and how it ended, and why samples are missing.
 *
 * Every poll of every device has a sample, or an event that explains why not. Repeated failures and losses are gathered, so a
 * device that fails for an hour gives two events and not one a tick.
 */
import { Schema } from "effect"

const Text = Schema.NullOr(Schema.String)
const Count = Schema.Int
/** Integer microseconds since the Unix epoch, UTC. */
const Micros = Schema.Int

const Counts = Schema.Record(Schema.String, Count)

const common = {
  /** The run's id. */
  runId: Schema.String,
  /** When it was noticed, in microseconds since the epoch. */
  at: Micros
}

/**
 * Why slots were skipped. `poll`: the recorder waited for a device that did not answer. `bus`: the devices answered, and took
 * longer than a slot. `buffer`: the outputs did not keep up. `machine`: the machine was busy or stood still.
 *
 * @since 0.1.0
 * @category models
 */
export const SkipCause = Schema.Literals(["poll", "bus", "buffer", "machine"])

/**
 * @since 0.1.0
 * @category models
 */
export type SkipCause = typeof SkipCause.Type

/**
 * How a run ended. `completed`: its time was over. `stopped`: it was told to end; the detail names the signal. `interrupted`: the
 * program was interrupted. `failed`: the ticks failed. `unknown`: nobody wrote the end, as after a kill -9.
 *
 * @since 0.1.0
 * @category models
 */
export const EndCause = Schema.Literals(["completed", "stopped", "interrupted", "failed", "unknown"])

/**
 * @since 0.1.0
 * @category models
 */
export type EndCause = typeof EndCause.Type

/**
 * What is said of a run whose end is unknown.
 *
 * @since 0.1.0
 * @category models
 */
export const END_UNKNOWN =
  "nobody wrote the end of this run: its recorder was killed, the machine stopped, or its journal could take no more"

/** How long it lasted, in microseconds. Unlike `until - since` it does not jump with the system clock. */
const lastedMicros = Schema.Int

/** A stretch of time in which a device failed. */
const failures = {
  ...common,
  device: Schema.String,
  /** The first failure's. */
  reason: Schema.String,
  /** The first failure's. */
  detail: Schema.String,
  /** When the first poll that failed began. */
  since: Micros,
  /** When the device answered again, or the run ended. */
  until: Micros,
  lastedMicros,
  /** Failed polls. */
  failures: Count,
  /** Failed polls by reason. */
  reasons: Counts
}

/** An alarm of one device, output or disk, and the value that raised or cleared it. */
const alarm = {
  ...common,
  /** E.g. `fuel.Mass_Flow < 90 for 5s`. */
  alarm: Schema.String,
  /** Null: the alarm is of an output or a disk. */
  device: Text,
  /** The output, or the folder whose disk it is; null for a device. */
  target: Text,
  /** Null: the alarm is not of a field. */
  field: Text,
  /** Null: there is none, or it is infinite. */
  value: Schema.NullOr(Schema.Finite),
  unit: Text,
  threshold: Schema.NullOr(Schema.Finite),
  /** When the condition of the alarm began to hold. */
  since: Micros,
  /** How often the alarm was raised since its last event. It is above 1 if some were left out: the alarm came and went too often. */
  count: Count
}

/**
 * One event of a run.
 *
 * @since 0.1.0
 * @category models
 */
export const RunEvent = Schema.TaggedUnion({
  RunStarted: {
    ...common,
    /** Ticks per second; null if the devices push their readings. */
    rateHz: Schema.NullOr(Schema.Finite),
    /** The machine that the devices are attached to, if it is known. */
    host: Text,
    /** The version of the recorder. */
    version: Schema.String,
    /** What the user said of the run. */
    metadata: Schema.Record(Schema.String, Schema.String),
    devices: Schema.Array(Schema.Struct({
      device: Schema.String,
      unitId: Schema.String,
      manufacturer: Text,
      model: Text,
      serialNumber: Text,
      firmware: Text,
      calibrationDate: Text,
      fields: Schema.Array(Schema.Struct({
        name: Schema.String,
        unit: Text,
        statistic: Schema.NullOr(Schema.Finite),
        kind: Schema.String
      }))
    }))
  },
  /** A device begins to fail. */
  DeviceFailing: { ...common, device: Schema.String, reason: Schema.String, detail: Schema.String },
  /** A device is not as it was: other units, columns or another serial number. What was and what is stands in the detail. */
  DeviceChanged: { ...common, device: Schema.String, detail: Schema.String },
  /**
   * A device that failed is back: it gave ten readings in a row, or readings for five seconds. If it had failed shortly before, it
   * must answer longer each time, so readings may lie between `since` and `until`.
   */
  DeviceBack: failures,
  /** A device failed until the run ended. If the run was killed, nobody knows how often, nor for how long by a steady clock. */
  DeviceLost: { ...failures, failures: Schema.NullOr(Count), lastedMicros: Schema.NullOr(lastedMicros) },
  /** Slots of the grid in which nothing was polled. */
  SlotsSkipped: {
    ...common,
    count: Count,
    /** The most frequent cause. */
    cause: SkipCause,
    /** How many slots were skipped, by cause. */
    causes: Counts,
    /** The first skipped slot and the one after the last, as positions on the grid. */
    fromTick: Count,
    toTick: Count,
    /** When the ticks before and after were due. */
    since: Micros,
    until: Micros,
    lastedMicros
  },
  /** Polled ticks that the overflow policy dropped. */
  TicksDropped: {
    ...common,
    count: Count,
    /** Failed polls in these ticks, by device. They are in no other event. */
    failures: Counts,
    since: Micros,
    until: Micros,
    lastedMicros
  },
  /** The system clock jumped. */
  ClockStepped: { ...common, jumpMicros: Schema.Int },
  /** An output does not accept samples. */
  OutputFailing: { ...common, sink: Schema.String, target: Schema.String, detail: Schema.String },
  /** An output accepts samples again. */
  OutputBack: { ...common, sink: Schema.String, target: Schema.String },
  /** Samples and events that an output will not get: the journal dropped them before the output took them. */
  OutputGap: { ...common, sink: Schema.String, target: Schema.String, count: Count, detail: Schema.String },
  /** What a user marked. */
  Marker: { ...common, text: Schema.String },
  /** An alarm was raised. */
  AlarmRaised: alarm,
  /** An alarm was cleared. An alarm that is raised when its run ends has no such event. */
  AlarmCleared: {
    ...alarm,
    /** When the condition ceased to hold. */
    until: Micros,
    lastedMicros
  },
  RunEnded: {
    ...common,
    cause: EndCause,
    /** The signal or the failure; null if there is none. */
    detail: Text,
    startedAt: Micros,
    lastedMicros: Schema.NullOr(lastedMicros),
    // The figures of a run that was killed are null.
    ticks: Schema.NullOr(Count),
    samples: Schema.NullOr(Count),
    thinned: Schema.NullOr(Count),
    ticksSkipped: Schema.NullOr(Count),
    ticksDropped: Schema.NullOr(Count),
    maxDriftMs: Schema.NullOr(Schema.Finite),
    failures: Counts,
    /** Fields that made no sense and are null, by device and field. */
    fieldFailures: Schema.Record(Schema.String, Counts),
    outputs: Schema.Array(Schema.Struct({
      sink: Schema.String,
      target: Schema.String,
      rows: Count,
      /** Values that the output could not hold and are null, by column. */
      columnsDropped: Counts,
      error: Text
    }))
  }
})

/**
 * @since 0.1.0
 * @category models
 */
export type RunEvent = typeof RunEvent.Type
