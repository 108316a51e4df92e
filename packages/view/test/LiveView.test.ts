/**
 * The page's server beside a recording: what it says is what was recorded, and who it does not trust gets nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { MemorySink, pipeToSink, type Tick } from "@sampleline/core"
import { Effect, Layer, Queue, Redacted, Stream } from "effect"
import * as net from "node:net"
import * as os from "node:os"
import { LiveView, type LiveViewOptions } from "../src/LiveView.ts"
import { ask, json, type Request, states } from "./http.ts"
import { flowAt, HOSTILE, START, tick, ticks, timeOf } from "./madeUp.ts"
import { readRange } from "./rangeOf.ts"

/** A page beside a recording of ticks that the test gives. */
const recording = Effect.fnUntraced(function*(options: LiveViewOptions = {}) {
  const given = yield* Queue.unbounded<Tick>()
  const context = yield* Layer.build(
    Layer.merge(LiveView.layer({ port: 0, title: "run.csv", ...options }), MemorySink.layer)
  )
  const { url, urlWithToken } = yield* Effect.provide(LiveView, context)
  yield* Stream.fromQueue(given).pipe(
    pipeToSink({ flushInterval: "10 millis" }),
    Effect.provide(context),
    Effect.forkScoped
  )
  return {
    url,
    urlWithToken,
    give: (ticks: ReadonlyArray<Tick>) => Queue.offerAll(given, ticks),
    sink: MemorySink.pipe(Effect.provide(context))
  }
})

