/**
 * `sampleline check`: whether a recording with these settings could begin. It writes nothing.
 *
 * It goes on after a failure, so that one run shows everything that is wrong.
 */
import { Alicat } from "@sampleline/alicat"
import { type Device, type DeviceError, messageOf, type Reading, SourceDependencyError } from "@sampleline/core"
import * as Array from "effect/Array"
import { Command } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Ended } from "./errors.ts"
import { devicesOf } from "./record.ts"
import { recordFlags } from "./recordFlags.ts"
import { withoutSecrets } from "./secrets.ts"
import { awaitsOutputs, hasAlarms, hasJournal, outputOptions, type Settings, withSettings } from "./settings.ts"
import * as Signals from "./signals.ts"
import { isUnreachable, targetAt } from "./targets.ts"
import { checkTelemetry } from "./telemetry.ts"
import { complain, print, say } from "./terminal.ts"

export const checkCommand = Command.make(
  "check",
  recordFlags,
  (flags) => withSettings(flags, check)
).pipe(
  Command.withShortDescription("Check devices and outputs without recording"),
  Command.withDescription(
    "Check whether a recording could begin. Takes the flags of record, reads each device once and checks each output and alarm. Writes "
      + "nothing. The exit code is 0 if the recording could begin, and 1 if not."
  ),
  Command.withExamples([
    {
      command: "sampleline check --device fuel=/dev/ttyUSB0 --out run.csv",
      description: "Read one device, and see whether run.csv could be written"
    },
    { command: "sampleline check --config bench.yaml", description: "Check a settings file" },
    {
      command: "sampleline check --config bench.yaml --json | jq .problems",
      description: "As one JSON object, for another program"
    }
  ])
)

/** What was found. A recording could begin if there is no problem. */
interface Findings {
  readonly devices: ReadonlyArray<Device>
  readonly readings: ReadonlyArray<Reading>
  /** The outputs that can be opened. */
  readonly outputs: ReadonlyArray<string>
  readonly problems: ReadonlyArray<unknown>
  /** Failures that `--allow-missing` allows. */
  readonly allowed: ReadonlyArray<unknown>
}

const check = Effect.fnUntraced(function*(settings: Settings) {
  const { first: signal } = yield* Signals.listen
  const found = yield* Effect.raceFirst(findingsOf(settings), Effect.flatMap(signal, Signals.end))
  if (settings.json) print(findingsJson(found))
  else printFindings(found)
  if (found.problems.length > 0) return yield* new Ended({ exitCode: 1 })
}, Effect.scoped)

const findingsOf = Effect.fnUntraced(function*(settings: Settings): Effect.fn.Return<Findings, never, Scope.Scope> {
  const polled = yield* Effect.result(pollDevices(settings))
  const { devices, failures, readings } = Result.getOrElse(polled, () => NOTHING)
  const [allowed, failed] = Array.partition(
    failures.map(({ error }) => error),
    (error) => isAllowed(error, settings) ? Result.succeed(error) : Result.fail(error)
  )
  // Columns can only be checked when all devices are known.
  const known = Result.isSuccess(polled) && failed.length === 0 ? devices : undefined
  const telemetry = yield* Effect.result(checkTelemetry(settings))
  const journal = yield* Effect.result(checkJournal(settings))
  const alarms = yield* Effect.result(checkAlarms(settings, devices))
  const outputs = yield* Effect.forEach(settings.out, (_, at) => Effect.result(checkOutput(settings, at, known)))
  const [awaited, refused] = Array.partition(
    outputs.flatMap((output) => Result.isFailure(output) ? [output.failure] : []),
    (error) => awaitsOutputs(settings) && isUnreachable(error) ? Result.succeed(error) : Result.fail(error)
  )
  return {
    devices,
    readings,
    outputs: settings.out.filter((_, at) => Result.isSuccess(outputs[at]!)),
    problems: [
      ...(Result.isFailure(polled) ? [polled.failure] : failed),
      ...refused,
      ...Result.isFailure(alarms) ? [alarms.failure] : [],
      ...Result.isFailure(journal) ? [journal.failure] : [],
      ...Result.isFailure(telemetry) ? [telemetry.failure] : []
    ],
    allowed: [...allowed, ...awaited]
  }
})

const NOTHING: Alicat.CheckResult = { devices: [], readings: [], failures: [] }

const pollDevices = Effect.fnUntraced(function*({ source, stream }: Settings) {
  return yield* Alicat.check({ devices: yield* devicesOf(source), stream })
})

/** A missing package is a problem even with `--allow-missing`. */
const isAllowed = ({ cause }: DeviceError, { "allow-missing": allowMissing }: Settings): boolean =>
  allowMissing && !(cause instanceof SourceDependencyError)

const checkOutput = (settings: Settings, at: number, devices: ReadonlyArray<Device> | undefined) =>
  Effect.flatMap(targetAt(settings.out, at, outputOptions(settings)), (target) => target.check(devices))

/** Fails if an earlier recording left its journal in the place of this one's. */
const checkJournal = (settings: Settings) =>
  hasJournal(settings)
    ? Effect.flatMap(Effect.promise(() => import("./journal.ts")), ({ check }) => check(settings))
    : Effect.void

/** The settings name also those devices that did not answer. */
const checkAlarms = (settings: Settings, answered: ReadonlyArray<Device>) => {
  if (!hasAlarms(settings)) return Effect.void
  const names = typeof settings.source === "number" ? answered.map(({ name }) => name) : Object.keys(settings.source)
  const devices = names.map((name) => answered.find((device) => device.name === name) ?? { name, format: null })
  return Effect.flatMap(Effect.promise(() => import("./alarms.ts")), ({ check }) => check(settings, devices))
}

const printFindings = ({ allowed, outputs, problems, readings }: Findings): void => {
  for (const reading of readings) print(`${reading.device}: ${readingText(reading)}`)
  for (const output of outputs) print(`${withoutSecrets(output)}: ok`)
  for (const error of allowed) say(`sampleline: ${textOf(error)} (allowed by --allow-missing)`)
  for (const problem of problems) complain(problem)
}

/** `Mass_Flow 12.5 SCCM, Gas Air, status HLD`. A conditional field that was not sent is left out. */
const readingText = ({ frame: { fieldFailures = [], format, status, values } }: Reading): string =>
  [
    ...format.fields.flatMap(({ name, unit }, at) => {
      const value = values[at]
      const failed = fieldFailures.find(({ field }) => field === name)
      if (failed !== undefined) return `${name} made no sense (expected ${failed.detail})`
      return value === undefined ? [] : [[name, value ?? "none", unit ?? ""].join(" ").trimEnd()]
    }),
    ...(status.length === 0 ? [] : [`status ${status.join(" ")}`])
  ].join(", ")

const findingsJson = ({ allowed, devices, outputs, problems, readings }: Findings): string =>
  JSON.stringify({
    ready: problems.length === 0,
    devices: devices.map(({ identity, name, unitId }) => ({
      name,
      unit: unitId,
      identity,
      reading: readings.filter(({ device }) => device === name).map(readingJson)[0] ?? null
    })),
    outputs: outputs.map(withoutSecrets),
    problems: problems.map(textOf),
    allowed: allowed.map(textOf)
  })

const readingJson = ({ frame: { fieldFailures = [], format, status, values } }: Reading) => ({
  fields: format.fields.map(({ name, unit }, at) => ({ name, unit, value: values[at] ?? null })),
  status,
  failures: fieldFailures
})

const textOf = (error: unknown): string => withoutSecrets(messageOf(error))
