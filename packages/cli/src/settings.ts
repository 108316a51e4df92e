/**
 * The settings of a recording, from flags and from a file: what is given on the command line goes before what stands in the
 * file, and both before the defaults. In the file they have the names of the flags, but for `devices`.
 */
import type { Alicat } from "@sampleline/alicat"
import { Flag } from "effect/cli"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as fs from "node:fs"
import { parseDevices } from "./devices.ts"
import { parseDuration } from "./durations.ts"
import { UsageError } from "./failures.ts"
import { oneLine, withoutSecrets } from "./terminal.ts"

const durationFlag = (name: string) =>
  Flag.filterMap(
    Flag.String(name),
    parseDuration,
    (text) => `a time above 0 such as 10ms, 60s, 5min or 2h, not ${JSON.stringify(text)}`
  )

const positiveInteger = (name: string) =>
  Flag.filter(Flag.Int(name), (value) => value > 0, (value) => `a whole number above 0, not ${value}`)

const switchFlag = (name: string, description: string) =>
  Flag.optional(Flag.withDescription(Flag.Boolean(name), description))

export const flags = {
  config: Flag.String("config").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      "A YAML or JSON file with any of these settings; what is given here goes before what stands there"
    ),
    Flag.optional
  ),
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
    Flag.withDescription(
      "Ticks per second (default: 10); with --stream, what each device is told to send (default: as it is set)"
    ),
    Flag.optional
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
    Flag.optional
  ),
  "create-table": switchFlag(
    "create-table",
    "Make the table in Postgres if there is none"
  ),
  identity: switchFlag(
    "identity",
    "Add the columns run_id and sequence"
  ),
  "batch-size": positiveInteger("batch-size").pipe(
    Flag.withDescription("Write when this many samples are there (default: 64)"),
    Flag.optional
  ),
  "flush-interval": durationFlag("flush-interval").pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription("Write at the latest this long after a batch's first sample (default: 1s)"),
    Flag.optional
  ),
  overflow: Flag.Literals("overflow", ["block", "drop-newest", "drop-oldest"]).pipe(
    Flag.withDescription(
      "When the outputs are too slow: block waits and skips ticks, the others drop polled ticks (default: block)"
    ),
    Flag.optional
  ),
  precise: switchFlag(
    "precise",
    "Begin ticks within microseconds of their time, at the cost of CPU time"
  ),
  stream: switchFlag(
    "stream",
    "Have the devices send readings by themselves instead of asking them; one device on each port"
  ),
  "allow-missing": switchFlag(
    "allow-missing",
    "Begin although devices are not there; they are recorded as soon as they are"
  ),
  overwrite: switchFlag(
    "overwrite",
    "Replace files that exist; a table in Postgres is always added to"
  ),
  append: switchFlag(
    "append",
    "Add to files that exist; a Parquet file cannot be added to"
  ),
  fsync: Flag.Literals("fsync", ["never", "interval", "always"]).pipe(
    Flag.withDescription(
      "Force files to disk: leave it to the system, once a second, or with each batch (default: never)"
    ),
    Flag.optional
  ),
  json: switchFlag(
    "json",
    "Print the summary as one JSON object"
  ),
  quiet: switchFlag(
    "quiet",
    "No progress and no information on stderr; warnings and errors only"
  )
}

/** What the flags say; nothing where they do not. */
type Flags = {
  readonly [name in keyof typeof flags]: (typeof flags)[name] extends Flag.Flag<infer Value> ? Value : never
}

const Positive = Schema.Finite.check(Schema.isGreaterThan(0))
const PositiveInt = Schema.Int.check(Schema.isGreaterThan(0))
const Time = Schema.String.check(
  Schema.makeFilter((text) =>
    Option.isSome(parseDuration(text)) ? undefined : "Expected a time such as 10ms, 60s or 2h"
  )
)
const Port = Schema.String.check(Schema.makeFilter((text) => text !== "" ? undefined : "Expected a port"))
const Unit = Schema.String.check(
  Schema.makeFilter((text) => /^[A-Z]$/i.test(text) ? undefined : "Expected a unit id, one letter from A to Z")
)
const Device = Schema.Union([
  Port,
  Schema.Struct({ port: Port, unit: Schema.optionalKey(Unit), baud: Schema.optionalKey(PositiveInt) })
])
const Devices = Schema.Record(Schema.String, Device).check(
  Schema.makeFilter((devices) =>
    Object.keys(devices).length === 0 || "" in devices ? "Expected at least one device, each with a name" : undefined
  )
)

