/**
 * One recording that is killed, perhaps once more while it is resumed, and then finished. What its outputs then hold is compared
 * with what was accepted.
 */
import { Effect, Logger, Random } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Journal } from "../src/index.ts"
import * as KillPoints from "./killPoints.ts"
import type { KillAt, KillPoint } from "./killPoints.ts"
import { type Content, journalIn, layerOf, type Outputs } from "./outputs.ts"
import type { Job } from "./recorder.ts"

const RECORDER = fileURLToPath(new URL("recorder.ts", import.meta.url))
const KILL_AT = fileURLToPath(new URL("killAt.ts", import.meta.url))

export const DEFAULT_MODULE = new URL("outputs.ts", import.meta.url).href

/** When a process is killed. */
export type Kill =
  /** From outside, when it has accepted so many samples, or after so many milliseconds. */
  | { readonly accepted: number }
  | { readonly millis: number }
  /** When this is done. */
  | { readonly when: Effect.Effect<void> }
  /** From inside, at a point. */
  | { readonly name: string; readonly point: KillPoint; readonly accepted: number; readonly nth: number }

export interface Crash {
  readonly first: Kill
  /** When the resumes are killed. The last one is not. */
  readonly resumes: ReadonlyArray<Kill>
  readonly maxBytes: number
}

export const describeKill = (kill: Kill): string => {
  if ("name" in kill) return `${kill.name} (call ${kill.nth} after ${kill.accepted} samples)`
  if ("when" in kill) return "at an event"
  return "millis" in kill ? `after ${kill.millis} ms` : `at ${kill.accepted} samples`
}

/** A journal this large holds four segments, each of about a second. */
const SMALL = 250_000
/** This one is not full when the first segments go. */
const MEDIUM = 600_000
const LARGE = 10 * 2 ** 30

/** A crash that the random numbers choose. */
export const randomCrash: Effect.Effect<Crash> = Effect.gen(function*() {
  const between = (min: number, max: number) => Random.nextIntBetween(min, max, { halfOpen: true })
  const pointOf = Effect.fnUntraced(function*(points: { readonly [name: string]: KillPoint }, accepted: number) {
    const names = Object.keys(points)
    const name = names[yield* between(0, names.length)]!
    return { name, point: points[name]!, accepted, nth: yield* between(1, 4) }
  })
  const accepted = yield* between(50, 1200)
  const kinds: ReadonlyArray<Effect.Effect<Pick<Crash, "first" | "maxBytes">>> = [
    Effect.succeed({ first: { accepted }, maxBytes: LARGE }),
    Effect.succeed({ first: { accepted }, maxBytes: SMALL }),
    Effect.map(pointOf(KillPoints.writing, accepted), (first) => ({ first, maxBytes: LARGE })),
    Effect.map(pointOf(KillPoints.writing, accepted), (first) => ({ first, maxBytes: SMALL })),
    Effect.map(pointOf(KillPoints.appending, accepted), (first) => ({ first, maxBytes: SMALL })),
    Effect.map(pointOf(KillPoints.rotating, 50), (first) => ({ first: { ...first, nth: 1 }, maxBytes: SMALL })),
    Effect.map(pointOf(KillPoints.forgetting, 50), (first) => ({ first, maxBytes: MEDIUM }))
  ]
  const chosen = yield* kinds[yield* between(0, kinds.length)]!
  const resumes: Array<Kill> = []
  while (resumes.length < 3 && (yield* Random.nextBoolean)) {
    resumes.push(
      (yield* Random.nextBoolean)
        ? yield* pointOf({ ...KillPoints.writing, ...KillPoints.finishing }, 0)
        : { millis: yield* between(100, 900) }
    )
  }
  return { ...chosen, resumes }
})

/** What a killed process told. */
interface Killed {
  readonly accepted: number
  /** Whether it ended by itself before, or would not end. */
  readonly hasEnded: boolean
  readonly errors: string
}

