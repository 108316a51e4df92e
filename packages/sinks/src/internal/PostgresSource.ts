/**
 * The places where libpq, the library of psql, looks for a setting: a connection URL, a service file and the environment.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Effect, Redacted } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { userFile } from "./userFile.ts"

/** The settings that are understood, under libpq's names, each with its environment variable. */
const VARIABLES = {
  host: "PGHOST",
  port: "PGPORT",
  user: "PGUSER",
  password: "PGPASSWORD",
  dbname: "PGDATABASE",
  application_name: "PGAPPNAME",
  options: "PGOPTIONS",
  connect_timeout: "PGCONNECT_TIMEOUT",
  sslmode: "PGSSLMODE",
  sslrootcert: "PGSSLROOTCERT",
  sslcert: "PGSSLCERT",
  sslkey: "PGSSLKEY",
  service: "PGSERVICE"
}

type Setting = keyof typeof VARIABLES

/** An empty text is no setting. */
export type PostgresSource = { readonly [setting in Setting]?: string }

const SETTINGS = Object.keys(VARIABLES) as ReadonlyArray<Setting>

/** Leaves out what is empty, so that a place with less weight can give it. */
export const sourceOf = (settings: { readonly [setting in Setting]?: string | null | undefined }): PostgresSource =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => typeof value === "string" && value !== ""))

export const fromEnvironment = (): PostgresSource =>
  sourceOf(Object.fromEntries(SETTINGS.map((setting) => [setting, process.env[VARIABLES[setting]]])))

export const PORT = "a port number from 1 to 65535"

export const isPort = (text: string): boolean => /^\s*\d+\s*$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535

/** Of `postgres://user:password@host:5432/database?sslmode=require`. Errors never show the URL: it may hold the password. */
export const fromUrl = Effect.fnUntraced(
  function*(url: Redacted.Redacted): Effect.fn.Return<PostgresSource, InvalidOptionError> {
    const refuse = (expected: string) => new InvalidOptionError({ option: "url", value: "not usable", expected })
    const text = Redacted.value(url).replaceAll(" ", "%20")
    const [, address, server = "", path = "", query = ""] = URL_PARTS.exec(text) ?? []
    if (address === undefined) return yield* refuse(FORM)
    const unencoded = refuse(`${FORM}, with special characters percent-encoded`)
    if (/%(?![0-9a-f]{2})/i.test(text)) return yield* unencoded
    if (text.includes("#")) return yield* refuse("no fragment; percent-encode # as %23")
    // A password with a bare / or ? ends up here.
    if (`${path}${query}`.includes("@")) return yield* unencoded
    if (server.includes(",")) return yield* refuse("one host")
    const port = /^(?:[^:]*|\[.*\]):([^:]+)$/.exec(server)?.[1]
    if (port !== undefined && !isPort(port)) return yield* refuse(PORT)
    const { parse } = yield* Effect.promise(() => import("pg-connection-string"))
    // Its reading of a path leaves escapes in it, and its reading of `sslmode` is not libpq's: it gets neither.
    const parsed = yield* Effect.try({
      try: () => ({ ...parse(`${address}/`), database: decodeURIComponent(path) }),
      catch: () => unencoded
    })
    const { database, host, password, port: parsedPort, user } = parsed
    return {
      ...sourceOf({ host, port: parsedPort, user, password, dbname: database }),
      ...yield* Effect.mapError(parametersOf(query), refuse)
    }
  }
)

/** The settings in the query of a URL, or what is expected of it. */
const parametersOf = (query: string): Effect.Effect<PostgresSource, string> => {
  // A plus sign is no space to libpq.
  const parameters = [...new URLSearchParams(query.replaceAll("+", "%2B"))].map(
    ([name, value]): readonly [string, string] =>
      name === "ssl" && value === "true" ? ["sslmode", "require"] : [name, value]
  )
  const names = parameters.map(([name]) => name)
  const unknown = names.findIndex((name) => !isSetting(name))
  if (unknown < 0) return Effect.succeed(sourceOf(Object.fromEntries(parameters)))
  const [name, value] = parameters[unknown]!
  // A password with a bare & ends up here.
  const mayBeSecret = value === "" || names.slice(0, unknown).includes("password")
  const what = mayBeSecret
    ? `NAME=VALUE for its parameter ${unknown + 1}, with special characters percent-encoded`
    : `no parameter ${JSON.stringify(name)}`
  return Effect.fail(`${what}; ${understood(SETTINGS)}`)
}

const FORM = "postgres://user:password@host:5432/database"

/** The address with its server, the path and the query. */
const URL_PARTS = /^(postgres(?:ql)?:\/\/(?:[^/?]*@)?([^/?]*))(?:\/([^?]*))?(?:\?(.*))?$/is

const understood = (settings: ReadonlyArray<Setting>): string => `understood are ${settings.join(", ")}`

const isSetting = (name: string): name is Setting => Object.hasOwn(VARIABLES, name)

/**
 * The section `[service]` of the user's service file, or else of the system's: `PGSERVICEFILE`, which is `~/.pg_service.conf` by
 * default, and `pg_service.conf` in `PGSYSCONFDIR`. Errors give the number of a line and never show it: it may be a password.
 */
export const fromService = Effect.fnUntraced(
  function*(service: string): Effect.fn.Return<PostgresSource, InvalidOptionError> {
    const folder = process.env["PGSYSCONFDIR"] ?? ""
    const files = [
      process.env["PGSERVICEFILE"] || userFile(".pg_service.conf", ".pg_service.conf"),
      ...folder === "" ? [] : [path.join(folder, "pg_service.conf")]
    ]
    const refuse = (expected: string) => InvalidOptionError.of("service", service, expected)
    for (const file of files) {
      if (!fs.existsSync(file)) continue
      const text = yield* Effect.try({
        try: () => fs.readFileSync(file, "utf8"),
        catch: () => refuse(`the service file ${file} to be readable`)
      })
      const found = sectionOf(text, service)
      if (found === undefined) continue
      const odd = found.find(({ name }) => !IN_SERVICE.some((setting) => setting === name))
      if (odd !== undefined) {
        return yield* refuse(`line ${odd.line} of ${file} to be NAME=VALUE; ${understood(IN_SERVICE)}`)
      }
      return sourceOf(Object.fromEntries(found.toReversed().map(({ name, value }) => [name, value])))
    }
    return yield* refuse(`a section [${service}] in ${files.join(" or ")}`)
  }
)

const IN_SERVICE = SETTINGS.filter((setting) => setting !== "service")

interface ServiceLine {
  /** Its number in the file, from 1. */
  readonly line: number
  /** What is before the first `=`; null if there is none. */
  readonly name: string | null
  readonly value: string
}

/** The settings of a section, in order; the first of a name counts. Undefined if there is no such section. */
const sectionOf = (text: string, service: string): ReadonlyArray<ServiceLine> | undefined => {
  const lines = text.split("\n").map((line) => line.trim())
  const start = lines.indexOf(`[${service}]`)
  if (start < 0) return undefined
  const end = lines.findIndex((line, at) => at > start && line.startsWith("["))
  return lines.slice(0, end < 0 ? undefined : end).flatMap((text, at) => {
    if (at <= start || text === "" || text.startsWith("#")) return []
    const [, name = null, value = ""] = /^([^=]*)=(.*)$/.exec(text) ?? []
    return [{ line: at + 1, name, value }]
  })
}
