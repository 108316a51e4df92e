/**
 * A server for the page, over made-up data: what the real one says, without a recording. A test may change the data and what is told
 * while the page looks at it.
 *
 * The data of ten devices at 100 Hz has a hole, a spike of a single sample, markers, and names with HTML in them.
 */
import { type EventRow, formatTimestamp } from "@sampleline/core"
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { microsOf } from "../page/times.ts"

export const HTML_NAME = "<img src=x onerror=document.title='broken'>"
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; " +
  "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"

/** 2026-03-01T12:00:00Z. */
export const START = 1_772_366_400_000_000

const FIELDS = [
  { name: "Mass_Flow", unit: "SCCM", level: 100, decimals: 2 },
  { name: "Mass_Flow_Setpt", unit: "SCCM", level: 101, decimals: 2 },
  { name: "Pressure", unit: "PSIA", level: 14.7, decimals: 2 },
  { name: "Temperature", unit: "°C", level: 23, decimals: 2 },
  { name: "Volumetric_Flow", unit: "CCM", level: 95, decimals: 1 },
  { name: "Valve_Drive", unit: null, level: 40, decimals: 1 }
] as const

export interface MadeUp {
  readonly title: string
  readonly devices: ReadonlyArray<string>
  readonly fields: number
  readonly rateHz: number
  /** How many ticks there are. It may grow. */
  ticks: number
  isLive: boolean
  /** What the server tells, over what it would tell by itself. */
  told: { [key: string]: unknown }
  /** What a page must give before it gets anything; null: nothing. */
  readonly token: string | null
  /** False: a sketch of every 50th bucket. */
  isComplete: boolean
  readonly events: Array<EventRow>
  /** How many events are told at once. */
  readonly mostEvents: number
  /** No values, by tick. The devices: all if there are none. */
  readonly holes: Array<{ readonly from: number; readonly until: number; readonly device: number | null }>
  /** Where the first field of the first device is 1,000 higher. */
  readonly spike: number
}

export const madeUp = (changes: Partial<MadeUp> = {}): MadeUp => {
  const rateHz = changes.rateHz ?? 100
  const at = (tick: number) => formatTimestamp(START + tick * 1e6 / rateHz)
  const event = (event: EventRow["event"], tick: number, columns: Partial<EventRow> = {}): EventRow => ({
    run_id: "run",
    at: at(tick),
    event,
    device: null,
    reason: null,
    detail: null,
    since_at: null,
    until_at: null,
    duration_s: null,
    count: null,
    data: null,
    ...columns
  })
  const devices = changes.devices ??
    ["fuel", "air", "purge", "oven", HTML_NAME, "argon", "helium", "line 8", "line 9", "line 10"]
  const hole = { since_at: at(20_000), until_at: at(23_000), duration_s: 30 }
  return {
    title: "Burner test 42",
    devices,
    fields: FIELDS.length,
    rateHz,
    ticks: 60_000,
    isLive: true,
    told: {},
    token: null,
    mostEvents: 1000,
    isComplete: true,
    events: [
      event("RunStarted", 0),
      event("Marker", 8_000, { detail: "valve opened" }),
      event("DeviceFailing", 20_000, { device: devices[0]!, reason: "Timeout", detail: "no reply within 300 ms" }),
      event("DeviceBack", 23_000, {
        device: devices[0]!,
        reason: "Timeout",
        detail: "no reply within 300 ms",
        ...hole,
        count: 3000
      }),
      event("SlotsSkipped", 41_000, {
        reason: "busy",
        since_at: at(40_000),
        until_at: at(41_000),
        duration_s: 10,
        count: 1000
      }),
      event("Marker", 45_000, { detail: "<b>ramp</b> to 120 SCCM, operator Zoë" }),
      event("AlarmRaised", 50_000, {
        device: "oven",
        detail: "oven.Temperature > 24 for 5s",
        since_at: at(49_500),
        data: { field: "Temperature" }
      })
    ],
    holes: [{ from: 20_000, until: 23_000, device: 0 }, { from: 40_000, until: 41_000, device: null }],
    spike: 30_001,
    ...changes
  }
}

