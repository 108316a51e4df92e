/**
 * `sampleline record`: devices -> ticks -> samples -> files, until the duration is over or a signal comes.
 *
 * Everything that can be refused is refused before a file is touched: usage, then outputs, then devices, then outputs again
 * with what the devices said of themselves.
 */
import { Alicat, Simulator } from "@sampleline/alicat"
import {
  type DeviceError,
  type InvalidOptionError,
  pipeToSink,
  PollSource,
  Progress,
  Recorder,
  SampleSink,
  type Tick
} from "@sampleline/core"
import * as Array from "effect/Array"
import * as Cause from "effect/Cause"
import { Command } from "effect/cli"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import type * as Stream from "effect/Stream"
import { Ended, RunError } from "./failures.ts"
import { reportProgress, summaryJson, summaryText } from "./reports.ts"
import { flags, intervalMillis, readSettings, type Settings } from "./settings.ts"
import * as Signals from "./signals.ts"
import { parseTargets, type Target } from "./targets.ts"
import { complain, say } from "./terminal.ts"

export const recordCommand = Command.make(
  "record",
  flags,
  (flags) =>
    Effect.flatMap(readSettings(flags), (settings) =>
      settings.quiet
        ? Effect.provideService(record(settings), References.MinimumLogLevel, "Warn")
        : record(settings))
).pipe(
  Command.withDescription("Record devices into files until the duration is over or Ctrl-C"),
  Command.withExamples([
    {
      command: "sampleline record --simulate 2 --duration 10s --out run.csv",
      description: "Two simulated devices for ten seconds"
    },
    {
      command: "sampleline record --device fuel=/dev/ttyUSB0 --device air=/dev/ttyUSB1,unit=B --rate 20 --out run.csv",
      description: "Two devices until Ctrl-C"
    },
    {
      command: "sampleline record --device fuel=COM3 --out run.parquet --out postgres://me@db/lab --create-table",
      description: "Into a Parquet file and a new table in Postgres"
    },
    {
      command: "sampleline record --device fuel=tcp://192.168.0.20:4001 --out run.csv",
      description: "A device behind a serial server on the network"
    },
    {
      command: "sampleline record --device fuel=COM3 --out run.csv --out - | jq .Mass_Flow",
      description: "Into a file, and as JSON lines into another program"
    },
    {
      command: "sampleline record --config bench.yaml --duration 8h",
      description: "With the settings in a file"
    }
  ])
)

const overflowNames = { "block": "block", "drop-newest": "dropNewest", "drop-oldest": "dropOldest" } as const

const record = Effect.fnUntraced(function*(settings: Settings) {
  const targets = yield* parseTargets(settings.out, {
    mode: settings.append ? "append" : settings.overwrite ? "overwrite" : "create",
    fsync: settings.fsync,
    identity: settings.identity,
    table: settings.table,
    createTable: settings["create-table"]
  })
  const { first: signal } = yield* Signals.listen
  const source = yield* Effect.gen(function*() {
    yield* checkAll(targets)
    const source = yield* openSource(settings)
    if (settings.stream) yield* Effect.provideContext(Alicat.checkStreaming(), source)
    yield* checkAll(targets, Context.get(source, PollSource).devices)
    return source
  }).pipe(Effect.raceFirst(Effect.flatMap(signal, (name) => new Ended({ exitCode: Signals.exitCodes[name] }))))

  const progress = new Progress()
  const exit = yield* ticks(settings).pipe(
    pipeToSink({ batchSize: settings["batch-size"], flushInterval: settings["flush-interval"], progress }),
    Effect.raceFirst(settings.quiet ? Effect.never : reportProgress(progress)),
    Effect.provide(SampleSink.layerAll(Array.map(targets, (target) => target.layer))),
    Effect.provideContext(source),
    Recorder.endWhen(signal),
    Effect.exit
  )
  yield* printSummary(progress, settings)
  const outcome = yield* Effect.exit(Effect.andThen(exit, expectSamples(progress, settings)))
  yield* endBySignal(signal, settings, outcome)
  yield* outcome
}, Effect.scoped)

/** The devices asked on a grid, or sending by themselves. */
const ticks = (
  { duration, overflow, precise, rate, stream }: Settings
): Stream.Stream<Tick, InvalidOptionError | DeviceError, PollSource | Alicat.Instruments> =>
  stream
    ? Alicat.recordStreaming({
      interval: rate === undefined ? undefined : intervalMillis(rate),
      duration,
      overflow: overflowNames[overflow]
    })
    : Recorder.record({ rateHz: rate ?? 10, duration, overflow: overflowNames[overflow], precise })

const checkAll = (targets: ReadonlyArray<Target>, devices?: PollSource["Service"]["devices"]) =>
  Effect.forEach(targets, (target) => target.check(devices), { discard: true })

const hasPtys = process.platform !== "win32"

const openSource = Effect.fnUntraced(function*({ "allow-missing": allowMissing, source }: Settings) {
  const devices = typeof source !== "number" ? source : Object.fromEntries(
    (yield* Simulator.make({ devices: source, tcp: hasPtys ? undefined : 0 })).map(({ name, port, unit }) => [name, {
      port,
      unit
    }])
  )
  return yield* Layer.build(Alicat.layer({ devices, allowMissing }))
})

/** To stdout, or to stderr where the samples go to stdout. */
const printSummary = (progress: Progress, { json, out }: Settings) =>
  Effect.sync(() => {
    const summary = progress.current
    if (summary.startedAt === 0) return
    const text = json ? summaryJson(summary) : summaryText(summary)
    if (out.includes("-")) say(text)
    else process.stdout.write(`${text}\n`)
  })

/** A device that gave no sample in the whole run is a failure, even if the run itself is none. */
const expectSamples = Effect.fnUntraced(function*(progress: Progress, { "allow-missing": allowMissing }: Settings) {
  const { failures, samplesEmitted, silentDevices } = progress.current
  const silent = silentDevices.filter((name) => failures[name]! > 0)
  if (silent.length > 0 && !allowMissing) {
    return yield* new RunError({
      message: `no sample came from ${silent.join(", ")}; check power and cable (its failures are in the log above)`
    })
  }
  if (samplesEmitted === 0) return yield* new RunError({ message: "not one sample was recorded" })
})

/** The exit code of a run that a signal ended: SIGTERM and SIGHUP have theirs always, Ctrl-C where nothing else went wrong. */
const endBySignal = Effect.fnUntraced(function*(
  signal: Effect.Effect<Signals.Signal>,
  { duration }: Settings,
  outcome: Exit.Exit<unknown, unknown>
) {
  const name = yield* Effect.raceFirst(signal, Effect.as(Effect.void, null))
  if (name === null || (name === "SIGINT" && (duration === undefined || Exit.isFailure(outcome)))) return
  if (Exit.isFailure(outcome)) complain(Cause.squash(outcome.cause))
  return yield* new Ended({ exitCode: Signals.exitCodes[name] })
})
