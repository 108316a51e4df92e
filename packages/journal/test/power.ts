/**
 * One recording whose disk loses power, perhaps once more while it is resumed. What its outputs then hold is compared with what was
 * accepted before.
 */
import { Cause, Effect, Exit, Logger, Random } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Journal } from "../src/index.ts"
import { problemsOf, readAll } from "./crash.ts"
import { journalIn, layerOf, type Outputs } from "./outputs.ts"
import * as PowerDisk from "./powerDisk.ts"
import type { Job } from "./recorder.ts"

const RECORDER = fileURLToPath(new URL("recorder.ts", import.meta.url))

/** When the power goes. */
type Moment =
  /** So long after the journal's folder is there. */
  | { readonly made: number }
  /** So long after the first sample was accepted, or after it would be if nothing is recorded. */
  | { readonly begun: number }

export interface PowerCut {
  readonly moment: Moment
  /** The length of the recording, in seconds; null: it does not end by itself. */
  readonly seconds: number | null
  /** So many milliseconds after a resume has begun, there is another cut; null: there is none. */
  readonly resumed: number | null
  /** The share of the sectors in the disk's cache that reach the medium. */
  readonly kept: number
  readonly maxBytes: number
  readonly seed: number
}

/** Four segments, each of about two seconds. */
const SMALL = 600_000
const LARGE = 10 * 2 ** 30

/** A cut that the random numbers choose. */
export const randomCut: Effect.Effect<PowerCut> = Effect.gen(function*() {
  const oneOf = <A>(choices: ReadonlyArray<A>) =>
    Effect.map(Random.nextIntBetween(0, choices.length, { halfOpen: true }), (n) => choices[n]!)
  const seconds = yield* Random.nextBetween(0.5, 2.5)
  const when = yield* oneOf<Pick<PowerCut, "moment" | "seconds">>([
    { moment: { made: yield* Random.nextBetween(0, 300) }, seconds: null },
    { moment: { begun: yield* Random.nextBetween(0, 7000) }, seconds: null },
    { moment: { begun: yield* Random.nextBetween(1000, 4000) }, seconds: null },
    { moment: { begun: seconds * 1000 + (yield* Random.nextBetween(-100, 400)) }, seconds }
  ])
  return {
    ...when,
    resumed: (yield* oneOf([true, false])) ? yield* Random.nextBetween(300, 2000) : null,
    kept: yield* oneOf([0, 0, 0.5, 1]),
    maxBytes: yield* oneOf([SMALL, LARGE]),
    seed: yield* Random.nextInt
  }
})

export const describeCut = ({ kept, moment, resumed, seconds }: PowerCut): string =>
  [
    "made" in moment
      ? `${Math.round(moment.made)} ms after the journal was made`
      : `${Math.round(moment.begun)} ms after the first sample`,
    ...(seconds === null ? [] : [`recorded for ${seconds.toFixed(2)} s`]),
    ...(resumed === null ? [] : [`and ${Math.round(resumed)} ms after a resume began`]),
    `${kept * 100} % of the disk's cache kept`
  ].join(", ")

/** How many samples were accepted, and when this was told, in milliseconds. */
interface Report {
  readonly accepted: number
  readonly at: number
}

/** Runs a recorder on a disk until its power goes, and writes what the disk then holds to `left`. Both processes end. */
const runUntilCut = Effect.fnUntraced(
  function*(
    place: { readonly folder: string; readonly image: string; readonly left: string },
    job: Omit<Job, "folder">,
    { kept, moment, seed }: Pick<PowerCut, "kept" | "moment" | "seed">
  ) {
    const mount = path.join(place.folder, "mount")
    const disk = yield* mountDisk(place.folder, place.image, mount)
    const hasJournal = fs.existsSync(journalIn(mount))
    const recorder = yield* startRecorder({ ...job, folder: mount })
    const reports = recorder.reports
    if ("made" in moment) yield* waitUntil(() => fs.existsSync(journalIn(mount)) || recorder.hasEnded())
    else if (job.does === "record") yield* waitUntil(() => reports.length > 0 || recorder.hasEnded())
    yield* Effect.sleep("made" in moment ? moment.made : moment.begun)
    const cutAt = performance.now()
    const before = [...reports]
    const failure = recorder.failure()
    yield* disk.cut(place.left, seed, kept)
    return { cutAt, reports: before, failure: job.does === "resume" && !hasJournal ? null : failure }
  },
  Effect.scoped
)

const mountDisk = Effect.fnUntraced(function*(folder: string, image: string, mount: string) {
  const file = path.join(folder, "disk")
  fs.writeFileSync(file, "")
  const disk = yield* PowerDisk.make(image, file)
  yield* mounted(file, mount)
  return disk
})

/** Mounts an image. The scope unmounts it. */
export const mounted = (image: string, at: string) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      fs.mkdirSync(at, { recursive: true })
      return PowerDisk.run("mount", "-o", "loop", image, at)
    }),
    // A process that was killed may hold it for a moment.
    () => PowerDisk.run("umount", "--lazy", at)
  )