/** What a file can say. */
export const ConfigFile = Schema.Struct({
  devices: Schema.optionalKey(Devices),
  simulate: Schema.optionalKey(PositiveInt),
  out: Schema.optionalKey(Schema.Union([Schema.String, Schema.Array(Schema.String)])),
  rate: Schema.optionalKey(Positive),
  duration: Schema.optionalKey(Time),
  table: Schema.optionalKey(Schema.String),
  "create-table": Schema.optionalKey(Schema.Boolean),
  identity: Schema.optionalKey(Schema.Boolean),
  "batch-size": Schema.optionalKey(PositiveInt),
  "flush-interval": Schema.optionalKey(Time),
  overflow: Schema.optionalKey(Schema.Literals(["block", "drop-newest", "drop-oldest"])),
  precise: Schema.optionalKey(Schema.Boolean),
  stream: Schema.optionalKey(Schema.Boolean),
  "allow-missing": Schema.optionalKey(Schema.Boolean),
  overwrite: Schema.optionalKey(Schema.Boolean),
  append: Schema.optionalKey(Schema.Boolean),
  fsync: Schema.optionalKey(Schema.Literals(["never", "interval", "always"])),
  json: Schema.optionalKey(Schema.Boolean),
  quiet: Schema.optionalKey(Schema.Boolean)
})

const DEFAULTS = {
  table: "samples",
  "create-table": false,
  identity: false,
  "batch-size": 64,
  overflow: "block",
  precise: false,
  stream: false,
  "allow-missing": false,
  overwrite: false,
  append: false,
  fsync: "never",
  json: false,
  quiet: false
} as const

type InFile = typeof ConfigFile.Type

/** What a recording is to be: as in a file, but for these. */
export interface Settings extends Required<Omit<InFile, "devices" | "simulate" | keyof Own>>, Own {}

interface Own {
  /** The devices, or how many are to be simulated. */
  readonly source: Alicat.AlicatOptions["devices"] | number
  readonly out: readonly [string, ...ReadonlyArray<string>]
  readonly rate: number | undefined
  readonly duration: Duration.Duration | undefined
  readonly "flush-interval": Duration.Duration | undefined
}

/** The settings that the flags and the file that they name come to. */
export const readSettings = Effect.fnUntraced(function*(flags: Flags): Effect.fn.Return<Settings, UsageError> {
  const file = Option.isSome(flags.config) ? yield* readConfig(flags.config.value) : {}
  const { config: _, device, out: outs, ...rest } = flags
  const given = Object.fromEntries(
    Object.entries<Option.Option<unknown>>(rest).flatMap(([name, value]) =>
      Option.isSome(value) ? [[name, value.value]] : []
    )
  ) as Partial<Settings> & { readonly simulate?: number }
  const refuse = (message: string) => new UsageError({ message })

  const own = device.length > 0 || given.simulate !== undefined
  const devices = device.length > 0 ? yield* parseDevices(device) : own ? undefined : devicesOf(file)
  const simulate = own ? given.simulate : file.simulate
  if (devices !== undefined && simulate !== undefined) {
    return yield* refuse("--device and --simulate exclude each other; choose one")
  }
  const source = devices ?? simulate
  if (source === undefined) {
    return yield* refuse(
      "nothing to record; add --device fuel=/dev/ttyUSB0, or --simulate 1 to try it without a device"
    )
  }
  const [out, ...more] = outs.length > 0 ? outs : [file.out ?? []].flat()
  if (out === undefined) {
    return yield* refuse("no output; add --out run.csv (or --out - to see the samples here)")
  }
  const modes = given.append === undefined && given.overwrite === undefined ? {} : { append: false, overwrite: false }
  const settings: Settings = {
    ...DEFAULTS,
    ...file,
    ...modes,
    rate: file.rate,
    duration: durationOf(file.duration),
    "flush-interval": durationOf(file["flush-interval"]),
    ...given,
    source,
    out: [out, ...more]
  }
  if (settings.append && settings.overwrite) {
    return yield* refuse("--append and --overwrite exclude each other; choose one")
  }
  if (settings.stream && settings.precise) {
    return yield* refuse("--precise is about when devices are asked, and with --stream they are not; choose one")
  }
  if (settings.stream && settings.rate !== undefined && intervalMillis(settings.rate) > LONGEST_INTERVAL_MILLIS) {
    return yield* refuse(
      `--rate ${settings.rate}: with --stream no device is slower than a reading in 65 s, a rate of 0.016`
    )
  }
  return settings
})

