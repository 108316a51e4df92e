/**
 * `sampleline record`: devices -> ticks -> samples -> outputs, until the duration is over or a signal comes.
 *
 * All checks come before the first file is touched: usage, then outputs, then devices, then outputs again with the columns of
 * the devices.
 */
import { Alicat, Simulator } from "@sampleline/alicat"
import {
  AwaitedSink,
  type DeviceError,
  type InvalidOptionError,
  messageOf,
  pipeToSink,
  PollSource,
  Progress,
  Recorder,
  SampleSink,
  SinkSchemaError,
  SinkWriteError,
  type Tick
} from "@sampleline/core"
import { LiveTable, type OutputView } from "@sampleline/view"
import * as Array from "effect/Array"
import * as Cause from "effect/Cause"
import { Command } from "effect/cli"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import type { RunAlarms } from "./alarms.ts"
import { RunError } from "./errors.ts"
import type { Left, RunJournal } from "./journal.ts"
import { earlierJournals } from "./journalPlaces.ts"
import { openKeyboard } from "./keyboard.ts"
import { clearingTerminal } from "./progress.ts"
import { recordFlags } from "./recordFlags.ts"
import { outputsShown, showRecording } from "./recordReport.ts"
import { withoutSecrets } from "./secrets.ts"
import {
  awaitsOutputs,
  hasAlarms,
  hasJournal,
  intervalMillis,
  outputOptions,
  type Settings,
  withSettings
} from "./settings.ts"
import * as Signals from "./signals.ts"
import { summaryJson, summaryText } from "./summary.ts"
import { isUnreachable, parseTargets, type Target } from "./targets.ts"
import { withTelemetry } from "./telemetry.ts"
import { complain, print, say } from "./terminal.ts"

export const recordCommand = Command.make(
  "record",
  recordFlags,
  (flags) => withSettings(flags, (settings) => withTelemetry(settings, record(settings)))
).pipe(
  Command.withShortDescription("Record devices into files and databases"),
  Command.withDescription(
    "Record devices into files and databases until the duration is over or Ctrl-C. On a terminal the key m marks this moment: "
      + "write a text, then press Enter. A terminal of at least 80 columns and 12 rows shows a live table. Its last line says what the "
      + "keys do. From another terminal `sampleline status` asks how it goes, `sampleline mark` marks, and `sampleline stop` ends it."
  ),
  Command.withExamples([
    {
      command: "sampleline record --simulate 2 --duration 10s --out run.csv",
      description: "Two simulated devices for ten seconds"
    },
    {
      command: "sampleline record --device fuel=/dev/ttyUSB0 --rate 20 --out run.csv",
      description: "One device at 20 Hz until Ctrl-C"
    },
    {
      command: "sampleline record --device fuel=COM3 --device air=COM4,unit=B --out run.csv",
      description: "Two devices; the second has unit id B"
    },
    {
      command: "sampleline record --device fuel=tcp://192.168.0.20:4001 --out run.csv",
      description: "A device behind a serial server on the network"
    },
    {
      command: "sampleline record --device fuel=COM3 --out postgres://me@db/lab --create-table",
      description: "Into a new table in Postgres"
    },
    {
      command: "sampleline record --device fuel=COM3 --out run.csv --out - | jq .Mass_Flow",
      description: "Into a file, and as JSON lines into another program"
    },
    {
      command: "sampleline record --device fuel=COM3 --out run.csv --metrics 9464",
      description: "Into a file, watched by Prometheus"
    },
    {
      command: "sampleline record --config bench.yaml --alarm 'fuel.Mass_Flow < 90 for 5s'",
      description: "With a warning when the flow is low for five seconds"
    },
    {
      command: "sampleline record --config bench.yaml --duration 8h",
      description: "With settings from a file"
    }
  ])
)

const overflowNames = { "block": "block", "drop-newest": "dropNewest", "drop-oldest": "dropOldest" } as const

