/**
 * Who may use the page. On this machine: its own page, and nobody else's. From other machines: whoever has the token.
 *
 * Any page that a browser on this machine shows can send requests to this server, and by a name that it makes point here
 * (DNS rebinding) it could read the replies. So each request must name this server in Host, and Origin, where there is one, must be
 * this server too.
 */
import { createHash, timingSafeEqual } from "node:crypto"

export interface GuardOptions {
  readonly port: number
  /** Other names of this server, beside those of this machine's own address. */
  readonly hosts: ReadonlyArray<string>
  /** Null: none is needed. */
  readonly token: string | null
}

/** What the guard looks at. Names of headers are in lower case. */
export interface GuardedRequest {
  readonly method: string
  readonly path: string
  readonly headers: { readonly [name: string]: string | undefined }
}

export interface Refusal {
  readonly status: number
  readonly error: string
}

const OWN_NAMES = ["127.0.0.1", "localhost", "[::1]"]

/** What the page is made of, and the way to get in: they need no token. */
const isPublic = (path: string): boolean => !path.startsWith("/api/") && path !== "/live" || path === SESSION_PATH

export const SESSION_PATH = "/api/session"

export const cookieName = (port: number): string => `sampleline-${port}`

/** Why a request is refused; null if it is not. */
export const refusalOf = ({ hosts, port, token }: GuardOptions, request: GuardedRequest): Refusal | null => {
  const { headers, method, path } = request
  const names = [...OWN_NAMES, ...hosts].map((name) => `${name}:${port}`)
  if (port === 80) names.push(...OWN_NAMES, ...hosts)
  const host = headers["host"]?.toLowerCase()
  if (host === undefined || !names.includes(host)) {
    return { status: 403, error: "the request does not name this server; open the page by its address" }
  }
  const origin = headers["origin"]?.toLowerCase()
  const site = headers["sec-fetch-site"]
  if (
    (origin !== undefined && origin !== `http://${host}`)
    || (site !== undefined && site !== "same-origin" && site !== "none")
  ) {
    return { status: 403, error: "a page of another site may not use this server" }
  }
  if (method === "POST") {
    if (origin === undefined) return { status: 403, error: "a change needs an Origin header" }
    if (!/^application\/json\b/.test(headers["content-type"] ?? "")) {
      return { status: 415, error: "send application/json" }
    }
  } else if (method !== "GET" && method !== "HEAD") {
    return { status: 405, error: "only GET, and POST for marks" }
  }
  if (token !== null && !isPublic(path) && !hasToken(headers["cookie"], port, token)) {
    return { status: 401, error: "a token is needed; open the address that the recorder has printed" }
  }
  return null
}

/** Whether two texts are the same. How long it takes tells nothing of where they differ. */
export const isSame = (given: string, wanted: string): boolean => timingSafeEqual(digest(given), digest(wanted))

const digest = (text: string) => createHash("sha256").update(text).digest()

const hasToken = (cookies: string | undefined, port: number, token: string): boolean =>
  (cookies ?? "").split(/;\s*/).some((cookie) => {
    const at = cookie.indexOf("=")
    return cookie.slice(0, at) === cookieName(port) && isSame(cookie.slice(at + 1), token)
  })

/** Tries to guess the token: after some wrong ones within a minute, none is looked at until the minute is over. */
export class Tries {
  private since = 0
  private wrong = 0

  /** `now` in milliseconds, by a clock that does not jump. */
  mayTry(now: number): boolean {
    if (now - this.since > MINUTE) this.wrong = 0
    return this.wrong < MOST_WRONG
  }

  wasWrong(now: number): void {
    if (this.wrong++ === 0) this.since = now
  }
}

const MINUTE = 60_000
const MOST_WRONG = 20