/** The value of a series at a tick; NaN: none. */
export const valueAt = (data: MadeUp, series: number, tick: number): number => {
  const device = Math.floor(series / data.fields)
  const field = FIELDS[series % data.fields]!
  if (data.holes.some((hole) => tick >= hole.from && tick < hole.until && (hole.device ?? device) === device)) {
    return NaN
  }
  if (series === 0 && tick === data.spike) return 1000
  const step = field.name === "Mass_Flow_Setpt" && tick / data.rateHz > 450 ? 1.2 : 1
  return signal(device, series % data.fields, tick, data.rateHz) * step
}

/** What a device would show all the time. Ranges are asked for again and again, so it is kept. */
const signal = (device: number, field: number, tick: number, rateHz: number): number => {
  const key = `${device} ${field} ${rateHz}`
  let known = signals.get(key)
  if (known === undefined) signals.set(key, known = [])
  for (let next = known.length; next <= tick; next++) {
    const { level, name } = FIELDS[field]!
    const seconds = next / rateHz
    const wave = Math.sin(seconds / (17 + 3 * device)) + 0.3 * Math.sin(seconds * 1.7 + device)
    const noise = ((next * 7919 + (6 * device + field) * 104_729) % 1000) / 1000 - 0.5
    const moving = name === "Mass_Flow_Setpt" ? 0 : 0.02 * wave + 0.004 * noise
    known.push(level * (1 + moving + 0.03 * device))
  }
  return known[tick]!
}

const signals = new Map<string, Array<number>>()

const timeOf = ({ rateHz }: MadeUp, tick: number): number => Math.round(START + tick * 1e6 / rateHz)

const viewOf = (data: MadeUp) => ({
  title: data.title,
  place: "/data/run.db",
  version: "0.1.0",
  isLive: data.isLive,
  canMark: data.isLive,
  rateHz: data.rateHz,
  from: data.ticks === 0 ? null : START,
  until: data.ticks === 0 ? null : timeOf(data, data.ticks - 1),
  runs: [{
    id: "run",
    startedAt: START,
    endedAt: data.isLive ? null : timeOf(data, data.ticks),
    cause: data.isLive ? null : "duration",
    detail: null,
    rateHz: data.rateHz,
    host: "lab-pc",
    metadata: {}
  }],
  devices: data.devices.map((name, at) => ({
    name,
    unitId: String.fromCharCode(65 + at),
    manufacturer: "Alicat Scientific",
    model: "MC-500SCCM-D",
    serialNumber: String(120_001 + at),
    firmware: "10v22",
    calibrationDate: "2025-11-03"
  })),
  series: data.devices.flatMap((device, at) =>
    FIELDS.slice(0, data.fields).map(({ name, unit }, field) => ({
      id: at * data.fields + field,
      device,
      field: name,
      unit
    }))
  )
})

const stateOf = (data: MadeUp) => {
  const now = timeOf(data, data.ticks)
  return {
    now,
    viewVersion: data.ticks === 0 ? 0 : 1,
    eventCount: data.events.length,
    until: data.ticks === 0 ? null : timeOf(data, data.ticks - 1),
    progress: null,
    ended: data.isLive ? null : { cause: "duration", detail: null },
    devices: data.devices.map((name, device) => ({
      name,
      state: data.isLive ? "ok" : "recorded",
      error: null,
      ageSeconds: data.isLive ? 0.01 : null,
      status: device === 3 ? ["MOV", "HLD"] : [],
      fields: FIELDS.slice(0, data.fields).map(({ decimals, name, unit }, field) => {
        const value = data.ticks === 0 ? NaN : valueAt(data, device * data.fields + field, data.ticks - 1)
        return { name, unit, value: Number.isNaN(value) ? null : value, decimals }
      })
    })),
    alarms: [],
    outputs: [{ name: "run.csv", state: "writing", rows: data.ticks * data.devices.length, behind: 0 }],
    log: [],
    ...data.told
  }
}

