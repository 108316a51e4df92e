/**
 * A made-up recording of two devices, one of which has a hostile name and is away for a while.
 */
import { DeviceError, FrameFormat, type Run, Sample, type Tick } from "@sampleline/core"

export const START = 1_790_000_000_000_000
const PERIOD = 10_000
export const HOSTILE = "<img src=x onerror=alert(1)>"

const format = FrameFormat.fromRecord({ Gas: "N2", Mass_Flow: 0, Pressure: 0 }, {
  units: { Mass_Flow: "SCCM", Pressure: HOSTILE }
})
const run: Run = {
  id: "01a22505-4065-77f0-bae8-ea5b5314248c",
  startedAt: START,
  rateHz: 100,
  devices: ["fuel", HOSTILE].map((name) => ({ name, unitId: "A", identity: null, format }))
}

/** The flow of both devices: one sample of it is a peak. */
export const flowAt = (n: number) => n === 7777 ? 1000 : Math.sin(n / 100)

/** Tick n: both devices answer, the second one from tick 100 to 199 does not. */
export const tick = (n: number): Tick => {
  const at = START + n * PERIOD
  const isAway = n >= 100 && n < 200
  const sampleOf = (device: string, sequence: number) =>
    new Sample({
      run,
      device,
      unitId: "A",
      sequence,
      tick: n,
      requestedAt: at,
      receivedAt: at,
      requestedMonotonicNanos: at * 1000,
      receivedMonotonicNanos: at * 1000,
      frame: format.frame({ Gas: "N2", Mass_Flow: flowAt(n), Pressure: n })
    })
  return {
    run,
    index: n,
    at,
    driftMs: 0,
    skipped: 0,
    skipCause: null,
    dropped: 0,
    droppedFailures: new Map(),
    clockSteps: [],
    thinned: [],
    isTrailer: false,
    samples: [sampleOf("fuel", 2 * n), ...isAway ? [] : [sampleOf(HOSTILE, 2 * n + 1)]],
    failures: isAway
      ? [{ device: HOSTILE, at, error: new DeviceError({ device: HOSTILE, reason: "Timeout", detail: "no reply" }) }]
      : []
  }
}

/** From one tick to another, which is not among them. */
export const ticks = (from: number, until: number) => Array.from({ length: until - from }, (_, n) => tick(from + n))

/** When tick n began. */
export const timeOf = (n: number) => START + n * PERIOD
