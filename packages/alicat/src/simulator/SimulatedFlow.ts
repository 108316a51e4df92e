/**
 * The gas in a simulated device: a flow that follows its setpoint with lag, and what the sensors measure, with noise.
 */

/** The highest flow, in SCCM. */
export const FULL_SCALE = 500
/** The flow follows its setpoint with this time constant, in seconds. */
const LAG_SECONDS = 0.8
/** The setpoints that the device steps through until it is given one. */
const PROGRAMME = [100, 250, 400, 250, 50]
const STEP_SECONDS = 4

/** Pressure in PSIA, temperature in °C, flows in CCM and SCCM, total in SCC. */
interface Measured {
  readonly pressure: number
  readonly temperature: number
  readonly volumetricFlow: number
  readonly massFlow: number
  readonly total: number
}

export class SimulatedFlow {
  private readonly random: () => number
  private given: number | null = null
  private flow = 0
  private total = 0
  private lastSeconds: number | null = null

  constructor(seed: number) {
    this.random = randomFrom(seed)
  }

  /** In SCCM. */
  setpointAt(seconds: number): number {
    return this.given ?? PROGRAMME[Math.floor(seconds / STEP_SECONDS) % PROGRAMME.length]!
  }

  /** Sets the setpoint, within the limits of the device. */
  set setpoint(value: number) {
    this.given = Math.min(FULL_SCALE, Math.max(0, value))
  }

  /** Resets the totalizer. */
  resetTotal(): void {
    this.total = 0
  }

  /** What the sensors measure now. Time never goes back. */
  measure(seconds: number): Measured {
    const elapsed = this.lastSeconds === null ? STEP_SECONDS : seconds - this.lastSeconds
    this.lastSeconds = seconds
    this.flow += (this.setpointAt(seconds) - this.flow) * (1 - Math.exp(-elapsed / LAG_SECONDS))
    this.total += this.flow * elapsed / 60
    const massFlow = this.flow + this.noise(0.15)
    const pressure = 14.7 + 0.004 * this.flow + this.noise(0.01)
    const temperature = 22.5 + 0.8 * Math.sin(seconds / 60) + this.noise(0.02)
    const volumetricFlow = massFlow * (14.696 / pressure) * ((273.15 + temperature) / 298.15)
    return { pressure, temperature, volumetricFlow, massFlow, total: this.total }
  }

  /** Normally distributed noise: the sum of uniform numbers. */
  private noise(deviation: number): number {
    let sum = -6
    for (let n = 0; n < 12; n++) sum += this.random()
    return sum * deviation
  }
}

/** Repeatable random numbers from 0 to 1 (mulberry32). */
const randomFrom = (seed: number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