/** The latest ones. */
const eventsOf = ({ events, mostEvents }: MadeUp, from: number, until: number) => {
  const found = events.filter(({ at }) => microsOf(at) >= from && microsOf(at) <= until)
  return { events: found.slice(-mostEvents), truncated: found.length > mostEvents }
}

interface Column {
  readonly id: number
  readonly arrays: ReadonlyArray<Float64Array | Float32Array | Uint32Array>
  readonly [key: string]: unknown
}

/** An answer of `/api/range`: the length of the header, the header, and the arrays of each series. */
export const encodeRange = (
  header: { readonly [key: string]: unknown },
  columns: ReadonlyArray<Column>
): Uint8Array => {
  let size = 0
  const series = columns.map(({ arrays, ...series }) => {
    const at = size
    size += Math.ceil(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0) / 8) * 8
    return { ...series, at }
  })
  const text = new TextEncoder().encode(JSON.stringify({ ...header, series }))
  const length = Math.ceil((4 + text.length) / 8) * 8 - 4
  const bytes = new Uint8Array(4 + length + size).fill(32, 4, 4 + length)
  new DataView(bytes.buffer).setUint32(0, length, true)
  bytes.set(text, 4)
  columns.forEach(({ arrays }, place) => {
    let at = 4 + length + series[place]!.at
    for (const { buffer, byteLength, byteOffset } of arrays) {
      bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at)
      at += byteLength
    }
  })
  return bytes
}

/** Buckets of 16, 64, 256 ... ticks; samples if there are few enough. */
const rangeOf = (data: MadeUp, from: number, until: number, points: number, ids: ReadonlyArray<number>): Uint8Array => {
  const period = 1e6 / data.rateHz
  const firstTick = Math.max(0, Math.ceil((from - START) / period))
  const endTick = Math.min(data.ticks, Math.floor((until - START) / period) + 1)
  const header = { from, until, isComplete: data.isComplete }
  if (endTick - firstTick <= points) {
    const count = Math.max(0, endTick - firstTick)
    return encodeRange(
      { kind: "points", ...header },
      ids.map((id) => ({
        id,
        count,
        arrays: [
          Float64Array.from({ length: count }, (_, at) => timeOf(data, firstTick + at)),
          Float64Array.from({ length: count }, (_, at) => valueAt(data, id, firstTick + at))
        ]
      }))
    )
  }
  let ticks = 16
  while (Math.floor((endTick - 1) / ticks) - Math.floor(firstTick / ticks) + 1 > points) ticks *= 4
  const firstBucket = Math.floor(firstTick / ticks)
  const count = Math.floor((endTick - 1) / ticks) - firstBucket + 1
  return encodeRange(
    { kind: "buckets", ...header, width: ticks * period, first: START + firstBucket * ticks * period, count },
    ids.map((id) => ({ id, count, ...bucketsOf(data, id, firstBucket, count, ticks) }))
  )
}

const bucketsOf = (data: MadeUp, id: number, firstBucket: number, count: number, ticks: number) => {
  const [min, max, mean] = [0, 1, 2].map(() => new Float32Array(count).fill(NaN)) as [
    Float32Array,
    Float32Array,
    Float32Array
  ]
  const n = new Uint32Array(count)
  const base = FIELDS[id % data.fields]!.level
  for (let bucket = 0; bucket < count; bucket++) {
    if (!data.isComplete && bucket % 50 > 0) continue
    const start = (firstBucket + bucket) * ticks
    let [least, most, sum, found] = [Infinity, -Infinity, 0, 0]
    for (let tick = start; tick < Math.min(data.ticks, start + ticks); tick++) {
      const value = valueAt(data, id, tick)
      if (Number.isNaN(value)) continue
      least = Math.min(least, value)
      most = Math.max(most, value)
      sum += value
      found++
    }
    if (found === 0) continue
    min[bucket] = least - base
    max[bucket] = most - base
    mean[bucket] = sum / found - base
    n[bucket] = found
  }
  return { base, arrays: [min, max, mean, n] }
}

