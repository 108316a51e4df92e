/**
 * The settings of a recording: flags override the settings file, the file overrides the defaults.
 */
import type { Alicat } from "@sampleline/alicat"
import { parseDuration, type RunMetadata } from "@sampleline/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as References from "effect/References"
import { type ConfigFile, readConfigFile } from "./configFile.ts"
import { parseDevices } from "./deviceFlag.ts"
import { UsageError } from "./errors.ts"
import { metadataOf, parseMeta } from "./metaFlag.ts"
import type { RecordFlags } from "./recordFlags.ts"
import { parseSize } from "./sizes.ts"
import { isPipe, type OutputOptions } from "./targets.ts"
import { type MetricsAddress, parseCollector, parseMetricsAddress } from "./telemetry.ts"
import type { ViewPort } from "./viewAddress.ts"

/** Everything that a recording has to know: as in a file, except for `Own`. */
export interface Settings
  extends Required<Omit<ConfigFile, "devices" | "simulate" | "identity" | "note" | keyof Own>>, Own
{}

interface Own {
  /** The devices, or how many to simulate. */
  readonly source: Alicat.AlicatOptions["devices"] | number
  readonly out: readonly [string, ...ReadonlyArray<string>]
  /** What is kept with the run. */
  readonly meta: RunMetadata
  readonly rate: number | undefined
  readonly duration: Duration.Duration | undefined
  readonly "flush-interval": Duration.Duration | undefined
  /** The journal's folder; undefined for a place beside the outputs. */
  readonly journal: string | undefined
  /** In bytes. */
  readonly "journal-max": number | undefined
  readonly "journal-full": "stop" | "drop-oldest" | undefined
  readonly "disk-wait": Duration.Duration | undefined
  /** Undefined: what is usual with and without a journal. */
  readonly fsync: "never" | "interval" | "always" | undefined
  readonly alarms: ReadonlyArray<string>
  /** A command line, or its words. */
  readonly "on-alarm": string | ReadonlyArray<string> | undefined
  /** The port of the page; `auto` is the usual one, or another if that is used. Undefined: no page. */
  readonly view: ViewPort | undefined
  readonly "view-host": string | undefined
  /** Where metrics are served. */
  readonly metrics: MetricsAddress | undefined
  /** The URL of a collector. */
  readonly otlp: string | undefined
}

const DEFAULTS = {
  table: "samples",
  "create-table": false,
  "row-ids": false,
  "batch-size": 64,
  overflow: "block",
  precise: false,
  stream: false,
  "allow-missing": false,
  overwrite: false,
  append: false,
  "no-journal": false,
  plain: false,
  json: false,
  quiet: false
} as const