/** The interval for a rate, as devices take it. */
export const intervalMillis = (rate: number): number => Math.max(1, Math.round(1000 / rate))

const LONGEST_INTERVAL_MILLIS = 65_535

const durationOf = (text: string | undefined) =>
  text === undefined ? undefined : Option.getOrUndefined(parseDuration(text))

const devicesOf = ({ devices }: InFile) =>
  devices === undefined
    ? undefined
    : Object.fromEntries(
      Object.entries(devices).map(([name, device]) => [name, typeof device === "string" ? { port: device } : device])
    )

/** More than anyone writes by hand. */
const MAX_BYTES = 1_000_000

/** What stands in the file. */
export const readConfig = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<InFile, UsageError> {
  const text = yield* Effect.try({
    try: () => readText(path),
    catch: (cause) => configError(path, cause instanceof Error ? withoutPath(cause.message) : String(cause))
  })
  return yield* parseConfig(path, text)
})

/** What the text of the file says. */
export const parseConfig = Effect.fnUntraced(function*(
  path: string,
  text: string
): Effect.fn.Return<InFile, UsageError> {
  const { parse } = yield* Effect.promise(() => import("yaml"))
  const content: unknown = yield* Effect.try({
    try: (): unknown => parse(text, { logLevel: "error", prettyErrors: true }) ?? {},
    catch: (cause) => configError(path, cause instanceof Error ? withoutContent(cause.message) : String(cause))
  })
  const decoded = Schema.decodeUnknownResult(ConfigFile)(content, { errors: "all", onExcessProperty: "error" })
  return Result.isSuccess(decoded) ? decoded.success : yield* configError(path, problemsOf(decoded.failure.issue))
})

const configError = (path: string, what: string) =>
  new UsageError({ message: `--config ${withoutSecrets(path)}: ${withoutSecrets(oneLine(what))}` })

const readText = (path: string): string => {
  const stats = fs.statSync(path)
  if (stats.isCharacterDevice()) throw new Error("it is a device, not a file of settings")
  if (stats.size > MAX_BYTES) throw new Error("it is too large to be a file of settings")
  return fs.readFileSync(path, "utf8")
}

/** `ENOENT: no such file or directory, open 'x'` without the call and the path, which stand before it. */
const withoutPath = (message: string): string => message.replace(/, \w+(?: '.*')?$/, "")

/** What is wrong with a file and where, without what stands there, which may be a password. */
const withoutContent = (message: string): string =>
  message.split("\n")[0]!.replace(/:$/, "").replace(/: .*?(?= at line |$)/, "")

const MAX_PROBLEMS = 5

const problemsOf = (issue: SchemaIssue.Issue): string => {
  const { issues } = SchemaIssue.makeFormatterStandardSchemaV1()(issue)
  const problems = issues.map(({ message, path = [] }) => {
    const keys = path.map((key) => String(typeof key === "object" ? key.key : key))
    return keys.length === 0
      ? `${message}: settings such as \`rate: 20\``
      : `${keys.join(".")}: ${message === "Expected no excess property" ? noSuchSetting(keys) : message}`
  })
  const more = problems.length - MAX_PROBLEMS
  return `${problems.slice(0, MAX_PROBLEMS).join("; ")}${more > 0 ? `; and ${more} more` : ""}`
}

const noSuchSetting = (keys: ReadonlyArray<string>): string =>
  keys.length === 1
    ? `no such setting; there are ${Object.keys(ConfigFile.fields).join(", ")}`
    : "no such setting of a device; there are port, unit, baud"