const record = Effect.fnUntraced(function*(settings: Settings) {
  const targets = yield* parseTargets(settings.out, outputOptions(settings))
  const signals = yield* Signals.listen
  const { beforeExit, first: signal } = signals
  const { alarms, journal, source } = yield* Effect.raceFirst(
    prepare(settings, targets),
    Effect.flatMap(signal, Signals.end)
  )
  if (journal !== null) beforeExit(journal.sayLeft)

  const progress = new Progress()
  const table = yield* tableOf(settings)
  const control = yield* journal?.openControl({ progress, table, alarms: alarms?.raised ?? null, signals }) ??
    Effect.succeed(null)
  const keyboard = settings.quiet ? null : yield* openKeyboard
  const page = yield* openPage(settings, targets, outputsShown({ journal, progress, settings, targets }))
  const shown = { settings, targets, progress, table, alarms: alarms?.raised ?? null, journal, keyboard, page }
  const options = { batchSize: settings["batch-size"], flushInterval: settings["flush-interval"], progress }
  const toOutputs: ReturnType<RunJournal["pipeToSink"]> = journal?.pipeToSink({ ...options, control })
    ?? pipeToSink(options)
  const watchAlarms: RunAlarms["watch"] = alarms?.watch ?? identity
  const exit = yield* ticks(settings).pipe(
    LiveTable.observe(table),
    watchAlarms,
    toOutputs,
    Effect.raceFirst(settings.quiet ? Effect.never : showRecording(shown)),
    Effect.provide(outputsLayer(targets, settings)),
    Effect.provideContext(source),
    Recorder.endWhen(signal),
    clearingTerminal,
    Effect.exit
  )
  yield* logEnd(signal, exit)
  const left = yield* journal?.left ?? Effect.succeed(null)
  yield* printSummary(progress, settings, left)
  const outcome = yield* Effect.exit(
    Effect.andThen(expectComplete(left, exit), expectSamples(progress, settings))
  )
  yield* control?.ended({
    reply: "ended",
    failure: Exit.isFailure(outcome) ? withoutSecrets(messageOf(Cause.squash(outcome.cause))) : null,
    text: summaryText(progress.current),
    summary: summaryJson(progress.current, left)
  }) ?? Effect.void
  yield* endBySignal(signal, settings, outcome)
  yield* outcome
}, Effect.scoped)

/** Checks everything, opens the devices, and finds the journal's place; without a journal it is null. */
const prepare = Effect.fnUntraced(function*(settings: Settings, targets: ReadonlyArray<Target>) {
  const alarming = hasAlarms(settings) ? yield* Effect.promise(() => import("./alarms.ts")) : null
  if (alarming !== null) yield* alarming.check(settings)
  const journals = hasJournal(settings) ? yield* Effect.promise(() => import("./journal.ts")) : null
  if (journals !== null) yield* journals.check(settings)
  const earlier = settings.append ? earlierJournals(settings) : []
  if (earlier.length > 0) {
    const { finishEarlier } = yield* Effect.promise(() => import("./finishEarlier.ts"))
    yield* finishEarlier(earlier, settings)
  }
  const reachable = yield* checkAll(targets, settings)
  const source = yield* openSource(settings)
  if (settings.stream) yield* Effect.provideContext(Alicat.checkStreaming(), source)
  const { devices } = Context.get(source, PollSource)
  if (alarming !== null) yield* alarming.check(settings, devices)
  yield* checkAll(reachable, settings, devices)
  const journal = journals === null ? null : yield* journals.prepare(settings)
  const alarms = alarming === null ? null : yield* alarming.prepare(settings, devices, journal)
  return { source, journal, alarms }
})

/** Serves the page of the recording. Gives its address; null if none is asked for. */
const openPage = Effect.fnUntraced(function*(
  settings: Settings,
  targets: ReadonlyArray<Target>,
  outputs: () => ReadonlyArray<OutputView>
) {
  if (settings.view === undefined && settings["view-host"] === undefined) return null
  const { openView } = yield* Effect.promise(() => import("./liveView.ts"))
  return yield* openView(settings, targets.map(({ label, text }) => label(text)).join(", "), outputs)
})

/** The field whose trend is shown, where a device has it. */
const TREND_FIELD = "Mass_Flow"

/** What is known of the devices while they are recorded or watched. */
export const tableOf = ({ duration }: Settings) =>
  LiveTable.make({
    trendField: TREND_FIELD,
    durationSeconds: duration === undefined ? undefined : Duration.toSeconds(duration)
  })

/** Polled ticks, or with `--stream` the readings that devices send by themselves. */
export const ticks = (
  { duration, meta, overflow, precise, rate, stream }: Settings
): Stream.Stream<Tick, InvalidOptionError | DeviceError, PollSource | Alicat.Instruments> =>
  stream
    ? Alicat.recordStreaming({
      interval: rate === undefined ? undefined : intervalMillis(rate),
      duration,
      overflow: overflowNames[overflow],
      metadata: meta
    })
    : Recorder.record({ rateHz: rate ?? 10, duration, overflow: overflowNames[overflow], precise, metadata: meta })