describe("LiveView", () => {
  it.live("shows what was recorded: whole, close by, and with its events", () =>
    Effect.gen(function*() {
      const { give, url } = yield* recording()
      const page = yield* states(url)
      yield* give(ticks(0, 20_000))
      const state = yield* page.until(({ until, devices }) =>
        until === timeOf(19_999) && devices[0]?.fields[1]?.value != null
      )
      assert.deepStrictEqual(state.devices[0].fields.map(({ name }: { name: string }) => name), [
        "Gas",
        "Mass_Flow",
        "Pressure"
      ])
      assert.strictEqual(state.devices[0].fields[0].value, "N2")

      const view = json(yield* ask(url, "/api/view"))
      assert.deepStrictEqual(
        { title: view.title, rateHz: view.rateHz, from: view.from, until: view.until, canMark: view.canMark },
        { title: "run.csv", rateHz: 100, from: START, until: timeOf(19_999), canMark: true }
      )
      assert.deepStrictEqual(view.series, [
        { id: 0, device: "fuel", field: "Mass_Flow", unit: "SCCM" },
        { id: 1, device: "fuel", field: "Pressure", unit: HOSTILE },
        { id: 2, device: HOSTILE, field: "Mass_Flow", unit: "SCCM" },
        { id: 3, device: HOSTILE, field: "Pressure", unit: HOSTILE }
      ])

      const all = readRange((yield* ask(url, `/api/range?from=0&until=${timeOf(1e9)}&points=500&series=0,2`)).body)
      assert.strictEqual(all.kind, "buckets")
      assert.isAtMost(all.count, 501)
      const [fuel, other] = all.series
      assert.strictEqual(fuel!.counts.reduce((sum, count) => sum + count), 20_000)
      assert.strictEqual(other!.counts.reduce((sum, count) => sum + count), 19_900)
      // The one peak.
      assert.closeTo(Math.max(...fuel!.max.filter((value) => !Number.isNaN(value))), 1000, 1e-3)
      // What is a hole at the finest level is no value.
      const hole = Math.floor((timeOf(150) - all.first) / all.width)
      assert.strictEqual(other!.counts[hole], 0)
      assert.isNaN(other!.mean[hole])

      const near = readRange(
        (yield* ask(url, `/api/range?from=${timeOf(7700)}&until=${timeOf(7800)}&points=500&series=0`)).body
      )
      assert.strictEqual(near.kind, "points")
      assert.deepStrictEqual(near.series[0]!.times, Array.from({ length: 101 }, (_, n) => timeOf(7700 + n)))
      assert.deepStrictEqual(near.series[0]!.values, Array.from({ length: 101 }, (_, n) => flowAt(7700 + n)))

      const { events } = json(yield* ask(url, "/api/events"))
      assert.deepStrictEqual(events.map(({ event }: { event: string }) => event), [
        "RunStarted",
        "DeviceFailing",
        "DeviceBack"
      ])
      const later = json(yield* ask(url, `/api/events?from=${timeOf(300)}`))
      assert.deepStrictEqual(later.events, [])
    }))

  it.live("takes marks, which are in the recording, and tells its end", () =>
    Effect.gen(function*() {
      const { give, sink, url } = yield* recording()
      const origin = url.replace(/\/$/, "")
      const mark = (text: string) =>
        ask(url, "/api/mark", {
          method: "POST",
          headers: { "content-type": "application/json", origin },
          body: JSON.stringify({ text })
        })
      assert.deepStrictEqual(json(yield* mark("too early")), { error: "nothing is recorded now" })
      yield* give([tick(0)])
      const page = yield* states(url)
      yield* page.until(({ until }) => until !== null)
      assert.isAbove(json(yield* mark("valve opened")).at, 0)
      assert.strictEqual((yield* mark("two\nlines")).status, 400)
      assert.strictEqual((yield* mark("x".repeat(201))).status, 400)
      yield* page.until(({ eventCount }) => eventCount === 2)
      const { events } = yield* sink
      assert.isTrue(events.some((event) => event._tag === "Marker" && event.text === "valve opened"))
    }))

  it.live("gives nothing to pages of other sites, to other names, and to other methods", () =>
    Effect.gen(function*() {
      const { url } = yield* recording()
      const { host, port } = new URL(url)
      const status = (path: string, request: Request) => Effect.map(ask(url, path, request), (reply) => reply.status)
      const refused: ReadonlyArray<readonly [string, Request, number]> = [
        ["/api/view", { headers: { origin: "http://evil.example" } }, 403],
        ["/api/view", { headers: { origin: "null" } }, 403],
        ["/api/view", { headers: { origin: `https://${host}` } }, 403],
        ["/api/view", { headers: { origin: `http://127.0.0.1:1` } }, 403],
        ["/api/view", { headers: { "sec-fetch-site": "cross-site" } }, 403],
        ["/api/view", { headers: { "sec-fetch-site": "same-site" } }, 403],
        ["/", { headers: { host: `evil.example:${port}` } }, 403],
        ["/live", { headers: { host: `evil.example:${port}` } }, 403],
        ["/api/range", { headers: { host: "127.0.0.1" } }, 403],
        ["/api/mark", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }, 403],
        ["/api/mark", {
          method: "POST",
          headers: { "content-type": "text/plain", origin: `http://${host}` },
          body: "{}"
        }, 415],
        ["/api/mark", { method: "DELETE", headers: { origin: `http://${host}` } }, 405],
        ["/api/mark", { method: "OPTIONS", headers: { origin: "http://evil.example" } }, 403],
        ["/api/mark", {
          method: "POST",
          headers: { "content-type": "application/json", origin: `http://${host}` },
          body: "x".repeat(5000)
        }, 413],
        ["/api/range?from=0&until=1e400&points=100&series=0", {}, 400],
        ["/api/range?from=0&until=10&points=1000000&series=0", {}, 400],
        ["/api/range?from=0&until=10&points=100&series=__proto__", {}, 400],
        [`/api/range?from=0&until=10&points=100&series=${"0,".repeat(2000)}0`, {}, 400],
        ["/../package.json", {}, 404],
        ["/%2e%2e/package.json", {}, 404],
        ["/constructor", {}, 404]
      ]
      for (const [path, request, wanted] of refused) {
        const reply = yield* ask(url, path, request)
        assert.strictEqual(reply.status, wanted, `${path} ${JSON.stringify(request).slice(0, 100)}`)
        assert.isUndefined(reply.headers["access-control-allow-origin"])
      }
      for (const host of [`localhost:${port}`, `[::1]:${port}`]) {
        assert.strictEqual(yield* status("/api/view", { headers: { host } }), 200)
      }
      const upgrade = {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "x"
      }
      assert.strictEqual(yield* status("/live", { headers: { ...upgrade, origin: "http://evil.example" } }), 403)
      assert.strictEqual(yield* status("/api/view", { headers: { ...upgrade, origin: `http://${host}` } }), 200)
      const { headers } = yield* ask(url, "/nothing")
      assert.match(String(headers["content-security-policy"]), /default-src 'none'/)
      assert.strictEqual(headers["x-content-type-options"], "nosniff")
      // Ten years are as many buckets as a minute.
      assert.strictEqual(yield* status(`/api/range?from=0&until=${3e14 + START}&points=2000&series=0,1,99999`, {}), 200)
    }))

  it.live("asks for a token where others can reach it, and bears guesses", () =>
    Effect.gen(function*() {
      const { url, urlWithToken } = yield* recording({ host: "localhost" })
      const origin = url.replace(/\/$/, "")
      assert.notInclude(url, "token")
      const token = new URL(Redacted.value(urlWithToken!)).hash.replace("#token=", "")
      assert.strictEqual(token.length, 22)
      assert.strictEqual((yield* ask(url, "/api/view")).status, 401)
      assert.strictEqual((yield* ask(url, "/live")).status, 401)
      assert.strictEqual((yield* ask(url, `/api/view?token=${token}`)).status, 401)
      const enter = (token: unknown) =>
        ask(url, "/api/session", {
          method: "POST",
          headers: { "content-type": "application/json", origin },
          body: JSON.stringify({ token })
        })
      const entered = yield* enter(token)
      const cookie = String(entered.headers["set-cookie"])
      assert.match(cookie, /; HttpOnly; SameSite=Strict/)
      const headers = { cookie: cookie.split(";")[0]! }
      assert.strictEqual((yield* ask(url, "/api/view", { headers })).status, 200)
      assert.strictEqual(
        (yield* ask(url, "/api/view", { headers: { cookie: headers.cookie.replace(/.$/, "!") } })).status,
        401
      )
      assert.strictEqual((yield* enter({ length: 22 })).status, 401)
      for (let n = 0; n < 19; n++) assert.strictEqual((yield* enter("guess")).status, 401)
      assert.strictEqual((yield* enter(token)).status, 429)
      // Who is in stays in.
      assert.strictEqual((yield* ask(url, "/api/view", { headers })).status, 200)
    }))

  it.live("has an address that works from another machine where it is served at all addresses", () =>
    Effect.gen(function*() {
      const { url, urlWithToken } = yield* recording({ host: "0.0.0.0" })
      const { host, port } = new URL(url)
      assert.strictEqual(url, `http://${os.hostname().toLowerCase()}:${port}/`)
      assert.isTrue(Redacted.value(urlWithToken!).startsWith(`${url}#token=`))
      assert.strictEqual((yield* ask(`http://127.0.0.1:${port}/`, "/", { headers: { host } })).status, 200)
    }))

  it.live("bears 1,000 connections that say nothing, and half a request", () =>
    Effect.gen(function*() {
      const { give, url } = yield* recording()
      const { port } = new URL(url)
      const page = yield* states(url)
      yield* page.until(() => true)
      const sockets = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Array.from({ length: 1000 }, (_, n) => {
            const socket = net.connect(Number(port), "127.0.0.1")
            socket.on("error", () => {})
            if (n % 2 === 0) socket.write("GET /api/view HTTP/1.1\r\nHost: ")
            return socket
          })
        ),
        (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
      )
      assert.strictEqual(sockets.length, 1000)
      // The page that is open hears what comes.
      yield* give(ticks(0, 1000))
      yield* page.until(({ until }) => until === timeOf(999))
    }))

  it.live("names what is in the way of the port", () =>
    Effect.gen(function*() {
      const { url } = yield* recording()
      const { port } = new URL(url)
      const error = yield* Effect.flip(Layer.build(LiveView.layer({ port: Number(port) })))
      assert.strictEqual(
        error.message,
        `the page cannot be served at 127.0.0.1 port ${port}: another program uses this port; give another one`
      )
      assert.match(
        (yield* Effect.flip(Layer.build(LiveView.layer({ port: 0, host: "192.0.2.1" })))).message,
        /does not have this address/
      )
    }))
})
