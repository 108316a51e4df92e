/**
 * `--config FILE`: settings in YAML or JSON, under the names of the flags. Only `--device` and `--alarm` have other names,
 * `devices` and `alarms`.
 *
 * Errors name the place in the file, but never its content: it may hold a password.
 */
import { messageOf, nearestName, parseDuration } from "@sampleline/core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as fs from "node:fs"
import { getSystemErrorMessage } from "node:util"
import type * as Yaml from "yaml"
import { UsageError } from "./errors.ts"
import { withoutSecrets } from "./secrets.ts"
import { parseSize, SIZE_FORM } from "./sizes.ts"
import { COLLECTOR_FORM, METRICS_FORM, parseCollector, parseMetricsAddress } from "./telemetry.ts"
import { parseViewPort } from "./viewAddress.ts"

const text = (expected: string, isValid: (value: string) => boolean = () => true) =>
  Schema.String.annotate({ message: `Expected ${expected}` }).check(
    Schema.makeFilter((value) => isValid(value) ? undefined : `Expected ${expected}`)
  )
const number = (expected: string, isValid: (value: number) => boolean) =>
  // The message of Schema.Finite would only be for numbers that are not finite.
  // @effect-diagnostics-next-line schemaNumber:off
  Schema.Number.annotate({ message: `Expected ${expected}` }).check(
    Schema.makeFilter((value) => isValid(value) ? undefined : `Expected ${expected}`)
  )

const Positive = number(
  "a number above 0 without quotes, such as 20",
  (value) => value > 0 && Number.isFinite(value)
)
const PositiveInt = number(
  "a whole number above 0 without quotes",
  (value) => value > 0 && Number.isSafeInteger(value)
)
const Switch = Schema.Boolean.annotate({ message: "Expected true or false without quotes" })
const Time = text(
  "a duration such as 10ms, 60s or 2h, with its unit",
  (value) => Option.isSome(parseDuration(value))
)
const Port = text("a port such as /dev/ttyUSB0, COM3 or tcp://192.168.0.20:4001", (value) => value !== "")
const Unit = text("a unit id, one letter from A to Z", (value) => /^[A-Z]$/i.test(value))
const Column = text("a column such as Flow:SCCM or Gas:text, without a space after the colon")
const Columns = Schema.Array(Column).annotate({ message: "Expected columns such as [Temp:°C, Flow:SCCM, Gas:text]" })
const Device = Schema.Struct({
  port: Port,
  unit: Schema.optionalKey(Unit),
  baud: Schema.optionalKey(PositiveInt),
  columns: Schema.optionalKey(Columns)
})
const Devices = Schema.Record(
  Schema.String,
  Schema.Union([Port, Device]).annotate({
    message: "Expected a port such as /dev/ttyUSB0, or settings such as { port: /dev/ttyUSB0, unit: A }"
  })
).annotate({ message: "Expected devices with their names, such as `fuel: /dev/ttyUSB0`" }).check(
  Schema.makeFilter((devices) =>
    Object.keys(devices).length === 0 || "" in devices ? "Expected at least one device, each with a name" : undefined
  )
)
const Output = text("an output such as run.csv")
const Out = Schema.Union([Output, Schema.Array(Output)]).annotate({
  message: "Expected an output such as run.csv, or a list such as [run.csv, run.db]"
})
const Meta = Schema.Record(
  Schema.String,
  text("a text; a number or a date needs quotes, such as \"17\"")
).annotate({ message: "Expected texts with their keys, such as `operator: Ada`" })
const Metrics = Schema.Union([Schema.Finite, Schema.String]).annotate({ message: `Expected ${METRICS_FORM}` }).check(
  Schema.makeFilter((value) =>
    Option.isSome(parseMetricsAddress(String(value))) ? undefined : `Expected ${METRICS_FORM}`
  )
)
const View = Schema.Union([Schema.Boolean, Schema.Finite]).annotate({
  message: "Expected true, or a port such as 8080"
}).check(
  Schema.makeFilter((value) =>
    typeof value === "boolean" || Option.isSome(parseViewPort(String(value)))
      ? undefined
      : "Expected true, or a port such as 8080"
  )
)
const Alarms = Schema.Array(text("an alarm such as `fuel.Mass_Flow < 90`")).annotate({
  message: "Expected a list of alarms such as [\"fuel.Mass_Flow < 90 for 5s\", \"disk < 1GB\"]"
})
const Command = Schema.Array(text("a word in quotes")).annotate({
  message: "Expected a program and its arguments, such as [notify-send, sampleline]"
}).check(
  Schema.makeFilter((words) => words.length > 0 ? undefined : "Expected a program such as [notify-send, sampleline]")
)
const oneOf = <const Names extends ReadonlyArray<string>>(...names: Names) =>
  Schema.Literals(names).annotate({ message: `Expected one of ${names.join(", ")}` })

