/**
 * `sampleline record`: devices -> ticks -> samples -> files, until the duration is over or a signal comes.
 *
 * Everything that can be refused is refused before a file is touched: usage, then outputs, then devices, then outputs again
 * with what the devices said of themselves.
 */
import { Alicat, Simulator } from "@sampleline/alicat"
import { pipeToSink, PollSource, Progress, Recorder, SampleSink } from "@sampleline/core"
import * as Array from "effect/Array"
import * as Cause from "effect/Cause"
import { Command, Flag } from "effect/cli"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import { parseDevices } from "./devices.ts"
import { parseDuration } from "./durations.ts"
import { Ended, RunError, UsageError } from "./failures.ts"
import { reportProgress, summaryJson, summaryText } from "./reports.ts"
import * as Signals from "./signals.ts"
import { parseTargets, type Target } from "./targets.ts"
import { complain, say } from "./terminal.ts"

const durationFlag = (name: string) =>
  Flag.filterMap(
    Flag.String(name),
    parseDuration,
    (text) => `a time above 0 such as 10ms, 60s, 5min or 2h, not ${JSON.stringify(text)}`
  )

const positiveInteger = (name: string) =>
  Flag.filter(Flag.Int(name), (value) => value > 0, (value) => `a whole number above 0, not ${value}`)

const overflowNames = { "block": "block", "drop-newest": "dropNewest", "drop-oldest": "dropOldest" } as const

const flags = {
  device: Flag.String("device").pipe(
    Flag.withMetavar("NAME=PORT[,unit=A][,baud=19200]"),
    Flag.withDescription("A device to record, by the name its samples are to bear; can be given several times"),
    Flag.atLeast(0)
  ),
  simulate: positiveInteger("simulate").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("Record N simulated devices instead of real ones"),
    Flag.optional
  ),
  out: Flag.String("out").pipe(
    Flag.withMetavar("TARGET"),
    Flag.withDescription(
      "Where to: NAME.csv, .jsonl, .parquet, .db (SQLite), postgres://USER@HOST/DATABASE (password also from PGPASSWORD), or - for JSON lines on stdout; can be given several times"
    ),
    Flag.atLeast(0)
  ),
  rate: Flag.Finite("rate").pipe(
    Flag.filter((rate) => rate > 0, (rate) => `a number of ticks per second above 0, not ${rate}`),
    Flag.withMetavar("HZ"),
    Flag.withDescription("Ticks per second (default: 10)"),
    Flag.withDefault(10)
  ),
  duration: durationFlag("duration").pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription(
      "How long to record, in ms, s, min, h or d, such as 60s or 1h30min; rounded to whole ticks (default: until Ctrl-C)"
    ),
    Flag.optional
  ),
  table: Flag.String("table").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("The table in a database (default: samples)"),
    Flag.withDefault("samples")
  ),
  createTable: Flag.Boolean("create-table").pipe(
    Flag.withDescription("Make the table in Postgres if there is none"),
    Flag.withDefault(false)
  ),
  identity: Flag.Boolean("identity").pipe(
    Flag.withDescription("Add the columns run_id and sequence"),
    Flag.withDefault(false)
  ),
  batchSize: positiveInteger("batch-size").pipe(
    Flag.withDescription("Write when this many samples are there (default: 64)"),
    Flag.withDefault(64)
  ),
  flushInterval: durationFlag("flush-interval").pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription("Write at the latest this long after a batch's first sample (default: 1s)"),
    Flag.optional
  ),
  overflow: Flag.Literals("overflow", ["block", "drop-newest", "drop-oldest"]).pipe(
    Flag.withDescription(
      "When the outputs are too slow: block waits and skips ticks, the others drop polled ticks (default: block)"
    ),
    Flag.withDefault("block" as const)
  ),
  precise: Flag.Boolean("precise").pipe(
    Flag.withDescription("Begin ticks within microseconds of their time, at the cost of CPU time"),
    Flag.withDefault(false)
  ),
  overwrite: Flag.Boolean("overwrite").pipe(
    Flag.withDescription("Replace files that exist; a table in Postgres is always added to"),
    Flag.withDefault(false)
  ),
  append: Flag.Boolean("append").pipe(
    Flag.withDescription("Add to files that exist; a Parquet file cannot be added to"),
    Flag.withDefault(false)
  ),
  fsync: Flag.Literals("fsync", ["never", "interval", "always"]).pipe(
    Flag.withDescription(
      "Force files to disk: leave it to the system, once a second, or with each batch (default: never)"
    ),
    Flag.withDefault("never" as const)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the summary as one JSON object"),
    Flag.withDefault(false)
  ),
  quiet: Flag.Boolean("quiet").pipe(
    Flag.withDescription("No progress and no information on stderr; warnings and errors only"),
    Flag.withDefault(false)
  )
}

