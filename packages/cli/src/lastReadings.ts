/**
 * The last reading of each device, and the devices that fail now, while ticks pass by.
 */
import type { DeviceFailure, Run, Sample, Tick } from "@sampleline/core"
import * as Stream from "effect/Stream"

export class LastReadings {
  /** Null before the first tick. */
  run: Run | null = null
  readonly samples = new Map<string, Sample>()
  /** The last failure of each device whose last poll failed. */
  readonly failures = new Map<string, DeviceFailure>()

  /** The same ticks, observed. */
  readonly observe = <E, R>(ticks: Stream.Stream<Tick, E, R>): Stream.Stream<Tick, E, R> =>
    Stream.mapArray(ticks, (ticks) => {
      for (const tick of ticks) this.add(tick)
      return ticks
    })

  private add({ failures, run, samples, thinned }: Tick): void {
    this.run = run
    for (const sample of thinned) this.answered(sample)
    for (const sample of samples) this.answered(sample)
    for (const failure of failures) this.failures.set(failure.device, failure)
  }

  private answered(sample: Sample): void {
    this.samples.set(sample.device, sample)
    if (this.failures.size > 0) this.failures.delete(sample.device)
  }
}