/** Runs a recorder until it is killed. */
export const runUntil = (job: Job, kill: Kill): Effect.Effect<Killed> =>
  Effect.callback<Killed>((resume) => {
    const at: KillAt | null = "name" in kill
      ? { ...kill.point, folder: job.folder, accepted: kill.accepted, nth: kill.nth }
      : null
    const child = spawn(
      process.execPath,
      [...(at === null ? [] : ["--import", KILL_AT]), RECORDER, JSON.stringify(job)],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, KILL_AT: JSON.stringify(at) } }
    )
    let text = ""
    let errors = ""
    const accepted = () => Number(text.split("\n").at(-2) ?? 0)
    let isLate = false
    const timer = setTimeout(() => {
      isLate = !("millis" in kill)
      child.kill("SIGKILL")
    }, "millis" in kill ? kill.millis : 30_000)
    child.stdout.on("data", (data) => {
      text += data
      if (!("name" in kill) && "accepted" in kill && accepted() >= kill.accepted) child.kill("SIGKILL")
    })
    child.stderr.on("data", (data) => errors += data)
    const waiting = "when" in kill
      ? Effect.runFork(Effect.tap(kill.when, () => Effect.sync(() => child.kill("SIGKILL"))))
      : null
    child.on("close", (code) => {
      clearTimeout(timer)
      waiting?.interruptUnsafe()
      resume(Effect.succeed({ accepted: accepted(), hasEnded: code !== null || isLate, errors }))
    })
  })

interface Result {
  readonly accepted: number
  /** What is wrong; empty if nothing is. */
  readonly problems: ReadonlyArray<string>
}

export const readAll = (outputs: Outputs, folder: string) =>
  Effect.forEach(
    Object.entries(outputs),
    ([name, { read }]) => Effect.map(read(folder), (content) => ({ name, content }))
  )

/** What is wrong with an output. */
export const problemsOf = (name: string, { events, samples }: Content, accepted: number): ReadonlyArray<string> => {
  const sequences = samples.map(({ sequence }) => sequence)
  const distinct = new Set(sequences)
  const lost = Array.from({ length: accepted }, (_, n) => n).filter((n) => !distinct.has(n)).length
  const twice = sequences.length - distinct.size
  const disordered = sequences.filter((sequence, n) => n > 0 && sequence <= sequences[n - 1]!).length
  const gaps = Math.max(-1, ...sequences) + 1 - distinct.size
  const wrong = samples.filter(({ Count, sequence }) => Count !== sequence).length
  const counts = { lost, twice, "out of order": disordered, missing: gaps, wrong }
  const ofTag = (tag: string) => events?.filter((event) => event === tag).length
  return [
    ...Object.entries(counts).filter(([, count]) => count > 0).map(([what, count]) => `${name}: ${count} ${what}`),
    ...["RunStarted", "RunEnded"].filter((tag) => events !== null && ofTag(tag) !== 1).map((tag) =>
      `${name}: ${ofTag(tag)} times ${tag}`
    )
  ]
}

/** Kills, resumes, and looks. The outputs are those of a module, in a folder of their own. */
export const crash = Effect.fnUntraced(function*(
  folder: string,
  { first, maxBytes, resumes }: Crash,
  { module, names, outputs }: {
    readonly module: string
    readonly names: ReadonlyArray<string>
    readonly outputs: Outputs
  }
) {
  const job = { folder, module, names, maxBytes }
  const journal = journalIn(folder)
  const { accepted, errors, hasEnded } = yield* runUntil({ ...job, does: "record" }, first)
  if (hasEnded) return { accepted, problems: [`the recorder was not killed: ${errors}`] }
  for (const kill of resumes) {
    if (!fs.existsSync(journal)) continue
    const resumed = yield* runUntil({ ...job, does: "resume" }, kill)
    if (resumed.errors !== "") return { accepted, problems: [`a resume failed: ${resumed.errors}`] }
  }
  const copy = path.join(folder, "copy.journal")
  const resume = (path: string) =>
    Journal.resume({ path }).pipe(
      Effect.provide(layerOf(outputs, folder, "append")),
      Effect.exit,
      Effect.provide(Logger.layer([logger]))
    )
  const problems: Array<string> = []
  // A crash is no damage.
  const logger = Logger.make(({ message }) => {
    if (/damaged|lost|no longer has/.test(String(message))) problems.push(String(message))
  })
  if (fs.existsSync(journal)) {
    fs.cpSync(journal, copy, { recursive: true })
    const last = yield* resume(journal)
    if (last._tag === "Failure") problems.push(`the last resume failed: ${String(last.cause)}`)
  }
  if (fs.existsSync(journal)) problems.push("the journal is still there")
  const contents = yield* readAll(outputs, folder)
  for (const { content, name } of contents) problems.push(...problemsOf(name, content, accepted))
  if (fs.existsSync(copy)) {
    // An output that is complete may refuse it.
    yield* resume(copy)
    const after = yield* readAll(outputs, folder)
    contents.forEach(({ content, name }, n) => {
      if (content.digest !== after[n]!.content.digest) problems.push(`${name}: a second resume has changed it`)
    })
  }
  return { accepted, problems } satisfies Result
})
