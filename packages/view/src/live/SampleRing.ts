/**
 * The latest samples of a device, one by one, for looking closely at what has just come. A fixed amount of memory.
 */
export class SampleRing {
  private readonly times: Float64Array
  private readonly values: ReadonlyArray<Float64Array>
  /** How many samples came. */
  private count = 0

  constructor(capacity: number, fields: number) {
    this.times = new Float64Array(capacity)
    this.values = Array.from({ length: fields }, () => new Float64Array(capacity))
  }

  /** Adds a sample, whose values begin at a place of an array. */
  push(at: number, values: Float64Array, from: number): void {
    const place = this.count++ % this.times.length
    this.times[place] = at
    for (let n = 0; n < this.values.length; n++) this.values[n]![place] = values[from + n]!
  }

  /** From when on all samples are here, in microseconds since the epoch. */
  get since(): number {
    return this.count <= this.times.length ? -Infinity : this.times[this.count % this.times.length]!
  }

  /** The samples of a field from one time to another, both included. */
  read(field: number, from: number, until: number): Points {
    const times: Array<number> = []
    const values: Array<number> = []
    const { length } = this.times
    for (let n = Math.max(0, this.count - length); n < this.count; n++) {
      const at = this.times[n % length]!
      if (at < from || at > until) continue
      times.push(at)
      values.push(this.values[field]![n % length]!)
    }
    return { times: Float64Array.from(times), values: Float64Array.from(values) }
  }
}

/** Single samples of one series. NaN: no value. */
export interface Points {
  readonly times: Float64Array
  readonly values: Float64Array
}
