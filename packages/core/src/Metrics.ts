/**
 * What a run counts, as Effect metrics: read them with `Metric.snapshot` or export them with `effect/observability`.
 */
import { Metric } from "effect"

/**
 * Samples accepted, by sink (attribute `sink`).
 *
 * @since 0.1.0
 * @category metrics
 */
export const samplesWritten = Metric.counter("sampleline_samples_written", {
  description: "Samples that a sink accepted",
  incremental: true
})

/**
 * Slots skipped because a poll took too long or the buffer was full.
 *
 * @since 0.1.0
 * @category metrics
 */
export const ticksSkipped = Metric.counter("sampleline_ticks_skipped", {
  description: "Slots of the grid in which nothing was polled",
  incremental: true
})

/**
 * Ticks that the overflow policy dropped.
 *
 * @since 0.1.0
 * @category metrics
 */
export const ticksDropped = Metric.counter("sampleline_ticks_dropped", {
  description: "Polled ticks that the overflow policy dropped",
  incremental: true
})

/**
 * Failed polls, by device (attribute `device`).
 *
 * @since 0.1.0
 * @category metrics
 */
export const deviceFailures = Metric.counter("sampleline_device_failures", {
  description: "Polls of a device that gave no reading",
  incremental: true
})

/**
 * Whether a device answers, by device (attribute `device`): 1 from the start of a run, 0 while it fails. It is gone after the run.
 *
 * @since 0.1.0
 * @category metrics
 */
export const deviceUp = Metric.gauge("sampleline_device_up", {
  description: "1 if the last poll of a device gave a reading, 0 if it failed"
})

/**
 * The last value of a field as the device gave it, by device, field and unit (attributes `device`, `field`, and `units` if the
 * field has a unit). Only numbers. There is none while the device fails or says that it has no value, nor after the run.
 *
 * @since 0.1.0
 * @category metrics
 */
export const deviceValue = Metric.gauge("sampleline_device_value", {
  description: "Last value of a numeric field of a device, in the device's unit"
})

/**
 * How long a batch took to be accepted, by sink (attribute `sink`), in milliseconds.
 *
 * @since 0.1.0
 * @category metrics
 */
export const writeDurationMs = Metric.histogram("sampleline_write_duration_ms", {
  description: "Time from handing a batch to a sink until it was accepted",
  boundaries: Metric.exponentialBoundaries({ start: 0.1, factor: 2, count: 16 })
})