/** The scope kills it. */
const startRecorder = (job: Job) => {
  const reports: Array<Report> = []
  let errors = ""
  let ended: number | null | undefined
  return Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [RECORDER, JSON.stringify(job)], { stdio: ["ignore", "pipe", "pipe"] })
      child.stdout.on("data", (data) => {
        const accepted = Number(String(data).split("\n").at(-2) ?? Number.NaN)
        if (!Number.isNaN(accepted)) reports.push({ accepted, at: performance.now() })
      })
      child.stderr.on("data", (data) => errors += data)
      child.on("close", (code) => ended = code)
      return { child, reports, hasEnded: () => ended !== undefined, failure: () => ended === 1 ? errors : null }
    }),
    ({ child }) =>
      Effect.callback<void>((resume) => {
        if (ended !== undefined) return resume(Effect.void)
        child.once("close", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )
}

/** A mounted disk tells nobody of a new folder, so it is looked at. */
const waitUntil = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => condition() ? Effect.void : Effect.andThen(Effect.sleep(2), waitUntil(condition)))

interface Result {
  readonly accepted: number
  /** How long before the cut the first sample was accepted that is lost, in milliseconds; 0 if none is. */
  readonly lostMillis: number
  readonly problems: ReadonlyArray<string>
}

/** What may be lost: what was accepted so many milliseconds before the cut. A busy machine forces less often to disk than it should. */
const MAY_LOSE = { always: 0, interval: 1500, never: Infinity }

/** Records, cuts, perhaps resumes and cuts again, resumes, and looks. */
export const cutPower = Effect.fnUntraced(function*(
  folder: string,
  image: string,
  cut: PowerCut,
  { fsync, module, outputs }: {
    readonly fsync: keyof typeof MAY_LOSE
    readonly module: string
    readonly outputs: Outputs
  }
) {
  const job = { module, names: Object.keys(outputs), maxBytes: cut.maxBytes, fsync }
  const left = path.join(folder, "left.image")
  const first = yield* runUntilCut(
    { folder, image, left },
    { ...job, does: "record", ...(cut.seconds === null ? {} : { seconds: cut.seconds }) },
    cut
  )
  const accepted = first.reports.at(-1)?.accepted ?? 0
  const safe = first.reports.findLast(({ at }) => at <= first.cutAt - MAY_LOSE[fsync])?.accepted ?? 0
  const found = (survivors: number, problems: ReadonlyArray<string>): Result => {
    const firstLost = first.reports.find(({ accepted }) => accepted > survivors)
    return { accepted, lostMillis: firstLost === undefined ? 0 : first.cutAt - firstLost.at, problems }
  }
  const nothingLeft = found(0, [])
  const refuse = (problem: string): Result => ({ ...nothingLeft, problems: [problem] })
  if (first.failure !== null) return refuse(`the recorder failed: ${first.failure}`)
  if (cut.resumed !== null) {
    const moment = { begun: cut.resumed }
    const second = yield* runUntilCut({ folder, image: left, left }, { ...job, does: "resume" }, { ...cut, moment })
    if (second.failure !== null && !isMissing(second.failure, safe)) return refuse(`a resume failed: ${second.failure}`)
  }
  return yield* Effect.scoped(Effect.gen(function*() {
    // An output is known by its path.
    const mount = path.join(folder, "mount")
    yield* mounted(left, mount)
    const journal = journalIn(mount)
    const told: Array<string> = []
    if (fs.existsSync(journal)) {
      const exit = yield* Journal.resume({ path: journal }).pipe(
        Effect.provide(layerOf(outputs, mount, "append")),
        Effect.exit,
        Effect.provide(Logger.layer([Logger.make(({ message }) => told.push(String(message)))]))
      )
      if (Exit.isFailure(exit)) {
        if (isMissing(String(exit.cause), safe)) return nothingLeft
        return refuse(`the resume failed: ${String(exit.cause)}`)
      }
    } else if (safe === 0 && !fs.existsSync(path.join(mount, "run.csv"))) return nothingLeft
    const read = yield* Effect.exit(readAll(outputs, mount))
    // Outputs that got no sample may not be there.
    if (Exit.isFailure(read)) return safe === 0 ? nothingLeft : refuse(`unreadable: ${Cause.pretty(read.cause)}`)
    const contents = read.value
    const problems = contents.flatMap(({ content, name }) => problemsOf(name, content, safe))
    // An append that the cut has torn is told as damage. It was not accepted, or its samples would be missed here.
    const alarms = told.filter((message) => /lost|no longer has/.test(message) && !message.includes("-wal is damaged"))
    if (fsync === "always") problems.push(...alarms)
    return found(Math.min(...contents.map(({ content }) => content.samples.length)), problems)
  }))
})

/** A journal that has accepted nothing for sure may not be there. */
const isMissing = (failure: string, safe: number): boolean => safe === 0 && failure.includes("there is no journal")
