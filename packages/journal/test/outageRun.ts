/**
 * One outage: the same recording twice, side by side, once with the outage and once without. What was measured is compared with
 * the bounds.
 */
import { Clock, Duration, Effect, Option, Schedule } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { eventsBeside } from "../../sinks/test/events.ts"
import { waitFor } from "../../sinks/test/postgres.ts"
import { problemsOf } from "./crash.ts"
import { outputs } from "./outageOutputs.ts"
import { disturbedIn, FLUSH_SECONDS, ROWS_PER_SECOND } from "./outageRecorder.ts"
import type { Outage, Recording, Target } from "./outages.ts"
import { type Content, journalIn } from "./outputs.ts"
import { broughtBack, startRecorder, type WatchedRecorder } from "./watchedRecorder.ts"

/** Before the outage. */
const WARM_UP = "30 seconds"
/** More late ticks than the undisturbed recording has. */
const MORE_LATE_TICKS = 2
/** More growth than that of the undisturbed recording. A young process grows anyway. */
const MORE_MEMORY_MIB = 10
/** The longest pause between two tries, and as long again for the backlog. */
const CATCH_UP_SECONDS = 20
/** `stopTimeout`, twice that for what cannot be interrupted, and the time-out of a Postgres that is closed. */
const END_SECONDS = 20

/** The largest figures of a recording during an outage. */
interface Most {
  /** How old the last row of the CSV was. */
  readonly csvBehindSeconds: number
  /** How many samples and events the disturbed output lacked. */
  readonly behind: number
  readonly journalMiB: number
}

export interface Measured extends Most {
  readonly accepted: number
  /** Rows, in all outputs. */
  readonly missingOrTwice: number
  readonly lateTicks: number
  readonly undisturbedLateTicks: number
  /** What it grew by in the outage, or how much more than the undisturbed recording if that is less. */
  readonly memoryMiB: number
  /** From the end of the outage until the output was up to date, or from the signal to the end. Null if that took too long. */
  readonly seconds: number | null
  /** What is wrong; empty if nothing is. */
  readonly problems: ReadonlyArray<string>
}

export const runOutage = Effect.fnUntraced(function*(outage: Outage) {
  const target = yield* outage.target
  const otherTarget = yield* outage.undisturbed ?? outage.target
  const recorder = yield* recordTo(target, outage)
  const undisturbed = yield* recordTo(otherTarget, outage)
  yield* waitFor(Effect.sync(() => [recorder, undisturbed].every(({ state }) => state().accepted > 0)))
  yield* Effect.sleep(WARM_UP)

  const growths = [recorder, undisturbed].map(growthOf)
  const lasting = Effect.map(Effect.sleep(Duration.seconds(outage.seconds)), () => {
    const [grown = 0, otherwise = 0] = growths.map((growth) => growth())
    return Math.min(grown, grown - otherwise)
  })
  const inOutage = <A>(use: Effect.Effect<A>) => Effect.scoped(Effect.andThen(target.fault(recorder), use))
  const end = Effect.andThen(recorder.signal(outage.signal ?? "SIGTERM"), undisturbed.signal("SIGTERM"))
  const figures = outage.signal === undefined
    ? yield* Effect.tap(catchingUp(outage, recorder, inOutage(lasting)), end)
    : yield* inOutage(endedIn(recorder, lasting, end))

  const errors = yield* broughtBack(recorder)
  const otherErrors = yield* broughtBack(undisturbed)
  const { accepted } = recorder.state()
  // The CSV is complete before what others lack is resumed.
  const csv = { name: "the CSV", content: yield* outputs.csv.read(recorder.folder) }
  const problems = outage.signal === undefined ? wentOn(outage, recorder, errors) : yield* resumed(recorder, errors)
  const contents = [csv, ...(yield* target.contents(recorder.folder))]
  const measured = {
    ...figures,
    accepted,
    missingOrTwice: contents.reduce((sum, { content }) => sum + missingOrTwiceIn(content, accepted), 0),
    lateTicks: lateTicksOf(recorder),
    undisturbedLateTicks: lateTicksOf(undisturbed)
  }
  const all = [
    ...problems,
    ...brokenBounds(outage, measured),
    ...contents.flatMap(({ content, name }) => problemsOf(name, content, accepted)),
    ...(otherErrors === "" ? [] : [`the undisturbed recording: ${otherErrors}`]),
    ...(fs.existsSync(journalIn(recorder.folder)) ? ["the journal is still there"] : [])
  ]
  return { ...measured, problems: all } satisfies Measured
}, Effect.scoped)

/** How much the memory of a recorder grows from now on. */
const growthOf = (recorder: WatchedRecorder) => {
  const before = recorder.state().residentMiB
  return () => recorder.state().residentMiB - before
}

/** Starts a recorder in a folder of its own. */
const recordTo = Effect.fnUntraced(function*({ environment, outputs }: Target, { smallDisk }: Outage) {
  const parent = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "outage-"))),
    (parent) => Effect.sync(() => fs.rmSync(parent, { recursive: true }))
  )
  const folder = path.join(parent, "run")
  fs.mkdirSync(disturbedIn(folder), { recursive: true })
  const disk = smallDisk === undefined ? null : smallDisk === "all" ? folder : disturbedIn(folder)
  return yield* startRecorder({ does: "record", folder, outputs, disk }, environment)
})

/** An outage, and the time until the outputs are up to date. */
const catchingUp = Effect.fnUntraced(function*(
  { fails = true }: Outage,
  recorder: WatchedRecorder,
  outage: Effect.Effect<number>
) {
  // A slow output lacks what has come while it worked on the last batch, and on the one before.
  const fewRows = ROWS_PER_SECOND * (fails ? FLUSH_SECONDS : 3)
  const isUpToDate = Effect.sync(() => recorder.state().behind <= fewRows)
  const { most, result } = yield* watched(
    recorder,
    Effect.all({ memoryMiB: outage, seconds: secondsOf(waitFor(isUpToDate), CATCH_UP_SECONDS) })
  )
  return { ...most, ...result }
})

