/**
 * What open pages cost a recording: ten devices on ttys at 100 Hz into a CSV, with three pages and without, in turns. Two pages show the
 * last ten minutes of all series as they come; the third has stopped reading. Then the memory of a longer recording with them.
 *
 *     npm run bench:pages -- --rounds 4 --seconds 20 --minutes 10
 *
 * The pages are clients that ask as the page in the browser does: a browser would take the processor of a small machine for itself.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, FileSystem } from "effect"
import { Command, Flag } from "effect/cli"
import * as http from "node:http"
import * as net from "node:net"
import { ask, json } from "../../view/test/http.ts"
import { measureRecording, type Recorded, startNode } from "./measureRecording.ts"
import { median } from "./median.ts"
import { usageOf } from "./processUsage.ts"
import { record } from "./programs.ts"
import { simulate, type SimulatedDevice } from "./simulator.ts"
import { textTable } from "./textTable.ts"

const RATE_HZ = 100
const WARM_UP_SECONDS = 5
const POINTS = 1500
const WINDOW_MICROS = 600_000_000
const TAIL_POINTS = 10
const TAIL_MICROS = 4_000_000
/** Between two looks at all of it. */
const TAILS = 40
/** A page asks at most four times a second. */
const BETWEEN_REQUESTS = "250 millis"
const LOOK_INTERVAL = "100 millis"

const quiet = record({ name: "no page", outputs: ["csv"], flags: [] })
const withPages = (port: number) => record({ name: "three pages", outputs: ["csv"], flags: ["--view", String(port)] })

const freePort = Effect.callback<number>((resume) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** The stream of states, which is read or not. */
const listen = (url: string, reads: boolean): Effect.Effect<never> =>
  Effect.callback<never>(() => {
    const request = http.get(new URL("/live", url), { agent: false }, (response) => {
      response.on("error", () => {})
      if (reads) response.resume()
      else response.pause()
    }).on("error", () => {})
    return Effect.sync(() => request.destroy())
  })

/** Asks for all that it shows now and then, and for what is new in between, as long as there is somebody who answers. */
const follow = (url: string): Effect.Effect<never> =>
  Effect.gen(function*() {
    const { series, until } = json(yield* ask(url, "/api/view"))
    if (until === null) return
    const ids = series.map(({ id }: { readonly id: number }) => id).join(",")
    const range = (until: number, micros: number, points: number) =>
      ask(url, `/api/range?from=${until - micros}&until=${until}&points=${points}&series=${ids}`)
    yield* range(until, WINDOW_MICROS, POINTS)
    for (let n = 0; n < TAILS; n++) {
      yield* Effect.sleep(BETWEEN_REQUESTS)
      const { until } = json(yield* ask(url, "/api/view"))
      yield* range(until, TAIL_MICROS, TAIL_POINTS)
    }
  }).pipe(Effect.ignoreCause, Effect.andThen(Effect.sleep(BETWEEN_REQUESTS)), Effect.forever)

const pages = Effect.fnUntraced(function*(url: string) {
  yield* Effect.repeat(Effect.delay(Effect.exit(ask(url, "/api/view")), LOOK_INTERVAL), {
    until: ({ _tag }) => _tag === "Success"
  })
  return yield* Effect.all([listen(url, true), follow(url), listen(url, true), follow(url), listen(url, false)], {
    concurrency: "unbounded",
    discard: true
  }).pipe(Effect.andThen(Effect.never))
})

const measure = Effect.fnUntraced(
  function*(devices: ReadonlyArray<SimulatedDevice>, seconds: number, hasPages: boolean) {
    const port = yield* freePort
    const { recorded } = yield* measureRecording(
      hasPages ? withPages(port) : quiet,
      { seconds, warmUpSeconds: WARM_UP_SECONDS },
      { devices, transport: "tty", rateHz: RATE_HZ }
    ).pipe(Effect.raceFirst(hasPages ? pages(`http://127.0.0.1:${port}/`) : Effect.never))
    return recorded
  }
)

/** What is resident, in MiB, at the end of each minute. */
const memory = Effect.fnUntraced(function*(devices: ReadonlyArray<SimulatedDevice>, minutes: number) {
  const files = yield* FileSystem.FileSystem
  const csv = `${yield* files.makeTempDirectoryScoped({ prefix: "bench-" })}/run.csv`
  const port = yield* freePort
  const slots = (60 * minutes + 5) * RATE_HZ
  const running = yield* startNode(withPages(port).args({ csv, devices, slots, transport: "tty", rateHz: RATE_HZ }))
  const resident: Array<number> = []
  const look = Effect.gen(function*() {
    for (let minute = 1; minute <= minutes; minute++) {
      yield* Effect.sleep("1 minute")
      resident.push(usageOf(running.pid).residentMiB)
      yield* Console.error(`minute ${minute}: ${resident.at(-1)!.toFixed(0)} MiB`)
    }
  })
  yield* Effect.raceFirst(look, pages(`http://127.0.0.1:${port}/`))
  yield* running.end
  return resident
}, Effect.scoped)

const rowOf = (name: string, rounds: ReadonlyArray<Recorded>): ReadonlyArray<string> => {
  const of = (figure: (recorded: Recorded) => number | null, digits: number) => {
    const values = rounds.map((recorded) => figure(recorded) ?? Number.NaN)
    return `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${
      Math.max(...values).toFixed(digits)
    })`
  }
  return [
    name,
    of(({ lateTicks }) => lateTicks, 0),
    of(({ p50Ms }) => p50Ms, 2),
    of(({ p99Ms }) => p99Ms, 2),
    of(({ cpuPercent }) => cpuPercent, 1),
    of(({ residentMiB }) => residentMiB, 0)
  ]
}

const program = Command.make(
  "pages",
  {
    rounds: Flag.Int("rounds").pipe(Flag.withDescription("Pairs of recordings"), Flag.withDefault(4)),
    seconds: Flag.Int("seconds").pipe(Flag.withDescription("How long each is measured"), Flag.withDefault(20)),
    minutes: Flag.Int("minutes").pipe(
      Flag.withDescription("How long the recording is whose memory is measured; 0: none"),
      Flag.withDefault(0)
    )
  },
  Effect.fnUntraced(function*({ minutes, rounds, seconds }) {
    const devices = yield* simulate("tty")
    const without: Array<Recorded> = []
    const beside: Array<Recorded> = []
    for (let round = 1; round <= rounds; round++) {
      for (const hasPages of round % 2 === 1 ? [false, true] : [true, false]) {
        yield* Console.error(`round ${round} of ${rounds}, ${hasPages ? "three pages" : "no page"}`)
        const recorded = yield* measure(devices, seconds, hasPages)
        ;(hasPages ? beside : without).push(recorded)
      }
    }
    const head = ["ttys, 100 Hz", "late ticks", "lateness p50, ms", "p99, ms", "CPU, % of a core", "resident, MiB"]
    yield* Console.log(textTable([head, rowOf("no page", without), rowOf("three pages", beside)], 1))
    if (minutes > 0) {
      const resident = yield* memory(devices, minutes)
      yield* Console.log(`resident each minute, MiB: ${resident.map((mebibytes) => mebibytes.toFixed(0)).join(" ")}`)
    }
  }, Effect.scoped)
).pipe(Command.withDescription("What open pages cost a recording"))

Command.run(program, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
