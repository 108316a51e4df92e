/**
 * Measures one recording of a program: what its process uses while it records, and how late it is.
 */
import { Deferred, Effect, FileSystem } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import type { PollerSummary } from "./poller.ts"
import { canMeasureProcesses, type ProcessUsage, usageOf } from "./processUsage.ts"
import type { Job, Program } from "./programs.ts"
import { type Account, latenessMs, readRows } from "./recordedRows.ts"

/** The figures of one recording. Those of the process are null where the system does not tell them. */
export interface Recorded {
  /** Of one core, all threads. */
  readonly cpuPercent: number | null
  /** Voluntary context switches a second, all threads. */
  readonly switchesPerSecond: number | null
  /** At the end. */
  readonly residentMiB: number | null
  readonly highestResidentMiB: number | null
  /** In the whole recording. */
  readonly lateTicks: number
  /** From the slot to the request, of all devices. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** From the start of the process to the first reply that is in the file. */
  readonly firstSampleSeconds: number
}

export interface Timing {
  readonly seconds: number
  /** From the first rows to the first reading of what the process has used. Until then, its code is being compiled. */
  readonly warmUpSeconds: number
}

/** The first rows are in the file a second after their reply, and readings are late on a busy machine. */
const MARGIN_SECONDS = 2

/** A recording with fewer ticks costs less. More late ticks than this share make figures that cannot be compared. */
const MOST_LATE = 0.02

/** The summary of the command or of the plain poller. */
interface Summary extends PollerSummary {
  readonly sinks?: ReadonlyArray<{ readonly target: string; readonly rows: number }>
}

const nowMicros = Effect.sync(() => (performance.timeOrigin + performance.now()) * 1000)

/** Records once. Gives the figures, and an account of the rows. */
export const measureRecording = Effect.fnUntraced(function*(
  program: Program,
  { seconds, warmUpSeconds }: Timing,
  site: Pick<Job, "devices" | "transport" | "rateHz">
) {
  const files = yield* FileSystem.FileSystem
  const folder = yield* files.makeTempDirectoryScoped({ prefix: "bench-" })
  const csv = `${folder}/run.csv`
  const slots = Math.round((warmUpSeconds + seconds + MARGIN_SECONDS) * site.rateHz)

  const startedAt = yield* nowMicros
  const running = yield* startNode(program.args({ ...site, slots, csv }))
  const steady = Effect.gen(function*() {
    yield* hasRows(csv)
    yield* Effect.sleep(warmUpSeconds * 1000)
    const before = yield* reading(running.pid)
    yield* Effect.sleep(seconds * 1000)
    const after = yield* reading(running.pid)
    return { before, after }
  })
  const { after, before } = yield* Effect.raceFirst(steady, Effect.andThen(running.end, Effect.never))
  const summary: Summary = JSON.parse(yield* running.end)
  if (summary.samplesLate > MOST_LATE * slots) {
    yield* Effect.logWarning(
      `${summary.samplesLate} of ${slots} ticks were late: the machine is busy, do not trust this round`
    )
  }
  return yield* Effect.sync(() => {
    const rows = readRows(csv)
    for (const sink of summary.sinks ?? []) {
      if (sink.rows !== rows.rows) throw new Error(`${sink.target} has ${sink.rows} rows, and the CSV ${rows.rows}`)
    }
    const failures = Object.values(summary.failures).reduce((sum, count) => sum + count, 0)
    const account: Account = { rows, lost: summary.samplesLate * site.devices.length + failures }
    const measured = rows.requestedAt.filter((at) => at >= before.at && at < after.at)
    const lateness = latenessMs(measured, 1_000_000 / site.rateHz).toSorted((a, b) => a - b)
    const percentile = (share: number) => lateness[Math.min(lateness.length - 1, Math.floor(share * lateness.length))]!
    const recorded: Recorded = {
      ...usedBetween(before, after),
      lateTicks: summary.samplesLate,
      p50Ms: percentile(0.5),
      p99Ms: percentile(0.99),
      maxMs: percentile(1),
      firstSampleSeconds: (Math.min(...rows.receivedAt.slice(0, site.devices.length)) - startedAt) / 1_000_000
    }
    return { recorded, account }
  })
}, Effect.scoped)

interface Reading {
  /** Microseconds since the epoch. */
  readonly at: number
  readonly usage: ProcessUsage | null
}

const reading = (pid: number): Effect.Effect<Reading> =>
  Effect.map(nowMicros, (at) => ({ at, usage: canMeasureProcesses ? usageOf(pid) : null }))

const usedBetween = (before: Reading, after: Reading) => {
  if (before.usage === null || after.usage === null) {
    return { cpuPercent: null, switchesPerSecond: null, residentMiB: null, highestResidentMiB: null }
  }
  const seconds = (after.at - before.at) / 1_000_000
  return {
    cpuPercent: 100 * (after.usage.cpuSeconds - before.usage.cpuSeconds) / seconds,
    switchesPerSecond: (after.usage.switches - before.usage.switches) / seconds,
    residentMiB: after.usage.residentMiB,
    highestResidentMiB: after.usage.highestResidentMiB
  }
}

/** Starts a program. `end` gives what it printed, and dies unless it ended well. The scope kills it. */
export const startNode = Effect.fnUntraced(function*(args: ReadonlyArray<string>, env = process.env) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], env })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const text = { stdout: "", stderr: "" }
  child.stdout.on("data", (chunk: Buffer) => text.stdout += chunk.toString())
  child.stderr.on("data", (chunk: Buffer) => text.stderr += chunk.toString())
  const closed = yield* Deferred.make<string>()
  child.on("close", (code) => {
    const end = code === 0
      ? Effect.succeed(text.stdout)
      : Effect.die(new Error(`it ended with ${code}:\n${text.stderr}`))
    Deferred.doneUnsafe(closed, end)
  })
  return { pid: child.pid!, end: Deferred.await(closed) }
})

/** Returns when there are rows in the file. A file tells of its growth only to who asks. */
const hasRows = (file: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0
    return size > 0 ? Effect.void : Effect.andThen(Effect.sleep(10), hasRows(file))
  })