/** What a file can say. */
export const ConfigFile = Schema.Struct({
  devices: Schema.optionalKey(Devices),
  simulate: Schema.optionalKey(PositiveInt),
  out: Schema.optionalKey(Out),
  rate: Schema.optionalKey(Positive),
  duration: Schema.optionalKey(Time),
  meta: Schema.optionalKey(Meta),
  note: Schema.optionalKey(text("a note")),
  table: Schema.optionalKey(text("a table name such as samples")),
  "create-table": Schema.optionalKey(Switch),
  "row-ids": Schema.optionalKey(Switch),
  /** The old name of `row-ids`. */
  identity: Schema.optionalKey(Switch),
  "batch-size": Schema.optionalKey(PositiveInt),
  "flush-interval": Schema.optionalKey(Time),
  overflow: Schema.optionalKey(oneOf("block", "drop-newest", "drop-oldest")),
  precise: Schema.optionalKey(Switch),
  stream: Schema.optionalKey(Switch),
  "allow-missing": Schema.optionalKey(Switch),
  overwrite: Schema.optionalKey(Switch),
  append: Schema.optionalKey(Switch),
  journal: Schema.optionalKey(text("a folder such as run.journal", (value) => value !== "")),
  "no-journal": Schema.optionalKey(Switch),
  "journal-max": Schema.optionalKey(text(SIZE_FORM, (value) => Option.isSome(parseSize(value)))),
  "journal-full": Schema.optionalKey(oneOf("stop", "drop-oldest")),
  "disk-wait": Schema.optionalKey(Time),
  fsync: Schema.optionalKey(oneOf("never", "interval", "always")),
  alarms: Schema.optionalKey(Alarms),
  "on-alarm": Schema.optionalKey(Command),
  view: Schema.optionalKey(View),
  "view-host": Schema.optionalKey(
    text("a name or address of this machine, such as 192.168.0.7", (value) => value !== "")
  ),
  metrics: Schema.optionalKey(Metrics),
  otlp: Schema.optionalKey(text(COLLECTOR_FORM, (value) => Option.isSome(parseCollector(value)))),
  json: Schema.optionalKey(Switch),
  plain: Schema.optionalKey(Switch),
  quiet: Schema.optionalKey(Switch)
})

export type ConfigFile = typeof ConfigFile.Type

/** Far more than anyone writes by hand. */
const MAX_BYTES = 1_000_000

export const readConfigFile = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<ConfigFile, UsageError> {
  const text = yield* Effect.try({
    try: () => readText(path),
    catch: (cause) => configError(path, problemOf(cause))
  })
  return yield* parseConfigFile(path, text)
})

/** The settings in the text of the file. */
export const parseConfigFile = Effect.fnUntraced(function*(
  path: string,
  text: string
): Effect.fn.Return<ConfigFile, UsageError> {
  const yaml = yield* Effect.promise(() => import("yaml"))
  const { content, unquoted } = yield* Effect.try({
    try: () => {
      const document = yaml.parseDocument(text, { logLevel: "error", prettyErrors: true })
      if (document.errors.length > 0) throw document.errors[0]
      return { content: document.toJS() ?? {}, unquoted: unquotedName(yaml, document) }
    },
    catch: (cause) => configError(path, cause instanceof Error ? withoutContent(cause.message) : messageOf(cause))
  })
  if (unquoted !== undefined) {
    return yield* configError(
      path,
      `devices.${unquoted}: Expected a name in quotes, such as ${JSON.stringify(unquoted)}`
    )
  }
  const decoded = Schema.decodeUnknownResult(ConfigFile)(content, { errors: "all", onExcessProperty: "error" })
  return Result.isSuccess(decoded) ? decoded.success : yield* configError(path, problemsOf(decoded.failure.issue))
})

/** A device's name that is not text in YAML: it reads `010:` as the number 10. */
const unquotedName = ({ isMap, isScalar }: typeof Yaml, { contents }: Yaml.Document): string | undefined => {
  const devices = isMap(contents) ? contents.get("devices") : undefined
  const keys = isMap(devices) ? devices.items.map(({ key }) => key) : []
  return keys.filter((key) => isScalar(key)).find(({ value }) => typeof value !== "string")?.source
}

const configError = (path: string, problem: string) =>
  new UsageError({ message: `--config ${withoutSecrets(path)}: ${withoutSecrets(messageOf(problem))}` })

const readText = (path: string): string => {
  const stats = fs.statSync(path)
  if (!stats.isFile()) throw new Error(`this is ${kindOf(stats)}; give a YAML or JSON file`)
  if (stats.size > MAX_BYTES) throw new Error("this is larger than 1 MB; give a YAML or JSON file with settings")
  return fs.readFileSync(path, "utf8")
}

/** Reading a device or a pipe may never end. */
const kindOf = (stats: fs.Stats): string =>
  stats.isDirectory() ? "a folder" : stats.isFIFO() ? "a pipe" : stats.isSocket() ? "a socket" : "a device"

/** `no such file or directory`. The path is in front of it already. */
const problemOf = (cause: unknown): string =>
  cause instanceof Error && "errno" in cause && typeof cause.errno === "number"
    ? getSystemErrorMessage(cause.errno)
    : messageOf(cause)

/** The problem and its place, without the text at that place. */
const withoutContent = (message: string): string =>
  message.split("\n")[0]!.replace(/:$/, "").replace(/: .*?(?= at line |$)/, "")

const MAX_PROBLEMS = 5

const problemsOf = (issue: SchemaIssue.Issue): string => {
  const { issues } = SchemaIssue.makeFormatterStandardSchemaV1()(issue)
  const problems = issues.map(({ message, path = [] }) => {
    const keys = path.map((key) => String(typeof key === "object" ? key.key : key))
    if (message === "Expected no excess property") return unknownSetting(keys)
    return keys.length === 0 ? `${message}: write settings such as \`rate: 20\`` : `${keys.join(".")}: ${message}`
  })
  const more = problems.length - MAX_PROBLEMS
  return `${problems.slice(0, MAX_PROBLEMS).join("; ")}${more > 0 ? `; and ${more} more` : ""}`
}

const unknownSetting = (keys: ReadonlyArray<string>): string => {
  const [name = "", place] = [keys.at(-1), keys.slice(0, -1).join(".")]
  const known = Object.keys(place === "" ? ConfigFile.fields : Device.fields).filter((name) => name !== "identity")
  const nearest = nearestName(name, known)
  return `${place === "" ? "" : `${place}: `}unknown setting ${JSON.stringify(name)}; ${
    nearest === undefined ? `use ${known.join(", ")}` : `did you mean ${nearest}?`
  }`
}
