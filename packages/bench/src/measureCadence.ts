/**
 * Measures the cadence of one recording: drift of its ticks, skipped slots, processor time.
 */
import { Alicat } from "@sampleline/alicat"
import { PollSource, Recorder, type Tick } from "@sampleline/core"
import { Clock, Effect, Stream } from "effect"
import * as fs from "node:fs"
import { simulate } from "./simulator.ts"

export interface Measured {
  readonly run: string
  readonly ticks: number
  readonly skipped: number
  readonly early: number
  readonly failures: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
  /** Of one core, this process only. */
  readonly cpuPercent: number
  /** Processor time that the virtual machine's host gave to others, over all cores. Null: the system does not tell. */
  readonly stolenMs: number | null
}

/** A copy of the live clock. The recorder does not recognise it, so waits are plain sleeps. */
const plainClock = Effect.map(Clock.Clock, (clock): Clock.Clock => ({
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  currentTimeNanos: clock.currentTimeNanos,
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  sleep: (duration) => clock.sleep(duration)
}))

/** Stolen time since the system started, from Linux: the eighth figure of the first line, in hundredths of a second. */
const stolenMs = Effect.sync(() =>
  fs.existsSync("/proc/stat")
    ? Number(fs.readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.split(/ +/)[8]) * 10
    : null
)

const measure = Effect.fnUntraced(function*(run: string, options: Recorder.RecordOptions) {
  const ticks: Array<Tick> = []
  const stolenBefore = yield* stolenMs
  const cpuBefore = process.cpuUsage()
  const before = performance.now()
  yield* Stream.runForEach(Recorder.record(options), (tick) => Effect.sync(() => ticks.push(tick)))
  const { system, user } = process.cpuUsage(cpuBefore)
  const elapsedMicros = (performance.now() - before) * 1000
  const stolen = yield* stolenMs
  const polled = ticks.filter((tick) => !tick.isTrailer)
  const drifts = polled.map((tick) => tick.driftMs).toSorted((a, b) => a - b)
  const percentile = (share: number) => drifts[Math.min(drifts.length - 1, Math.floor(share * drifts.length))] ?? 0
  return {
    run,
    ticks: polled.length,
    skipped: ticks.reduce((sum, tick) => sum + tick.skipped, 0),
    early: drifts.filter((drift) => drift < 0).length,
    failures: polled.reduce((sum, tick) => sum + tick.failures.length, 0),
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    p999Ms: percentile(0.999),
    maxMs: drifts.at(-1) ?? 0,
    cpuPercent: 100 * (user + system) / elapsedMicros,
    stolenMs: stolen === null || stolenBefore === null ? null : stolen - stolenBefore
  } satisfies Measured
})

export const tenDevices = Effect.fnUntraced(function*(seconds: number) {
  const simulated = yield* simulate("tcp")
  const devices = Object.fromEntries(simulated.map(({ name, port, unit }) => [name, { port, unit }]))
  const at = { rateHz: 100, duration: `${seconds} seconds` } as const
  const record = (run: string, options: Recorder.RecordOptions) =>
    Effect.provide(
      measure(`10 devices on TCP, 100 Hz, ${run}`, options),
      Alicat.layer({ devices, timeout: "2 seconds" })
    )
  yield* record("warming up", { rateHz: 100, duration: "2 seconds" })
  return [
    yield* Effect.provideService(record("plain sleep", at), Clock.Clock, yield* plainClock),
    yield* record("default", at),
    yield* record("precise", { ...at, precise: true })
  ]
}, Effect.scoped)

export const inProcess = (seconds: number) =>
  Effect.provide(
    measure("in process, 1000 Hz, precise", { rateHz: 1000, duration: `${seconds} seconds`, precise: true }),
    PollSource.layer({ devices: ["oven"], poll: () => Effect.succeed({ Temperature: 180 }) })
  )
