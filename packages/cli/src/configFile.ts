/**
 * `--config FILE`: settings in YAML or JSON, under the names of the flags. Only `--device` has another name, `devices`.
 *
 * Errors name the place in the file, but never its content: it may hold a password.
 */
import { messageOf } from "@sampleline/core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as fs from "node:fs"
import { parseDuration } from "./durations.ts"
import { UsageError } from "./errors.ts"
import { withoutSecrets } from "./secrets.ts"

const Positive = Schema.Finite.check(Schema.isGreaterThan(0))
const PositiveInt = Schema.Int.check(Schema.isGreaterThan(0))
const Time = Schema.String.check(
  Schema.makeFilter((text) =>
    Option.isSome(parseDuration(text)) ? undefined : "Expected a duration such as 10ms, 60s or 2h"
  )
)
const Port = Schema.String.check(Schema.makeFilter((text) => text !== "" ? undefined : "Expected a port"))
const Unit = Schema.String.check(
  Schema.makeFilter((text) => /^[A-Z]$/i.test(text) ? undefined : "Expected a unit id, one letter from A to Z")
)
const Device = Schema.Struct({ port: Port, unit: Schema.optionalKey(Unit), baud: Schema.optionalKey(PositiveInt) })
const Devices = Schema.Record(Schema.String, Schema.Union([Port, Device])).check(
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
  "row-ids": Schema.optionalKey(Schema.Boolean),
  /** The old name of `row-ids`. */
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

export type ConfigFile = typeof ConfigFile.Type

/** Far more than anyone writes by hand. */
const MAX_BYTES = 1_000_000

export const readConfigFile = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<ConfigFile, UsageError> {
  const text = yield* Effect.try({
    try: () => readText(path),
    catch: (cause) => configError(path, withoutPath(messageOf(cause)))
  })
  return yield* parseConfigFile(path, text)
})

/** The settings in the text of the file. */
export const parseConfigFile = Effect.fnUntraced(function*(
  path: string,
  text: string
): Effect.fn.Return<ConfigFile, UsageError> {
  const { parse } = yield* Effect.promise(() => import("yaml"))
  const content: unknown = yield* Effect.try({
    try: (): unknown => parse(text, { logLevel: "error", prettyErrors: true }) ?? {},
    catch: (cause) => configError(path, cause instanceof Error ? withoutContent(cause.message) : messageOf(cause))
  })
  const decoded = Schema.decodeUnknownResult(ConfigFile)(content, { errors: "all", onExcessProperty: "error" })
  return Result.isSuccess(decoded) ? decoded.success : yield* configError(path, problemsOf(decoded.failure.issue))
})

const configError = (path: string, problem: string) =>
  new UsageError({ message: `--config ${withoutSecrets(path)}: ${withoutSecrets(messageOf(problem))}` })

const readText = (path: string): string => {
  const stats = fs.statSync(path)
  if (stats.isCharacterDevice()) throw new Error("this is a device; give a YAML or JSON file")
  if (stats.size > MAX_BYTES) throw new Error("this is larger than 1 MB; give a YAML or JSON file with settings")
  return fs.readFileSync(path, "utf8")
}

/** `ENOENT: no such file or directory, open 'x'` without the code, the call and the path, which is in front already. */
const withoutPath = (message: string): string => message.replace(/^E[A-Z]+: /, "").replace(/, \w+(?: '.*')?$/, "")

/** The problem and its place, without the text at that place. */
const withoutContent = (message: string): string =>
  message.split("\n")[0]!.replace(/:$/, "").replace(/: .*?(?= at line |$)/, "")

const MAX_PROBLEMS = 5

const problemsOf = (issue: SchemaIssue.Issue): string => {
  const { issues } = SchemaIssue.makeFormatterStandardSchemaV1()(issue)
  const problems = issues.map(({ message, path = [] }) => {
    const keys = path.map((key) => String(typeof key === "object" ? key.key : key))
    return keys.length === 0
      ? `${message}: write settings such as \`rate: 20\``
      : `${keys.join(".")}: ${message === "Expected no excess property" ? unknownSetting(keys) : message}`
  })
  const more = problems.length - MAX_PROBLEMS
  return `${problems.slice(0, MAX_PROBLEMS).join("; ")}${more > 0 ? `; and ${more} more` : ""}`
}

const unknownSetting = (keys: ReadonlyArray<string>): string => {
  const known = Object.keys(keys.length === 1 ? ConfigFile.fields : Device.fields)
  return `unknown setting${keys.length === 1 ? "" : " of a device"}; use ${
    known.filter((name) => name !== "identity").join(", ")
  }`
}