export interface PageServer {
  readonly url: string
  /** What is served. It can be replaced. */
  data: MadeUp
  /** The paths that were asked for, with their queries. */
  readonly asked: Array<string>
  /** The markers that were posted. */
  readonly marked: Array<string>
  /** Tells all pages how things are. */
  readonly tell: () => void
  /** How many pages listen. */
  readonly listening: () => number
  /** Ends all live connections, and takes no more while `isDown`. */
  isDown: boolean
  readonly disconnect: () => void
}

const TYPES: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml"
}

/** Serves the built page. */
export const startPageServer = (data: MadeUp, port = 0): Effect.Effect<PageServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly page: PageServer; readonly server: http.Server }>((resume) => {
      const folder = path.join(import.meta.dirname, "../dist/page")
      const live = new Set<http.ServerResponse>()
      const send = (to: http.ServerResponse) =>
        to.write(`event: state\ndata: ${JSON.stringify(stateOf(page.data))}\n\n`)
      const server = http.createServer((request, response) => {
        const url = new URL(request.url ?? "/", "http://localhost")
        const json = (body: unknown, status = 200) =>
          response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
        response.setHeader("content-security-policy", POLICY)
        const number = (name: string) => Number(url.searchParams.get(name))
        if (url.pathname !== "/live") page.asked.push(request.url ?? "")
        const isKnown = page.data.token === null || request.headers.cookie === "known=yes"
        if (!isKnown && url.pathname !== "/api/session" && /^\/(?:api|live)/.test(url.pathname)) {
          return json({ error: "A token is needed." }, 401)
        }
        const read = (then: (body: { readonly [name: string]: unknown }) => void) => {
          let body = ""
          request.on("data", (chunk) => body += chunk)
          request.on("end", () => then(JSON.parse(body)))
        }
        switch (url.pathname) {
          case "/api/session":
            return read(({ token }) => {
              if (token === page.data.token) {
                response.setHeader("set-cookie", "known=yes; Path=/; HttpOnly; SameSite=Strict")
              }
              json({ error: "This is another token." }, token === page.data.token ? 200 : 403)
            })
          case "/api/view":
            return json(viewOf(page.data))
          case "/api/events":
            return json(eventsOf(page.data, number("from"), number("until")))
          case "/api/range": {
            const ids = (url.searchParams.get("series") ?? "").split(",").map(Number)
            const bytes = rangeOf(page.data, number("from"), number("until"), number("points"), ids)
            return response.writeHead(200, { "content-type": "application/octet-stream" }).end(bytes)
          }
          case "/api/mark":
            return read(({ text }) => {
              page.marked.push(String(text))
              json({ at: timeOf(page.data, page.data.ticks) })
            })
          case "/live":
            if (page.isDown) return json({ error: "down" }, 503)
            response.writeHead(200, { "content-type": "text/event-stream" })
            live.add(response)
            response.on("close", () => live.delete(response))
            return send(response)
          default: {
            const file = path.join(folder, url.pathname === "/" ? "index.html" : path.basename(url.pathname))
            if (!fs.existsSync(file)) return json({ error: "not found" }, 404)
            return response.writeHead(200, { "content-type": TYPES[path.extname(file)] }).end(fs.readFileSync(file))
          }
        }
      })
      const page: PageServer = {
        url: "",
        data,
        asked: [],
        marked: [],
        tell: () => live.forEach(send),
        listening: () => live.size,
        isDown: false,
        disconnect: () => live.forEach((response) => response.destroy())
      }
      server.listen(port, "127.0.0.1", () => {
        const started = { ...page, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
        resume(Effect.succeed({ page: Object.assign(page, started), server }))
      })
    }),
    ({ server }) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(Effect.map(({ page }) => page))