/** Runs a command with its settings. With `--quiet` only warnings and errors are logged. */
export const withSettings = <A, E, R>(
  flags: RecordFlags,
  run: (settings: Settings) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | UsageError, R> =>
  Effect.flatMap(readSettings(flags), (settings) =>
    settings.quiet
      ? Effect.provideService(run(settings), References.MinimumLogLevel, "Warn")
      : run(settings))

/** The settings from the flags and from the file that `--config` names. */
const readSettings = Effect.fnUntraced(function*(flags: RecordFlags): Effect.fn.Return<Settings, UsageError> {
  const file = withNewNames(Option.isSome(flags.config) ? yield* readConfigFile(flags.config.value) : {})
  const { alarm, config: _, device, meta, note, out: outs, ...rest } = flags
  const given = withNewNames<Partial<Settings> & { readonly simulate?: number; readonly identity?: boolean }>(
    Object.fromEntries(
      Object.entries<Option.Option<unknown>>(rest).flatMap(([name, value]) =>
        Option.isSome(value) ? [[name, value.value]] : []
      )
    )
  )
  const refuse = (message: string) => new UsageError({ message })

  const own = device.length > 0 || given.simulate !== undefined
  const devices = device.length > 0 ? yield* parseDevices(device) : own ? undefined : devicesOf(file)
  const simulate = own ? given.simulate : file.simulate
  if (devices !== undefined && simulate !== undefined) {
    return yield* refuse("--device and --simulate cannot be combined; choose one")
  }
  const source = devices ?? simulate
  if (source === undefined) {
    return yield* refuse(
      "nothing to record; add --device fuel=/dev/ttyUSB0, or --simulate 1 to try it without a device"
    )
  }
  const [out, ...more] = outs.length > 0 ? outs : [file.out ?? []].flat()
  if (out === undefined) {
    return yield* refuse("no output; add --out run.csv, or --out - to print the samples")
  }
  const modes = given.append === undefined && given.overwrite === undefined ? {} : { append: false, overwrite: false }
  const settings: Settings = {
    ...DEFAULTS,
    ...file,
    ...modes,
    rate: file.rate,
    duration: durationOf(file.duration),
    "flush-interval": durationOf(file["flush-interval"]),
    journal: given["no-journal"] === true ? undefined : file.journal,
    ...given.journal === undefined ? {} : { "no-journal": false },
    "journal-max": Option.getOrUndefined(parseSize(file["journal-max"] ?? "")),
    "journal-full": file["journal-full"],
    "disk-wait": durationOf(file["disk-wait"]),
    fsync: file.fsync,
    alarms: alarm.length > 0 ? alarm : file.alarms ?? [],
    "on-alarm": file["on-alarm"],
    view: viewOf(file.view),
    "view-host": file["view-host"],
    metrics: Option.getOrUndefined(parseMetricsAddress(String(file.metrics))),
    otlp: Option.getOrUndefined(parseCollector(String(file.otlp))),
    ...given,
    source,
    meta: yield* metadataOf(
      { ...file.meta, ...yield* parseMeta(meta) },
      Option.getOrElse(note, () => file.note)
    ),
    out: [out, ...more]
  }
  if (settings.append && settings.overwrite) {
    return yield* refuse("--append and --overwrite cannot be combined; choose one")
  }
  if (settings.journal !== undefined && settings["no-journal"]) {
    return yield* refuse("--journal and --no-journal cannot be combined; choose one")
  }
  if (settings.stream && settings.precise) {
    return yield* refuse(
      "--precise and --stream cannot be combined, because --precise times polls and --stream does not poll; choose one"
    )
  }
  if (settings.stream && settings.rate !== undefined && intervalMillis(settings.rate) > LONGEST_INTERVAL_MILLIS) {
    return yield* refuse(
      `--rate ${settings.rate} is too slow for --stream; give at least 0.016, one reading every 65 s`
    )
  }
  return settings
})

/** Whether a recording has anything to do with alarms. */
export const hasAlarms = ({ alarms, "on-alarm": command }: Settings): boolean =>
  alarms.length > 0 || command !== undefined

/** How a journal's folder is called: its name has this end. */
export const JOURNAL_ENDING = ".journal"

/** Whether a recording has a journal. Without one that is asked for, it needs an output for which something can be kept. */
export const hasJournal = ({ journal, out, ...settings }: Settings): boolean =>
  !settings["no-journal"] && (journal !== undefined || !out.every(isPipe))

/** Whether a recording begins without an output that cannot be reached yet: its samples wait in the journal. */
export const awaitsOutputs = (settings: Settings): boolean => settings["allow-missing"] && hasJournal(settings)

/** What all outputs of a recording have in common. With a journal they need not force anything to disk by themselves. */
export const outputOptions = (settings: Settings): OutputOptions => ({
  mode: settings.append ? "append" : settings.overwrite ? "overwrite" : "create",
  fsync: hasJournal(settings) ? "never" : settings.fsync ?? "never",
  rowIds: settings["row-ids"],
  table: settings.table,
  createTable: settings["create-table"]
})

/** `identity` is the old name of `row-ids`. */
const withNewNames = <S extends { readonly identity?: boolean }>(settings: S): Omit<S, "identity"> => {
  const { identity, ...rest } = settings
  return identity === undefined ? rest : { "row-ids": identity, ...rest }
}

/** The interval for a rate, in whole milliseconds: that is how devices take it. */
export const intervalMillis = (rate: number): number => Math.max(1, Math.round(1000 / rate))

/** The longest interval that devices take. Checked here, before any file is opened. */
const LONGEST_INTERVAL_MILLIS = 65_535

const viewOf = (view: ConfigFile["view"]): ViewPort | undefined =>
  view === true ? "auto" : typeof view === "number" ? view : undefined

const durationOf = (text: string | undefined) =>
  text === undefined ? undefined : Option.getOrUndefined(parseDuration(text))

const devicesOf = ({ devices }: Pick<ConfigFile, "devices">) =>
  devices === undefined
    ? undefined
    : Object.fromEntries(
      Object.entries(devices).map(([name, device]) => [name, typeof device === "string" ? { port: device } : device])
    )
