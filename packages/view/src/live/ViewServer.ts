/**
 * The page and what it asks for, over HTTP. Nothing can be asked of instruments.
 *
 * - `GET /`: the page
 * - `GET /api/view`: what there is to see
 * - `GET /api/range`: values of a range of time
 * - `GET /api/events`: events of a range of time
 * - `GET /live`: what is known now, as server-sent events
 * - `POST /api/mark`: a mark
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { timeOf } from "@sampleline/files"
import { ByteSize, type Cause, Clock, Effect, Predicate, Queue, Schema, type Scope, Stream } from "effect"
import { HttpIncomingMessage, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { cookieName, isSame, type Refusal, refusalOf, SESSION_PATH, Tries } from "./guard.ts"
import { encodeRange, type RangeQuery } from "./RangeAnswer.ts"
import { type Viewed, ViewError, type ViewState } from "./Viewed.ts"

export interface ServerOptions {
  /** Default: this machine only. */
  readonly host?: string | undefined
  /** 0: any that is free. */
  readonly port: number
  /** A free port instead, if another program uses it. */
  readonly orAnyPort: boolean
  /** Null: none is needed. */
  readonly token: string | null
  /** Called when the number of open pages changes. */
  readonly onPages?: ((pages: number) => void) | undefined
}

export const LOOPBACK = "127.0.0.1"
/** No well-known program has it. */
export const DEFAULT_PORT = 7373

const MOST_CONNECTIONS = 128
const MOST_PAGES = 16
const MOST_SERIES = 500
const MOST_POINTS = 2000
const MOST_EVENTS = 1000
const LONGEST_BODY = 4096
const LONGEST_MARK = 200
/** Messages that a page has not taken yet. */
const BACKLOG = 50
/** Bytes of messages that a page's connection has not taken yet. */
const BACKLOG_BYTES = 1 << 20

const LOOK_INTERVAL = "250 millis"
const LONGEST_SILENCE_MILLIS = 5000

const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; "
  + "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"

const HEADERS = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store"
}

/** Where the build has put the page: beside a bundle, a folder above this module in the package, or in `dist` where this is source. */
const PAGES = ["./page/", "../page/", "../../dist/page/"]

const TYPES: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml"
}

/** An open page. */
interface Page {
  readonly messages: Queue.Queue<string, Cause.Done>
  readonly response: http.ServerResponse
}

