/**
 * Where a Postgres server is and who connects, found as libpq finds it. A setting comes from the options, else from the URL, the
 * service file or the environment, else it has a default.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Effect, Redacted } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import type { PostgresSinkOptions } from "../PostgresSink.ts"
import { passwordInFile } from "./PostgresPasswordFile.ts"
import { fromEnvironment, fromService, fromUrl, isPort, PORT, type PostgresSource, sourceOf } from "./PostgresSource.ts"
import { type Encryptions, encryptionsOf } from "./PostgresTls.ts"

export interface PostgresAddress {
  /** A name, an IP address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Redacted.Redacted | undefined
  readonly database: string
  readonly encryptions: Encryptions
  readonly applicationName: string
  /** Settings of the session for the server, such as `-c search_path=lab`. */
  readonly startupOptions: string | undefined
  readonly connectSeconds: number | undefined
}

export const addressOf = Effect.fnUntraced(
  function*(options: PostgresSinkOptions): Effect.fn.Return<PostgresAddress, InvalidOptionError> {
    const found = yield* settingsOf(options)
    const { port: givenPort = "5432" } = found
    if (!isPort(givenPort)) return yield* InvalidOptionError.of("port", givenPort, PORT)
    const port = Number(givenPort)
    const seconds = Number(found.connect_timeout ?? 0)
    if (!Number.isInteger(seconds)) {
      return yield* InvalidOptionError.of("connect_timeout", found.connect_timeout, "whole seconds")
    }
    const host = found.host ?? defaultHost(port)
    if (host.includes(",")) return yield* InvalidOptionError.of("host", host, "one host")
    const user = found.user ?? (yield* systemUser)
    const database = found.dbname ?? user
    // libpq writes the default socket as localhost in the password file.
    const hostInFile = host === defaultHost(port) && host.startsWith("/") ? "localhost" : host
    const password = found.password ?? (yield* passwordInFile({ host: hostInFile, port, database, user }))
    return {
      host,
      port,
      user,
      password: password === undefined ? undefined : Redacted.make(password),
      database,
      encryptions: yield* encryptions(options, host, found),
      applicationName: found.application_name ?? "sampleline",
      startupOptions: found.options,
      connectSeconds: seconds > 0 ? seconds : undefined
    }
  }
)

const settingsOf = Effect.fnUntraced(
  function*(options: PostgresSinkOptions): Effect.fn.Return<PostgresSource, InvalidOptionError> {
    const { database, host, password, port, url, user } = options
    const apart = Object.entries({ host, port, user, database }).find(([, value]) => value !== undefined)
    if (url !== undefined && apart !== undefined) {
      return yield* new InvalidOptionError({
        option: apart[0],
        value: "given together with url",
        expected: "either a url or a host, not both"
      })
    }
    const given = {
      ...sourceOf({
        host,
        port: port === undefined ? undefined : String(port),
        user,
        password: password === undefined ? undefined : Redacted.value(password),
        dbname: database
      }),
      ...url === undefined ? {} : yield* fromUrl(url)
    }
    const environment = fromEnvironment()
    const service = given.service ?? environment.service
    return { ...environment, ...service === undefined ? {} : yield* fromService(service), ...given }
  }
)

/** libpq's own default was chosen when it was built: one of these folders if the server has its socket there. */
const defaultHost = (port: number): string =>
  ["/var/run/postgresql", "/tmp"].find((folder) => fs.existsSync(`${folder}/.s.PGSQL.${port}`)) ?? "localhost"

const systemUser = Effect.try({
  try: () => os.userInfo().username,
  catch: () =>
    new InvalidOptionError({ option: "user", value: "missing", expected: "a user, for this process has none" })
})

const encryptions = (
  { ssl }: PostgresSinkOptions,
  host: string,
  found: PostgresSource
): Effect.Effect<Encryptions, InvalidOptionError> =>
  ssl !== undefined
    ? Effect.succeed([ssl])
    // A Unix socket does not leave the machine: libpq never encrypts it.
    : host.startsWith("/")
    ? Effect.succeed([false])
    : encryptionsOf(found)
