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

/** Of `postgres://user:password@host:5432/database?sslmode=require`. Errors never show the URL: it may hold the password. */
export const fromUrl = Effect.fnUntraced(
  function*(url: Redacted.Redacted): Effect.fn.Return<PostgresSource, InvalidOptionError> {
    const refuse = (expected: string) => new InvalidOptionError({ option: "url", value: "not usable", expected })
    const form = refuse("postgres://user:password@host:5432/database, with special characters percent-encoded")
    const text = Redacted.value(url).replaceAll(" ", "%20")
    const [, address, path = "", query = ""] = /^(postgres(?:ql)?:\/\/[^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/is.exec(text) ??
      []
    if (address === undefined || /%(?![0-9a-f]{2})/i.test(text)) return yield* form
    if (text.includes("#")) return yield* refuse("no fragment; percent-encode # as %23")
    // A password with a bare / or ? ends up here.
    if (`${path}${query}`.includes("@")) return yield* form
    const { parse } = yield* Effect.promise(() => import("pg-connection-string"))
    // Its reading of a path leaves escapes in it, and its reading of `sslmode` is not libpq's: it gets neither.
    const parsed = yield* Effect.try({
      try: () => ({ ...parse(`${address}/`), database: decodeURIComponent(path) }),
      catch: () => form
    })
    const { database, host, password, port, user } = parsed
    // A plus sign is no space to libpq.
    const parameters = [...new URLSearchParams(query.replaceAll("+", "%2B"))].map(
      ([name, value]): readonly [string, string] =>
        name === "ssl" && value === "true" ? ["sslmode", "require"] : [name, value]
    )
    const unknown = parameters.map(([name]) => name).find((name) => !isSetting(name))
    if (unknown !== undefined) {
      return yield* refuse(`no parameter ${JSON.stringify(unknown)}; understood are ${SETTINGS.join(", ")}`)
    }
    return {
      ...sourceOf({ host, port, user, password, dbname: database }),
      ...sourceOf(Object.fromEntries(parameters))
    }
  }
)

const isSetting = (name: string): name is Setting => Object.hasOwn(VARIABLES, name)

/**
 * The section `[service]` of the user's service file, or else of the system's: `PGSERVICEFILE`, which is `~/.pg_service.conf` by
 * default, and `pg_service.conf` in `PGSYSCONFDIR`. Errors show names of settings, never a value.
 */
export const fromService = Effect.fnUntraced(
  function*(service: string): Effect.fn.Return<PostgresSource, InvalidOptionError> {
    const folder = process.env["PGSYSCONFDIR"]
    const files = [
      process.env["PGSERVICEFILE"] || userFile(".pg_service.conf", ".pg_service.conf"),
      ...folder === undefined ? [] : [path.join(folder, "pg_service.conf")]
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
      const unknown = found.map(([name]) => name).find((name) => !isSetting(name) || name === "service")
      if (unknown !== undefined) {
        const understood = SETTINGS.filter((setting) => setting !== "service").join(", ")
        const what = /^\w+$/.test(unknown) ? `no setting ${unknown}` : "lines NAME=VALUE"
        return yield* refuse(`${what} in ${file}; understood are ${understood}`)
      }
      return sourceOf(Object.fromEntries(found.toReversed()))
    }
    return yield* refuse(`a section [${service}] in ${files.join(" or ")}`)
  }
)

/** The settings of a section, in order; the first of a name counts. Undefined if there is no such section. */
const sectionOf = (
  text: string,
  service: string
): ReadonlyArray<readonly [name: string, value: string]> | undefined => {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"))
  const start = lines.indexOf(`[${service}]`)
  if (start < 0) return undefined
  const end = lines.findIndex((line, at) => at > start && line.startsWith("["))
  return lines.slice(start + 1, end < 0 ? undefined : end).map((line) => {
    const [name = "", ...value] = line.split("=")
    return [name, value.join("=")]
  })
}
