/**
 * What an append to the journal takes: one tick of ten samples at a time, at 100 Hz, beside a bare `node:sqlite` loop that inserts as many
 * bytes as one row of one transaction. They take turns.
 *
 *     npm run bench:journal -- --seconds 30 --json
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { FrameFormat, makeFrame, type Run, Sample } from "@sampleline/core"
import { Array, Clock, Console, Duration, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as Store from "../../journal/src/Store.ts"
import { textTable } from "./textTable.ts"
import { warningsOnStderr } from "./warningsOnStderr.ts"

const PERIOD = "10 millis"
const DEVICES = 10

const format = FrameFormat.make([
  ...["Pressure", "Temperature", "Volumetric_Flow", "Mass_Flow", "Setpoint", "Totalizer"].map((name) => ({ name })),
  { name: "Gas", kind: "text" }
])
const run: Run = { id: "run", startedAt: 0, devices: [] }

const tickOf = (index: number): Array.NonEmptyReadonlyArray<Sample> =>
  Array.makeBy(DEVICES, (n) =>
    new Sample({
      run,
      device: `device${n}`,
      unitId: "A",
      sequence: index * DEVICES + n,
      tick: index,
      requestedAt: 1_772_366_400_000_000 + index * 10_000,
      receivedAt: 1_772_366_400_005_000 + index * 10_000,
      requestedMonotonicNanos: index * 1e7,
      receivedMonotonicNanos: index * 1e7 + 5e6,
      frame: makeFrame(format, [14.7 + n / 8, 25.25, index / 16, index / 32, 5, index, "N2"])
    }))

/** About as many bytes as the journal stores for a tick. */
const BYTES = new Uint8Array(1_300).fill(7)

/** A database as the journal's, without the journal. */
const bareLoop = (file: string) => {
  const database = new DatabaseSync(file)
  database.exec("PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
  database.exec("PRAGMA wal_autocheckpoint = 250; CREATE TABLE appends (first INTEGER PRIMARY KEY, data BLOB)")
  const insert = database.prepare("INSERT INTO appends VALUES (?, ?)")
  return {
    append: (index: number) => {
      database.exec("BEGIN IMMEDIATE")
      insert.run(index, BYTES)
      database.exec("COMMIT")
    },
    close: () => database.close()
  }
}

interface Measured {
  readonly what: string
  readonly appends: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly p999Micros: number
  readonly maxMicros: number
}

const measuredOf = (what: string, nanos: ReadonlyArray<number>): Measured => {
  const sorted = nanos.toSorted((a, b) => a - b)
  const at = (part: number) =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0) / 1000)
  return {
    what,
    appends: nanos.length,
    p50Micros: at(0.5),
    p99Micros: at(0.99),
    p999Micros: at(0.999),
    maxMicros: at(1)
  }
}

const measure = Effect.fnUntraced(function*(seconds: number) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "bench-journal-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  )
  const store = yield* Store.create({
    path: path.join(folder, "run.journal"),
    fsync: "interval",
    segmentBytes: 1 << 24,
    maxBytes: 1 << 30,
    whenFull: "stop",
    diskWait: Duration.seconds(10)
  }, { id: "bench", settings: null })
  const bare = yield* Effect.acquireRelease(
    Effect.sync(() => bareLoop(path.join(folder, "bare.db"))),
    (bare) => Effect.sync(() => bare.close())
  )
  const times = { journal: [] as Array<number>, bare: [] as Array<number> }
  const clock = yield* Clock.Clock
  const ticks = Math.round(seconds * 100)
  for (let index = 0; index < ticks; index++) {
    yield* Effect.sleep(PERIOD)
    const tick = tickOf(index)
    const start = clock.monotonicTimeNanosUnsafe()
    yield* store.append(tick)
    const middle = clock.monotonicTimeNanosUnsafe()
    bare.append(index)
    const end = clock.monotonicTimeNanosUnsafe()
    times.journal.push(Number(middle - start))
    times.bare.push(Number(end - middle))
  }
  return [measuredOf("journal", times.journal), measuredOf("node:sqlite", times.bare)]
}, Effect.scoped)

const tableOf = (rows: ReadonlyArray<Measured>): string =>
  textTable([
    ["appends at 100 Hz", "appends", "p50 us", "p99 us", "p99.9 us", "max us"],
    ...rows.map(({ appends, maxMicros, p50Micros, p999Micros, p99Micros, what }) => [
      what,
      ...[appends, p50Micros, p99Micros, p999Micros, maxMicros].map(String)
    ])
  ], 1)

const journal = Command.make("bench:journal", {
  seconds: Flag.Int("seconds").pipe(
    Flag.filter((value) => value > 0, (value) => `a whole number above 0, not ${value}`),
    Flag.withDescription("How long to append (default: 30)"),
    Flag.withDefault(30)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the figures as one JSON array"),
    Flag.withDefault(false)
  )
}, ({ json, seconds }) =>
  Effect.gen(function*() {
    const rows = yield* measure(seconds)
    yield* Console.log(json ? JSON.stringify(rows) : tableOf(rows))
  }).pipe(Effect.provide(warningsOnStderr))).pipe(
    Command.withDescription("Measure what an append to the journal takes on this machine")
  )

Command.run(journal, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