/** Fails if an output cannot be recorded to. Gives those that can be reached. */
const checkAll = (
  targets: ReadonlyArray<Target>,
  settings: Settings,
  devices?: PollSource["Service"]["devices"]
) =>
  Effect.filter(targets, (target) =>
    Effect.as(target.check(devices), true).pipe(
      Effect.catchIf(isUnreachable, (error) =>
        awaitsOutputs(settings)
          ? Effect.succeed(false)
          : Effect.fail(
            hasJournal(settings)
              ? new RunError({
                message:
                  `${error.message}. Or give --allow-missing: then its samples wait in the journal until it is there`
              })
              : error
          ))
    ))

const outputsLayer = (targets: Array.NonEmptyReadonlyArray<Target>, settings: Settings) =>
  SampleSink.layerAll(
    Array.map(targets, ({ layer }) => awaitsOutputs(settings) ? AwaitedSink.layer(layer) : layer)
  )

export const openSource = Effect.fnUntraced(function*({ "allow-missing": allowMissing, source }: Settings) {
  return yield* Layer.build(Alicat.layer({ devices: yield* devicesOf(source), allowMissing }))
})

/** The devices, simulated ones if the source is a number. The scope ends the simulation. */
export const devicesOf = (source: Settings["source"]) =>
  typeof source === "number" ? simulateDevices(source) : Effect.succeed(source)

const hasPtys = process.platform !== "win32"

const simulateDevices = Effect.fnUntraced(function*(count: number) {
  const ports = yield* Simulator.make({ devices: count, tcp: hasPtys ? undefined : 0 })
  return Object.fromEntries(ports.map(({ name, port, unit }) => [name, { port, unit }]))
})

/** Says what ended the run. */
const logEnd = Effect.fnUntraced(function*(signal: Effect.Effect<Signals.Signal>, exit: Exit.Exit<unknown, unknown>) {
  const name = yield* receivedSignal(signal)
  yield* Effect.logInfo(
    name !== null ? `ended by ${name}` : Exit.isFailure(exit) ? "ended by a failure" : "ended: the duration is over"
  )
})

export const receivedSignal = (signal: Effect.Effect<Signals.Signal>): Effect.Effect<Signals.Signal | null> =>
  Effect.raceFirst(signal, Effect.as(Effect.void, null))

/** On stdout, or on stderr if the samples go to stdout. */
const printSummary = (progress: Progress, { json, out }: Settings, left: Left | null) =>
  Effect.sync(() => {
    const summary = progress.current
    if (summary.startedAt === 0) return
    const text = json ? summaryJson(summary, left) : summaryText(summary)
    if (out.includes("-")) say(text)
    else print(text)
  })

/** Fails as the run did, or if outputs lack something that the journal has. Why an output failed is in the log. */
const expectComplete = Effect.fnUntraced(function*<A, E>(left: Left | null, exit: Exit.Exit<A, E>) {
  if (left === null) return yield* exit
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : null
  if (error !== null && !(error instanceof SinkWriteError || error instanceof SinkSchemaError)) complain(error)
  return yield* new RunError({ message: left.message })
})

/** Fails if a device gave no sample in the whole run. */
const expectSamples = Effect.fnUntraced(function*(progress: Progress, { "allow-missing": allowMissing }: Settings) {
  const { failures, samplesEmitted, silentDevices } = progress.current
  const silent = silentDevices.filter((name) => failures[name]! > 0)
  if (silent.length > 0 && !allowMissing) {
    return yield* new RunError({
      message: `no sample came from ${silent.join(", ")}; check power and cable (see the warnings above)`
    })
  }
  if (samplesEmitted === 0) {
    return yield* new RunError({ message: "no sample was recorded; check power and cables" })
  }
})

/** SIGTERM and SIGHUP always set the exit code. Ctrl-C and `stop` set it if they cut a duration short and nothing failed. */
const endBySignal = Effect.fnUntraced(function*(
  signal: Effect.Effect<Signals.Signal>,
  { duration }: Settings,
  outcome: Exit.Exit<unknown, unknown>
) {
  const name = yield* receivedSignal(signal)
  if (name === null || (Signals.isByUser(name) && (duration === undefined || Exit.isFailure(outcome)))) return
  if (Exit.isFailure(outcome)) complain(Cause.squash(outcome.cause))
  return yield* Signals.end(name)
})