/** Serves the page while the scope is open. Gives its address. */
export const serve = Effect.fnUntraced(function*(
  viewed: Viewed,
  options: ServerOptions
): Effect.fn.Return<string, ViewError, Scope.Scope> {
  const files = yield* Effect.mapError(
    Effect.try(readPage),
    () => new ViewError({ detail: "the page is not there; build it by `npm run build`, or install the package again" })
  )
  const clock = yield* Clock.Clock
  const tries = new Tries()
  const pages = new Set<Page>()
  const { host = LOOPBACK, token } = options

  const node = http.createServer({
    requestTimeout: 10_000,
    headersTimeout: 5000,
    connectionsCheckingInterval: 2000,
    maxHeaderSize: 16_384
  })
  node.maxConnections = MOST_CONNECTIONS
  const listen = (port: number) =>
    NodeHttpServer.make(() => node, { port, host, exclusive: true, gracefulShutdownTimeout: "500 millis" })
  const server = yield* listen(options.port).pipe(
    Effect.catchIf(({ cause }) => options.orAnyPort && isCode(cause, "EADDRINUSE"), () => listen(0)),
    Effect.mapError(({ cause }) => refused(host, options.port, cause))
  )
  const { port } = node.address() as AddressInfo
  const hosts = namesOf(host)
  const guarding = { port, token, hosts }
  // Closes what a browser keeps open.
  yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))

  const live = Effect.gen(function*() {
    if (pages.size >= MOST_PAGES) return refusal({ status: 503, error: `${MOST_PAGES} pages are open; close one` })
    const request = yield* HttpServerRequest.HttpServerRequest
    const response = NodeHttpServerRequest.toServerResponse(request) as http.ServerResponse
    const messages = yield* Queue.dropping<string, Cause.Done>(BACKLOG)
    Queue.offerUnsafe(messages, messageOf(viewed.state()))
    const page = { messages, response }
    pages.add(page)
    options.onPages?.(pages.size)
    response.once("close", () => {
      pages.delete(page)
      options.onPages?.(pages.size)
    })
    return HttpServerResponse.stream(Stream.encodeText(Stream.fromQueue(messages)), {
      contentType: "text/event-stream"
    })
  })
  /** Who does not take what is sent is cut off, and asks again when it can. */
  const broadcast = (message: string) => {
    for (const { messages, response } of pages) {
      if (response.writableLength > BACKLOG_BYTES || !Queue.offerUnsafe(messages, message)) response.destroy()
    }
  }
  const push = Effect.gen(function*() {
    let last = ""
    let toldAt = 0
    while (true) {
      yield* Effect.sleep(LOOK_INTERVAL)
      if (pages.size === 0) continue
      const now = millis(clock)
      const state = viewed.state()
      // The time alone is no news.
      const news = JSON.stringify({ ...state, now: 0 })
      if (news === last && now - toldAt < LONGEST_SILENCE_MILLIS) continue
      last = news
      toldAt = now
      broadcast(messageOf(state))
    }
  })
  yield* Effect.forkScoped(push)
  // The last state: how it ended.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      broadcast(messageOf(viewed.state()))
      return Effect.forEach(pages, ({ messages }) => Queue.end(messages), { discard: true })
    })
  )

  const session = Effect.gen(function*() {
    const { token: given } = yield* body
    const now = millis(clock)
    if (token === null) return refusal({ status: 404, error: "no token is needed" })
    if (!tries.mayTry(now)) return refusal({ status: 429, error: "too many wrong tokens; try again in a minute" })
    if (typeof given !== "string" || !isSame(given, token)) {
      tries.wasWrong(now)
      return refusal({ status: 401, error: "this is not the token" })
    }
    return HttpServerResponse.setHeader(
      HttpServerResponse.empty(),
      "set-cookie",
      `${cookieName(port)}=${token}; HttpOnly; SameSite=Strict; Path=/`
    )
  })

  const mark = Effect.gen(function*() {
    const { text } = yield* body
    if (viewed.mark === null) return refusal({ status: 409, error: "nothing is recorded here: it cannot be marked" })
    const trimmed = typeof text === "string" ? text.trim() : ""
    if (trimmed === "" || trimmed.length > LONGEST_MARK || /\p{Cc}/u.test(trimmed)) {
      return refusal({ status: 400, error: `a mark is one line of 1 to ${LONGEST_MARK} characters` })
    }
    return yield* viewed.mark(trimmed).pipe(
      Effect.map((at) => json({ at })),
      Effect.catch(({ message }) => Effect.succeed(refusal({ status: 409, error: message })))
    )
  })

  const route = ({ pathname, searchParams }: URL, method: string) => {
    const isPost = method === "POST"
    switch (pathname) {
      case SESSION_PATH:
        return isPost ? session : null
      case "/api/mark":
        return isPost ? mark : null
      case "/api/view":
        return Effect.succeed(json({ ...viewed.describe(), canMark: viewed.mark !== null }))
      case "/api/range": {
        const query = rangeQueryOf(searchParams)
        return typeof query === "string"
          ? Effect.succeed(refusal({ status: 400, error: query }))
          : viewed.range(query).pipe(
            Effect.map((answer) => HttpServerResponse.uint8Array(encodeRange(answer, query))),
            Effect.catch(({ message }) => Effect.succeed(refusal({ status: 500, error: message })))
          )
      }
      case "/api/events":
        return Effect.succeed(json(eventsIn(viewed, searchParams)))
      case "/live":
        return live
      default: {
        const file = files.get(pathname === "/" ? "/index.html" : pathname)
        return file === undefined ? null : Effect.succeed(HttpServerResponse.uint8Array(file.bytes, {
          contentType: file.type
        }))
      }
    }
  }

  const app = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const url = URL.parse(request.url, "http://server")
    const found = url === null ? null : refusalOf(guarding, {
      method: request.method,
      path: url.pathname,
      headers: request.headers
    })
    if (url === null) return refusal({ status: 400, error: "this is no address" })
    if (found !== null) return refusal(found)
    return yield* route(url, request.method) ?? Effect.succeed(refusal({ status: 404, error: "there is no such page" }))
  }).pipe(
    Effect.catchTag("BodyError", ({ detail, status }) => Effect.succeed(refusal({ status, error: detail }))),
    Effect.map(HttpServerResponse.setHeaders(HEADERS))
  )
  yield* server.serve(app)
  return `http://${hosts[0]}:${port}/`
})

