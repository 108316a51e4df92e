/**
 * How well ticks keep to their grid: lateness (the drift of a tick), early starts, skipped slots, and the CPU time it costs.
 *
 *     npm run bench:cadence -- --seconds 20 --json
 *
 * Ten simulated devices in a process of their own, on TCP, at 100 Hz: with a plain `clock.sleep` for comparison, as it is by
 * default, and precise. Then a source in this process at 1000 Hz.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Alicat } from "@sampleline/alicat"
import { PollSource, Recorder, type Tick } from "@sampleline/core"
import { Clock, Console, Effect, References, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as readline from "node:readline"
import { fileURLToPath } from "node:url"
import { table } from "./figures.ts"

interface Measured {
  readonly run: string
  readonly ticks: number
  readonly skipped: number
  readonly early: number
  readonly failures: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
  /** Of one core, of this process alone. */
  readonly cpuPercent: number
  /** Processor time that the machine's host took away meanwhile, of all processors; null where the system does not tell. */
  readonly stolenMs: number | null
}

const DEVICES = 10

/** Starts the devices; gives their addresses. */
const simulate = Effect.gen(function*() {
  const bin = fileURLToPath(new URL("../../cli/bin.js", import.meta.url))
  const args = [bin, "simulate", "--devices", String(DEVICES), "--tcp", "0"]
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] })),
    (child) => Effect.sync(() => child.kill())
  )
  return yield* Effect.callback<Alicat.AlicatOptions["devices"]>((resume) => {
    const devices: { [name: string]: Alicat.DeviceOptions } = {}
    readline.createInterface(child.stdout).on("line", (line) => {
      const [name = "", unit = "", port = ""] = line.split(" ")
      devices[name] = { unit, port }
      if (Object.keys(devices).length === DEVICES) resume(Effect.succeed(devices))
    })
  })
})

/** The live clock, but not the instance by which it is known: waits are then plain sleeps. */
const plainClock = Effect.map(Clock.Clock, (clock): Clock.Clock => ({
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  currentTimeNanos: clock.currentTimeNanos,
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  sleep: (duration) => clock.sleep(duration)
}))

/** What Linux says was stolen since it started: the eighth figure of its first line, in hundredths of a second. */
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

const tenDevices = Effect.fnUntraced(function*(seconds: number) {
  const devices = yield* simulate
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

const inProcess = (seconds: number) =>
  Effect.provide(
    measure("in process, 1000 Hz, precise", { rateHz: 1000, duration: `${seconds} seconds`, precise: true }),
    PollSource.layer({ devices: ["oven"], poll: () => Effect.succeed({ Temperature: 180 }) })
  )

const tableOf = (rows: ReadonlyArray<Measured>): string => {
  const ms = (value: number) => value.toFixed(3)
  return table([
    ["run", "ticks", "skipped", "early", "failures", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU %", "stolen ms"],
    ...rows.map((row) => [
      row.run,
      ...[row.ticks, row.skipped, row.early, row.failures].map(String),
      ...[row.p50Ms, row.p99Ms, row.p999Ms, row.maxMs].map(ms),
      row.cpuPercent.toFixed(1),
      String(row.stolenMs ?? "")
    ])
  ], 1)
}

const cadence = Command.make("bench:cadence", {
  seconds: Flag.Int("seconds").pipe(
    Flag.filter((value) => value > 0, (value) => `a whole number above 0, not ${value}`),
    Flag.withDescription("How long each run goes on; the one at 1000 Hz half as long (default: 20)"),
    Flag.withDefault(20)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the figures as one JSON array"),
    Flag.withDefault(false)
  )
}, ({ json, seconds }) =>
  Effect.gen(function*() {
    const rows = [...yield* tenDevices(seconds), yield* inProcess(seconds / 2)]
    yield* Console.log(json ? JSON.stringify(rows) : tableOf(rows))
  }).pipe(Effect.provideService(References.MinimumLogLevel, "Warn"))).pipe(
    Command.withDescription("Measures how well ticks keep to their grid on this machine")
  )

Command.run(cadence, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