export const recordCommand = Command.make(
  "record",
  flags,
  Effect.fnUntraced(
    function*(options) {
      const targets = yield* parseOutputs(options)
      const { first: signal } = yield* Signals.listen
      const source = yield* Effect.gen(function*() {
        yield* checkAll(targets)
        const source = yield* openSource(options)
        yield* checkAll(targets, Context.get(source, PollSource).devices)
        return source
      }).pipe(Effect.raceFirst(Effect.flatMap(signal, (name) => new Ended({ exitCode: Signals.exitCodes[name] }))))

      const progress = new Progress()
      const exit = yield* Recorder.record({
        rateHz: options.rate,
        duration: Option.getOrUndefined(options.duration),
        overflow: overflowNames[options.overflow],
        precise: options.precise
      }).pipe(
        pipeToSink({
          batchSize: options.batchSize,
          flushInterval: Option.getOrUndefined(options.flushInterval),
          progress
        }),
        Effect.raceFirst(options.quiet ? Effect.never : reportProgress(progress)),
        Effect.provide(SampleSink.layerAll(Array.map(targets, (target) => target.layer))),
        Effect.provideContext(source),
        Recorder.endWhen(signal),
        Effect.exit
      )
      yield* printSummary(progress, options)
      const outcome = yield* Effect.exit(Effect.andThen(exit, expectSamples(progress)))
      yield* endBySignal(signal, options, outcome)
      yield* outcome
    },
    Effect.scoped,
    (command, { quiet }) => quiet ? Effect.provideService(command, References.MinimumLogLevel, "Warn") : command
  )
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
    }
  ])
)

interface Options {
  readonly device: ReadonlyArray<string>
  readonly simulate: Option.Option<number>
  readonly out: ReadonlyArray<string>
  readonly duration: Option.Option<unknown>
  readonly identity: boolean
  readonly table: string
  readonly createTable: boolean
  readonly overwrite: boolean
  readonly append: boolean
  readonly fsync: "never" | "interval" | "always"
  readonly json: boolean
  readonly quiet: boolean
}

const parseOutputs = Effect.fnUntraced(function*(options: Options) {
  const { append, createTable, device, fsync, identity, out, overwrite, simulate, table } = options
  if (append && overwrite) {
    return yield* new UsageError({ message: "--append and --overwrite exclude each other; choose one" })
  }
  if (device.length > 0 && Option.isSome(simulate)) {
    return yield* new UsageError({ message: "--device and --simulate exclude each other; choose one" })
  }
  if (device.length === 0 && Option.isNone(simulate)) {
    return yield* new UsageError({
      message: "nothing to record; add --device fuel=/dev/ttyUSB0, or --simulate 1 to try it without a device"
    })
  }
  if (!Array.isReadonlyArrayNonEmpty(out)) {
    return yield* new UsageError({ message: "no output; add --out run.csv (or --out - to see the samples here)" })
  }
  return yield* parseTargets(out, {
    mode: append ? "append" : overwrite ? "overwrite" : "create",
    fsync,
    identity,
    table,
    createTable
  })
})

const checkAll = (targets: ReadonlyArray<Target>, devices?: PollSource["Service"]["devices"]) =>
  Effect.forEach(targets, (target) => target.check(devices), { discard: true })

const hasPtys = process.platform !== "win32"

const openSource = Effect.fnUntraced(function*({ device, simulate }: Options) {
  const devices = Option.isSome(simulate)
    ? Object.fromEntries(
      (yield* Simulator.make({ devices: simulate.value, tcp: hasPtys ? undefined : 0 })).map((
        { name, port, unit }
      ) => [name, { port, unit }])
    )
    : yield* parseDevices(device)
  return yield* Layer.build(Alicat.layer({ devices }))
})

/** To stdout, or to stderr where the samples go to stdout. */
const printSummary = (progress: Progress, { json, out }: Options) =>
  Effect.sync(() => {
    const summary = progress.current
    if (summary.startedAt === 0) return
    const text = json ? summaryJson(summary) : summaryText(summary)
    if (out.includes("-")) say(text)
    else process.stdout.write(`${text}\n`)
  })

/** A device that gave no sample in the whole run is a failure, even if the run itself is none. */
const expectSamples = Effect.fnUntraced(function*(progress: Progress) {
  const { failures, samplesEmitted, ticks } = progress.current
  const silent = Object.entries(failures).filter(([, count]) => count > 0 && count === ticks).map(([name]) => name)
  if (silent.length > 0) {
    return yield* new RunError({
      message: `no sample came from ${silent.join(", ")}; check power and cable (its failures are in the log above)`
    })
  }
  if (samplesEmitted === 0) return yield* new RunError({ message: "not one sample was recorded" })
})

/** The exit code of a run that a signal ended: SIGTERM and SIGHUP have theirs always, Ctrl-C where nothing else went wrong. */
const endBySignal = Effect.fnUntraced(function*(
  signal: Effect.Effect<Signals.Signal>,
  { duration }: Options,
  outcome: Exit.Exit<unknown, unknown>
) {
  const name = yield* Effect.raceFirst(signal, Effect.as(Effect.void, null))
  if (name === null || (name === "SIGINT" && (Option.isNone(duration) || Exit.isFailure(outcome)))) return
  if (Exit.isFailure(outcome)) complain(Cause.squash(outcome.cause))
  return yield* new Ended({ exitCode: Signals.exitCodes[name] })
})
