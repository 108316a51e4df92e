/**
 * What goes on in a recording, gathered for the thread of its page. A sample costs the recording a copy of its numbers.
 */
import { type EventRow, eventToRow, type FrameFormat, type RunEvent, Sample } from "@sampleline/core"
import { decimalsOf } from "../LiveTable.ts"
import { type LatestSample, type LiveSource, SAMPLE_HEADER } from "./LiveHistory.ts"

export class LiveFeed {
  private numbers = new Float64Array(1024)
  private length = 0
  private events: Array<EventRow> = []
  private newSources: Array<LiveSource> = []
  private sourceCount = 0
  private readonly ids = new Map<FrameFormat, Map<string, number>>()
  private readonly latest = new Map<string, Sample>()
  /** Decimals that the fields of a device have shown. A number that keeps them does not jump about. */
  private readonly decimals = new Map<string, Array<number>>()
  /** Whether a run goes on. */
  isRecording = false

  observe(items: ReadonlyArray<Sample | RunEvent>): void {
    for (const item of items) {
      if (item instanceof Sample) this.addSample(item)
      else this.addEvent(item)
    }
  }

  private addEvent(event: RunEvent): void {
    this.events.push(eventToRow(event))
    if (event._tag === "RunStarted") this.isRecording = true
    if (event._tag === "RunEnded") this.isRecording = false
  }

  private addSample(sample: Sample): void {
    const { values } = sample.frame
    const { fields } = sample.frame.format
    const needed = this.length + SAMPLE_HEADER + fields.length
    if (needed > this.numbers.length) {
      const larger = new Float64Array(2 * needed)
      larger.set(this.numbers)
      this.numbers = larger
    }
    this.numbers[this.length++] = this.idOf(sample)
    this.numbers[this.length++] = sample.requestedAt
    for (let n = 0; n < fields.length; n++) {
      const value = values[n]
      this.numbers[this.length++] = typeof value === "number" ? value : NaN
    }
    this.latest.set(sample.device, sample)
  }

  private idOf({ device, frame: { format } }: Sample): number {
    let ids = this.ids.get(format)
    if (ids === undefined) this.ids.set(format, ids = new Map())
    let id = ids.get(device)
    if (id === undefined) {
      id = this.sourceCount++
      ids.set(device, id)
      const fields = format.fields.map(({ kind, name, unit }) => ({ name, unit, isNumber: kind !== "text" }))
      this.newSources.push({ device, fields })
    }
    return id
  }

  get isEmpty(): boolean {
    return this.length === 0 && this.events.length === 0
  }

  /** What has come since the last time. */
  take() {
    const { events, newSources } = this
    const numbers = this.numbers.slice(0, this.length)
    this.length = 0
    this.events = []
    this.newSources = []
    return { events, sources: newSources, numbers }
  }

  /** Forgets the samples that have come since the last time. */
  dropSamples(): void {
    this.length = 0
  }

  /** What each device said last. */
  latestSamples(): ReadonlyArray<LatestSample> {
    return [...this.latest.values()].map(({ device, frame: { format, status, values }, receivedAt }) => {
      const decimals = this.decimals.get(device) ?? []
      this.decimals.set(device, decimals)
      return {
        device,
        at: receivedAt,
        status,
        fields: format.fields.map(({ name, unit }, n) => {
          decimals[n] = Math.max(decimals[n] ?? 0, decimalsOf(values[n]))
          return { name, unit, value: values[n] ?? null, decimals: decimals[n] }
        })
      }
    })
  }
}