/** The time of an outage, and the end of the recording in it. */
const endedIn = Effect.fnUntraced(function*(
  recorder: WatchedRecorder,
  lasting: Effect.Effect<number>,
  end: Effect.Effect<void>
) {
  const { most, result } = yield* watched(recorder, lasting)
  yield* end
  return { ...most, memoryMiB: result, seconds: yield* secondsOf(recorder.ended, END_SECONDS) }
})

/** Looks at a recorder ten times a second while an effect runs. */
const watched = <A>({ folder, seen, state }: WatchedRecorder, use: Effect.Effect<A>) => {
  let most: Most = { csvBehindSeconds: 0, behind: 0, journalMiB: 0 }
  const look = Effect.map(Clock.currentTimeMillis, (now) => {
    most = {
      csvBehindSeconds: Math.max(most.csvBehindSeconds, ageOf(seen(path.join(folder, "run.csv")), now)),
      behind: Math.max(most.behind, state().behind),
      journalMiB: Math.max(most.journalMiB, bytesIn(seen(journalIn(folder))) / 2 ** 20)
    }
  })
  return Effect.raceFirst(use, Effect.andThen(Effect.repeat(look, Schedule.spaced("100 millis")), Effect.never)).pipe(
    Effect.map((result) => ({ most, result }))
  )
}

/** How long something takes; null if it takes longer than a bound. */
const secondsOf = (wait: Effect.Effect<unknown>, bound: number) =>
  Effect.map(
    Effect.timeoutOption(Effect.timed(wait), Duration.seconds(bound)),
    Option.match({ onNone: () => null, onSome: ([duration]) => Duration.toSeconds(duration) })
  )

/** How old the last row of a CSV is, in seconds. */
const ageOf = (csv: string, epochMillis: number): number => {
  const bytes = Buffer.alloc(1 << 10)
  const fd = fs.openSync(csv, "r")
  const length = fs.readSync(fd, bytes, 0, bytes.length, Math.max(0, fs.fstatSync(fd).size - bytes.length))
  fs.closeSync(fd)
  const [, , requestedAt = ""] = bytes.toString("utf8", 0, length).split("\n").at(-2)!.split(",")
  return (epochMillis - Date.parse(requestedAt)) / 1000
}

const bytesIn = (folder: string): number =>
  fs.readdirSync(folder).reduce(
    (sum, name) => sum + (fs.statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0
  )

const eventsOf = ({ folder }: Recording) => eventsBeside(path.join(folder, "run.csv"))

/** Ticks without samples, as the recording itself tells them. */
const lateTicksOf = (recording: Recording): number => {
  const data = eventsOf(recording).findLast(({ event }) => event === "RunEnded")?.data
  return Number(data?.["ticks_skipped"]) + Number(data?.["ticks_dropped"])
}

const missingOrTwiceIn = ({ samples }: Content, accepted: number): number => {
  const distinct = new Set(samples.map(({ sequence }) => sequence))
  return Math.abs(accepted - distinct.size) + samples.length - distinct.size
}

/** Where the journal is on the full disk, ticks must wait. */
const brokenBounds = (
  { signal, smallDisk }: Outage,
  { csvBehindSeconds, lateTicks, memoryMiB, seconds, undisturbedLateTicks }: Omit<Measured, "problems">
): ReadonlyArray<string> => {
  const broken: ReadonlyArray<readonly [boolean, string]> = [
    [
      smallDisk !== "all" && lateTicks > undisturbedLateTicks + MORE_LATE_TICKS,
      `${lateTicks} ticks were late, and ${undisturbedLateTicks} of the undisturbed recording`
    ],
    [smallDisk !== "all" && csvBehindSeconds > FLUSH_SECONDS, `the CSV was ${csvBehindSeconds.toFixed(2)} s behind`],
    [memoryMiB > MORE_MEMORY_MIB, `the memory grew by ${memoryMiB.toFixed(1)} MiB`],
    [
      seconds === null,
      signal === undefined
        ? `the outputs were not up to date after ${CATCH_UP_SECONDS} s`
        : `the recording did not end in ${END_SECONDS} s`
    ]
  ]
  return broken.filter(([isBroken]) => isBroken).map(([, problem]) => problem)
}

/** What is wrong with a recording that had to go on. */
const wentOn = ({ fails = true }: Outage, recording: Recording, errors: string): ReadonlyArray<string> => {
  const count = (event: string) => eventsOf(recording).filter((row) => row.event === event).length
  const [failing, back] = [count("OutputFailing"), count("OutputBack")]
  return [
    ...(errors === "" ? [] : [errors]),
    ...(fails && failing === 0 ? ["no output has failed"] : []),
    ...(failing === back ? [] : [`outputs have failed ${failing} times, and were back ${back} times`])
  ]
}

/** Resumes a recording that had to leave samples in its journal. Gives what is wrong. */
const resumed = Effect.fnUntraced(function*({ environment, job }: WatchedRecorder, errors: string) {
  const isLeft = fs.existsSync(journalIn(job.folder))
  const resuming = yield* startRecorder({ ...job, does: "resume" }, environment)
  const resumeErrors = yield* resuming.ended
  return [
    ...(isLeft ? [] : ["the journal was gone before the resume"]),
    ...(errors === "" || errors.startsWith("defect") ? [`it should have failed by its type: ${errors}`] : []),
    ...(resumeErrors === "" ? [] : [`the resume failed: ${resumeErrors}`])
  ]
}, Effect.scoped)
