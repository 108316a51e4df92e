/**
 * How fast the page of a long recording is: a journal and a Parquet file of 86.4 million samples, a day of ten devices at 100 Hz.
 *
 *     npm run bench:view -- --samples 86400000
 *
 * Each is opened by `sampleline view` without levels of an earlier time, in a real browser. Measured: from the start of the command to
 * the first plot; how long it reads until all is there; how long it takes to answer a zoom; and how long scripts take in a frame while
 * the page is zoomed. Ends with exit code 1 if a goal is missed.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, FileSystem } from "effect"
import { Command, Flag } from "effect/cli"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Browser, Page } from "playwright-core"
import { start } from "../../cli/test/process.ts"
import { openPage, startBrowser } from "../../view/test/browser.ts"
import { ask, json } from "../../view/test/http.ts"
import { readRange } from "../../view/test/rangeOf.ts"
import { usageOf } from "./processUsage.ts"
import { COMMAND, COMMAND_FLAGS } from "./simulator.ts"
import { textTable } from "./textTable.ts"
import { writeJournal, writeParquet } from "./viewData.ts"

/** A day of ten devices at 100 Hz. */
const SAMPLES = 86_400_000
const ZOOMS = 200
const SERIES = 20
/** Buckets: two numbers of each are drawn. */
const POINTS = 2000
const FRAMES_ZOOMED = 300

const GOALS = { firstPlotSeconds: 2, zoomP95Ms: 150, mostPoints: 4000, frameP95Ms: 16 }

interface Figures {
  readonly firstPlotSeconds: number
  readonly readSeconds: number
  /** The first plot the next time. */
  readonly againSeconds: number
  readonly zoomP50Ms: number
  readonly zoomP95Ms: number
  readonly mostPoints: number
  readonly frameP95Ms: number
  readonly residentMiB: number
  readonly levelsMiB: number
}

const secondsSince = (startedAt: number): number => (performance.now() - startedAt) / 1000

const quantile = (values: ReadonlyArray<number>, part: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(part * (values.length - 1))] ?? NaN

/** Starts `sampleline view`, and opens its page when it can be opened. Gives both when something is drawn. */
const openView = Effect.fnUntraced(function*(browser: Browser, place: string, cache: string) {
  const startedAt = performance.now()
  const viewer = yield* start(process.execPath, [...COMMAND_FLAGS, COMMAND, "view", place, "--port", "0"], {
    cwd: path.dirname(place),
    env: { ...process.env, XDG_CACHE_HOME: cache }
  })
  yield* viewer.printed("/\n")
  const url = viewer.stdout().trim()
  const { page } = yield* openPage(browser, url)
  // The page's own policy forbids it to wait for an expression by itself.
  yield* Effect.repeat(Effect.delay(Effect.promise(() => page.evaluate(HAS_VALUES)), "10 millis"), {
    until: (hasValues) => hasValues === true
  })
  return { url, page, viewer, pid: viewer.process.pid!, firstPlotSeconds: secondsSince(startedAt), startedAt }
})

/** A plot is drawn, and has a value. */
const HAS_VALUES =
  "window.sampleline?.plots.some(({ chart }) => chart.data?.[1]?.some((value) => value !== null && value !== undefined))"

const isRead = (url: string): Effect.Effect<void> =>
  Effect.repeat(
    Effect.delay(ask(url, "/api/range?from=0&until=9000000000000000&points=2&series=0"), "100 millis"),
    { until: ({ body }) => readRange(body).isComplete }
  )

/** Ranges of all lengths, from a second to all of it, at places all over it. The same in every run. */
const rangesIn = (from: number, until: number) =>
  Array.from({ length: ZOOMS }, (_, n) => {
    const length = Math.exp(Math.log(1e6) + (n * 0.618 % 1) * Math.log((until - from) / 1e6))
    const at = from + (n * 0.7548 % 1) * (until - from - length)
    return { from: Math.floor(at), until: Math.floor(at + length) }
  })

const zoom = Effect.fnUntraced(function*(url: string) {
  const { from, series, until } = json(yield* ask(url, "/api/view"))
  const ids = series.slice(0, SERIES).map(({ id }: { readonly id: number }) => id).join(",")
  const times: Array<number> = []
  let mostPoints = 0
  for (const range of rangesIn(from, until)) {
    const startedAt = performance.now()
    const { body } = yield* ask(
      url,
      `/api/range?from=${range.from}&until=${range.until}&points=${POINTS}&series=${ids}`
    )
    times.push(performance.now() - startedAt)
    const { count, kind, series } = readRange(body)
    mostPoints = Math.max(
      mostPoints,
      kind === "buckets" ? 2 * count : Math.max(...series.map(({ times }) => times.length))
    )
  }
  return { zoomP50Ms: quantile(times, 0.5), zoomP95Ms: quantile(times, 0.95), mostPoints }
})

interface TraceEvent {
  readonly name: string
  readonly ts: number
  readonly dur?: number
}

const SCRIPTS = new Set(["FireAnimationFrame", "FunctionCall", "TimerFire", "EvaluateScript"])