interface PageFile {
  readonly bytes: Uint8Array
  readonly type: string
}

/** The files of the page by their paths. */
const readPage = (): ReadonlyMap<string, PageFile> => {
  const [folder] = PAGES.map((page) => new URL(page, import.meta.url)).filter((page) => fs.existsSync(page))
  if (folder === undefined) throw new Error("no page")
  return new Map(
    fs.readdirSync(folder).map((name) => [`/${name}`, {
      bytes: fs.readFileSync(new URL(name, folder)),
      type: TYPES[path.extname(name)] ?? "application/octet-stream"
    }])
  )
}

class BodyError extends Schema.TaggedError<BodyError>()("BodyError", { status: Schema.Int, detail: Schema.String }) {}

/** A JSON object that a request brings. */
const body: Effect.Effect<{ readonly [key: string]: unknown }, BodyError, HttpServerRequest.HttpServerRequest> = Effect
  .gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const text = yield* request.text.pipe(
      Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(LONGEST_BODY)),
      Effect.mapError(() => new BodyError({ status: 413, detail: `at most ${LONGEST_BODY} bytes` }))
    )
    const value: unknown = yield* Effect.mapError(
      Effect.try(() => JSON.parse(text)),
      () => new BodyError({ status: 400, detail: "this is not JSON" })
    )
    if (!Predicate.isObject(value)) return yield* new BodyError({ status: 400, detail: "send a JSON object" })
    return value
  })

const json = (value: unknown): HttpServerResponse.HttpServerResponse => HttpServerResponse.jsonUnsafe(value)

const refusal = ({ error, status }: Refusal): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe({ error }, { status })

const messageOf = (state: ViewState): string => `event: state\ndata: ${JSON.stringify(state)}\n\n`

/** The range that is asked for; a text says what is wrong with it. */
const rangeQueryOf = (params: URLSearchParams): RangeQuery | string => {
  const [from, until, points] = ["from", "until", "points"].map((name) => Number(params.get(name) ?? Number.NaN)) as [
    number,
    number,
    number
  ]
  const series = (params.get("series") ?? "").split(",").map((text) => /^\d{1,6}$/.test(text) ? Number(text) : -1)
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(until) || from >= until) {
    return "from and until are microseconds since the epoch, and from is before until"
  }
  if (!Number.isSafeInteger(points) || points < 2 || points > MOST_POINTS) return `points is 2 to ${MOST_POINTS}`
  if (series.includes(-1) || series.length > MOST_SERIES) {
    return `series is a list of numbers such as 0,1,2: at most ${MOST_SERIES}`
  }
  return { from, until, points, series: [...new Set(series)] }
}

/** The latest events of a range of time. Those that last, such as a device that fails, are in every range that they touch. */
const eventsIn = (viewed: Viewed, params: URLSearchParams) => {
  const from = Number(params.get("from") ?? -Infinity)
  const until = Number(params.get("until") ?? Infinity)
  const found = viewed.events().filter((event) =>
    timeOf(event.since_at ?? event.at) <= until && timeOf(event.until_at ?? event.at) >= from
  )
  return { events: found.slice(-MOST_EVENTS), truncated: found.length > MOST_EVENTS }
}

const millis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

const isCode = (cause: unknown, code: string): boolean => (cause as NodeJS.ErrnoException | null)?.code === code

/** Under which names a server is asked: the one that was given, or all of this machine. The first one is for its address. */
const namesOf = (host: string): readonly [string, ...ReadonlyArray<string>] => {
  const inUrl = (name: string) => (name.includes(":") ? `[${name}]` : name).toLowerCase()
  if (host !== "0.0.0.0" && host !== "::") return [inUrl(host)]
  const addresses = Object.values(os.networkInterfaces()).flatMap((all) => all ?? []).map(({ address }) => address)
  return [inUrl(os.hostname()), ...addresses.map(inUrl)]
}

const refused = (host: string, port: number, cause: unknown): ViewError => {
  const { code, message } = cause as NodeJS.ErrnoException
  const why = code === "EADDRINUSE"
    ? "another program uses this port; give another one"
    : code === "EACCES"
    ? "this port needs the rights of the administrator; give a port above 1023"
    : code === "EADDRNOTAVAIL" || code === "ENOTFOUND"
    ? "this machine does not have this address; give one of its own"
    : message
  return new ViewError({ detail: `the page cannot be served at ${host} port ${port}: ${why}` })
}
