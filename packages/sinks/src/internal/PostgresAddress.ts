/**
 * Where a Postgres server is and which user connects, from the options or from a connection URL:
 * `postgres://user:password@host:5432/database?sslmode=require`.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Effect, Redacted } from "effect"
import * as os from "node:os"
import type { ConnectionOptions } from "node:tls"
import type { PostgresSinkOptions } from "../PostgresSink.ts"

export interface PostgresAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Redacted.Redacted | undefined
  readonly database: string
  readonly ssl: boolean | ConnectionOptions
}

export const addressOf = (options: PostgresSinkOptions): Effect.Effect<PostgresAddress, InvalidOptionError> =>
  Effect.gen(function*() {
    const { database, host, password, port, ssl, url, user } = options
    if (url === undefined) {
      if (host === undefined || host === "") {
        return yield* new InvalidOptionError({ option: "host", value: "missing", expected: "a host, or a url instead" })
      }
      const name = user ?? os.userInfo().username
      return { host, port: port ?? 5432, user: name, password, database: database ?? name, ssl: ssl ?? false }
    }
    const apart = Object.entries({ host, port, user, database }).find(([, value]) => value !== undefined)
    if (apart !== undefined) {
      return yield* new InvalidOptionError({
        option: apart[0],
        value: "given together with url",
        expected: "either a url or a host, not both"
      })
    }
    const address = yield* parseUrl(url)
    return { ...address, password: address.password ?? password, ssl: ssl ?? address.ssl }
  })

/** Errors say what is wrong with the URL, but never show it: it may hold the password. */
const parseUrl = (url: Redacted.Redacted): Effect.Effect<PostgresAddress, InvalidOptionError> =>
  Effect.suspend(() => {
    const refuse = (expected: string) =>
      Effect.fail(new InvalidOptionError({ option: "url", value: "not usable", expected }))
    const form = "postgres://user:password@host:5432/database, with special characters percent-encoded"
    const text = Redacted.value(url)
    if (!/^postgres(?:ql)?:\/\//i.test(text) || !URL.canParse(text)) return refuse(form)
    const parsed = new URL(text)
    if (parsed.hash !== "") return refuse("no fragment; percent-encode # as %23")
    const [user, password, database] = [parsed.username, parsed.password, parsed.pathname.slice(1)].map(decode)
    if (user === undefined || password === undefined || database === undefined) return refuse(form)
    for (const name of parsed.searchParams.keys()) {
      if (name !== "sslmode") return refuse(`no parameter but sslmode; ${JSON.stringify(name)} is unknown`)
    }
    const ssl = SSL_MODES[parsed.searchParams.get("sslmode") ?? "disable"]
    if (ssl === undefined) return refuse(`sslmode to be one of ${Object.keys(SSL_MODES).join(", ")}`)
    return Effect.succeed({
      host: parsed.hostname === "" ? "localhost" : parsed.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: parsed.port === "" ? 5432 : Number(parsed.port),
      user: user || os.userInfo().username,
      password: password === "" ? undefined : Redacted.make(password),
      database: database || user || os.userInfo().username,
      ssl
    })
  })

const SSL_MODES: { readonly [mode: string]: boolean | ConnectionOptions } = {
  "disable": false,
  "require": { rejectUnauthorized: false },
  "verify-ca": { rejectUnauthorized: true, checkServerIdentity: () => undefined },
  "verify-full": { rejectUnauthorized: true }
}

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