/** How long scripts take in a frame while somebody zooms all the time, in milliseconds. */
const zoomedFrames = Effect.fnUntraced(function*(page: Page) {
  // The first time, scripts are compiled.
  yield* Effect.promise(() => page.evaluate(ZOOM_EACH_FRAME))
  const client = yield* Effect.promise(() => page.context().newCDPSession(page))
  const events: Array<TraceEvent> = []
  client.on("Tracing.dataCollected", ({ value }) => events.push(...value as unknown as ReadonlyArray<TraceEvent>))
  const collected = new Promise<void>((resolve) => client.once("Tracing.tracingComplete", () => resolve()))
  yield* Effect.promise(() =>
    client.send("Tracing.start", { categories: "devtools.timeline", transferMode: "ReportEvents" })
  )
  yield* Effect.promise(() => page.evaluate(ZOOM_EACH_FRAME))
  yield* Effect.promise(() => client.send("Tracing.end"))
  yield* Effect.promise(() => collected)
  const scripts = events.filter(({ name }) => SCRIPTS.has(name)).toSorted((a, b) => a.ts - b.ts)
  // The last step of a frame on the main thread.
  const frames = events.filter(({ name }) => name === "Layerize").map(({ ts }) => ts).toSorted((a, b) => a - b)
  const inFrames = frames.map(() => 0)
  let until = -Infinity
  for (const { dur = 0, ts } of scripts) {
    // It is within another one that is counted.
    if (ts < until) continue
    until = ts + dur
    const frame = frames.findIndex((at) => at >= ts)
    if (frame >= 0) inFrames[frame]! += dur / 1000
  }
  return quantile(inFrames, 0.95)
})

const ZOOM_EACH_FRAME = `new Promise((resolve) => {
  const { timeline, view } = window.sampleline
  const whole = view.until - view.from
  let n = 0
  const next = () => {
    const part = 0.02 + 0.98 * (0.5 + 0.5 * Math.cos(n / 40))
    const from = view.from + (whole - part * whole) * (0.5 + 0.5 * Math.sin(n / 100))
    timeline.show({ from, until: from + part * whole })
    if (++n < ${FRAMES_ZOOMED}) requestAnimationFrame(next)
    else resolve()
  }
  next()
})`

const measure = Effect.fnUntraced(function*(browser: Browser, place: string) {
  const cache = fs.mkdtempSync(path.join(path.dirname(place), "cache-"))
  const first = yield* Effect.scoped(Effect.gen(function*() {
    const { firstPlotSeconds, page, pid, startedAt, url, viewer } = yield* openView(browser, place, cache)
    yield* isRead(url)
    yield* Console.error("all is read")
    const readSeconds = secondsSince(startedAt)
    const zooms = yield* zoom(url)
    yield* Console.error("zoomed")
    const frameP95Ms = yield* zoomedFrames(page)
    const { residentMiB } = usageOf(pid)
    // It stores its levels.
    yield* Effect.sync(() => process.kill(pid, "SIGINT"))
    yield* viewer.exit
    return { firstPlotSeconds, readSeconds, ...zooms, frameP95Ms, residentMiB }
  }))
  const again = yield* Effect.scoped(openView(browser, place, cache))
  const levels = fs.readdirSync(path.join(cache, "sampleline", "levels")).map((name) =>
    fs.statSync(path.join(cache, "sampleline", "levels", name)).size
  )
  return {
    ...first,
    againSeconds: again.firstPlotSeconds,
    levelsMiB: levels.reduce((sum, size) => sum + size, 0) / 2 ** 20
  } satisfies Figures
})

const rowOf = (name: string, figures: Figures): ReadonlyArray<string> => [
  name,
  figures.firstPlotSeconds.toFixed(2),
  figures.readSeconds.toFixed(1),
  figures.againSeconds.toFixed(2),
  figures.zoomP50Ms.toFixed(1),
  figures.zoomP95Ms.toFixed(1),
  String(figures.mostPoints),
  figures.frameP95Ms.toFixed(1),
  figures.residentMiB.toFixed(0),
  figures.levelsMiB.toFixed(0)
]

const HEAD = [
  "opened",
  "first plot, s",
  "all read, s",
  "again, s",
  "zoom p50, ms",
  "p95, ms",
  "points",
  "frame p95, ms",
  "resident, MiB",
  "levels, MiB"
]

const program = Command.make(
  "view",
  {
    samples: Flag.Int("samples").pipe(Flag.withDescription("How many samples"), Flag.withDefault(SAMPLES)),
    folder: Flag.String("folder").pipe(
      Flag.withDescription(
        "Where the files are made, which stay: some 11 GB (default: a temporary folder, which goes)"
      ),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ folder, samples }) {
    const files = yield* FileSystem.FileSystem
    const at = folder._tag === "Some"
      ? path.resolve(folder.value)
      : yield* files.makeTempDirectoryScoped({ prefix: "bench-" })
    const places = [
      { name: "journal", place: path.join(at, "run.journal"), make: writeJournal },
      { name: "Parquet", place: path.join(at, "run.parquet"), make: writeParquet }
    ]
    const browser = yield* startBrowser
    const measured: Array<readonly [string, Figures]> = []
    for (const { make, name, place } of places) {
      if (!fs.existsSync(place)) {
        yield* Console.error(`making ${place}`)
        yield* make(place, samples)
      }
      yield* Console.error(`viewing ${place}`)
      measured.push([name, yield* measure(browser, place)])
    }
    yield* Console.log(textTable([HEAD, ...measured.map(([name, figures]) => rowOf(name, figures))], 1))
    const missed = measured.flatMap(([name, figures]) =>
      Object.entries(GOALS).filter(([goal, bound]) => !(figures[goal as keyof Figures] <= bound))
        .map(([goal, bound]) => `${name}: ${goal} is above ${bound}`)
    )
    if (missed.length > 0) return yield* Effect.die(new Error(missed.join("; ")))
  }, Effect.scoped)
).pipe(Command.withDescription("How fast the page of a long recording is"))

Command.run(program, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
