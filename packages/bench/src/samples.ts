/**
 * Ticks to write: readings of mass-flow controllers with noise, rounded to the decimals that they print.
 */
import { FrameFormat, type FrameValue, makeFrame, type Run, Sample, type Tick } from "@sampleline/core"
import { Cause, Effect, Stream } from "effect"

export interface Recording {
  readonly ticks: ReadonlyArray<Tick>
  readonly samples: ReadonlyArray<Sample>
}

/** About as many samples come at once when the sink is slower than the instrument, and at least a tick. */
const CHUNK = 64

const PERIOD_MICROS = 10_000
const START = 1_772_366_400_000_000

/** The same numbers in every run. */
const noise = () => {
  let state = 42
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32 - 0.5
  }
}

/** The readings of a mass-flow controller. */
export const CONTROLLER = FrameFormat.make([
  { name: "Pressure", unit: "PSIA" },
  { name: "Temperature", unit: "°C" },
  { name: "Volumetric_Flow", unit: "CCM" },
  { name: "Mass_Flow", unit: "SCCM" },
  { name: "Setpoint", unit: "SCCM" },
  { name: "Totalizer", unit: "SL" },
  { name: "Gas", kind: "text" }
])

const shapes: {
  readonly [fields: number]: readonly [FrameFormat, (random: () => number) => ReadonlyArray<FrameValue>]
} = {
  1: [
    FrameFormat.make([{ name: "Mass_Flow", unit: "SCCM" }]),
    (random) => [round(99.2 + random(), 2)]
  ],
  7: [
    CONTROLLER,
    (random) => [
      round(14.7 + random() / 10, 2),
      round(22.5 + random() / 5, 2),
      round(95.9 + random(), 3),
      round(99.2 + random(), 3),
      100,
      round(1234.5 + random() * 100, 1),
      "N2"
    ]
  ]
}

const NO_FAILURES = new Map<string, number>()
const NONE: ReadonlyArray<never> = []

export const round = (value: number, decimals: number) => Math.round(value * 10 ** decimals) / 10 ** decimals

/** One field, seven of a mass-flow controller, or any number of channels of a logger. */
const shapeOf = (fields: number) =>
  shapes[fields] ?? [
    FrameFormat.make(Array.from({ length: fields }, (_, n) => ({ name: `Channel_${n}`, unit: "V" }))),
    (random: () => number) => Array.from({ length: fields }, () => round(5 + random(), 3))
  ] as const

/** Makes the ticks of a recording of so many devices. */
const tickMaker = (fields: number, devices = 1): (index: number) => Tick => {
  const [format, values] = shapeOf(fields)
  const random = noise()
  const run: Run = {
    id: "019c8f2e-5d3a-7c41-9b1e-3f6a2d8c7e10",
    startedAt: START,
    devices: Array.from({ length: devices }, (_, n) => ({
      name: devices === 1 ? "fuel" : `device-${n}`,
      unitId: "A",
      identity: null,
      format
    }))
  }
  return (index) => {
    const samples = run.devices.map(({ name, unitId }, place) => {
      const latencyMicros = 2500 + Math.round(random() * 1000)
      const requestedAt = START + index * PERIOD_MICROS + Math.round(50 + random() * 100)
      return new Sample({
        run,
        device: name,
        unitId,
        sequence: index * devices + place,
        requestedAt,
        receivedAt: requestedAt + latencyMicros,
        requestedMonotonicNanos: index * PERIOD_MICROS * 1000,
        receivedMonotonicNanos: (index * PERIOD_MICROS + latencyMicros) * 1000,
        frame: makeFrame(format, values(random))
      })
    })
    return {
      run,
      index,
      at: samples[0]!.requestedAt,
      driftMs: 0.1,
      skipped: 0,
      skipCause: null,
      dropped: 0,
      droppedFailures: NO_FAILURES,
      clockSteps: NONE,
      samples,
      failures: NONE,
      thinned: NONE,
      isTrailer: false
    }
  }
}

/** A recording of `count` ticks, with one sample of each device. */
export const makeRecording = (fields: number, count: number, devices = 1): Recording => {
  const make = tickMaker(fields, devices)
  const ticks = Array.from({ length: count }, (_, index) => make(index))
  return { ticks, samples: ticks.flatMap((tick) => tick.samples) }
}

/** `count` ticks in chunks. */
const inChunks = (count: number, tickAt: (index: number) => Tick): Stream.Stream<Tick> =>
  Stream.suspend(() => {
    let index = 0
    return Stream.fromPull(Effect.succeed(Effect.suspend(() => {
      if (index >= count) return Cause.done()
      const chunk: [Tick, ...Array<Tick>] = [tickAt(index++)]
      const ticks = Math.min(count - index + 1, Math.ceil(CHUNK / chunk[0].samples.length))
      while (chunk.length < ticks) chunk.push(tickAt(index++))
      return Effect.succeed(chunk)
    })))
  })

/** `count` ticks, each made on demand. */
export const freshTicks = (fields: number, count: number): Stream.Stream<Tick> =>
  Stream.suspend(() => inChunks(count, tickMaker(fields)))

/** `count` ticks; the recording is repeated as needed. */
export const ticksOf = ({ ticks }: Recording, count: number): Stream.Stream<Tick> =>
  inChunks(count, (index) => ticks[index % ticks.length]!)
