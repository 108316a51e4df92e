/**
 * One recording that is killed, perhaps once more while it is resumed, and then finished. What its outputs then hold is compared
 * with what was accepted.
 */
import { MemorySink, PollSource, Recorder } from "@sampleline/core"
import { Effect, Logger } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Journal } from "../src/index.ts"
import { type Crash, type Kill, LARGE } from "./crashes.ts"
import type { KillAt } from "./killPoints.ts"
import { type Content, journalIn, layerOf, type Outputs } from "./outputs.ts"
import type { Job } from "./recorder.ts"

const RECORDER = fileURLToPath(new URL("recorder.ts", import.meta.url))
const KILL_AT = fileURLToPath(new URL("killAt.ts", import.meta.url))

export const DEFAULT_MODULE = new URL("outputs.ts", import.meta.url).href

/** What a killed process told. */
interface Killed {
  readonly accepted: number
  /** Whether it ended by itself before, or would not end. */
  readonly hasEnded: boolean
  readonly errors: string
}

const LATE_MILLIS = 60_000

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
      if (isLate) errors += `it was still running after ${LATE_MILLIS / 1000} seconds`
      child.kill("SIGKILL")
    }, "millis" in kill ? kill.millis : LATE_MILLIS)
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
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** What a crash has shown. */
export interface Result {
  readonly accepted: number
  /** How many resumes were killed. Others had ended before. */
  readonly resumesKilled: number
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

/** Outputs, all or some of those that a module exports. */
export interface Target {
  readonly module: string
  readonly outputs: Outputs
}

/** What a recorder of the outputs does, all but whether it records or resumes. */
const prepared = Effect.fnUntraced(function*(folder: string, { module, outputs }: Target, maxBytes: number) {
  for (const { prepare } of Object.values(outputs)) yield* prepare?.(folder) ?? Effect.void
  return { folder, module, names: Object.keys(outputs), maxBytes }
})

/** Kills, resumes, and looks. The outputs are those of a module, in a folder of their own. */
export const crash = Effect.fnUntraced(function*(folder: string, { first, maxBytes, resumes }: Crash, target: Target) {
  const { outputs } = target
  const job = yield* prepared(folder, target, maxBytes)
  const journal = journalIn(folder)
  const { accepted, errors, hasEnded } = yield* runUntil({ ...job, does: "record" }, first)
  let resumesKilled = 0
  const found = (problems: ReadonlyArray<string>): Result => ({ accepted, resumesKilled, problems })
  if (hasEnded) return found([`the recorder was not killed: ${errors}`])
  for (const kill of resumes) {
    if (!fs.existsSync(journal)) continue
    const resumed = yield* runUntil({ ...job, does: "resume" }, kill)
    if (resumed.errors !== "") return found([`a resume failed: ${resumed.errors}`])
    if (!resumed.hasEnded) resumesKilled++
  }
  const problems: Array<string> = []
  // A crash is no damage.
  const logger = Logger.make(({ message }) => {
    if (/damaged|are lost|has lost|no longer has/.test(String(message))) problems.push(String(message))
  })
  const resume = (path: string) =>
    Effect.provide(Journal.resume({ path }), [layerOf(outputs, folder, "append"), Logger.layer([logger])])
  const copy = path.join(folder, "copy.journal")
  let known: ReadonlyArray<boolean> = []
  if (fs.existsSync(journal)) {
    fs.cpSync(journal, copy, { recursive: true })
    const last = yield* Effect.exit(resume(journal))
    if (last._tag === "Failure") return found([`the last resume failed: ${String(last.cause)}`])
    known = yield* areKnown(copy, last.value.outputs.map(({ name }) => name))
  }
  if (fs.existsSync(journal)) problems.push("the journal is still there")
  const contents = yield* readAll(outputs, folder)
  for (const { content, name } of contents) problems.push(...problemsOf(name, content, accepted))
  if (fs.existsSync(copy)) {
    // An output that is complete may refuse it.
    yield* Effect.exit(resume(copy))
    const after = yield* readAll(outputs, folder)
    contents.forEach(({ content, name }, n) => {
      const isChanged = content.digest !== after[n]!.content.digest
      if (known[n] === true && isChanged) problems.push(`${name}: a second resume has changed it`)
    })
  }
  // A server may be gone when someone looks.
  if (problems.length > 0) fs.writeFileSync(path.join(folder, "contents.json"), JSON.stringify(contents, null, 2))
  return found(problems)
})

/** Of which outputs a journal knows that they have something. It would give everything to the others. */
const areKnown = Effect.fnUntraced(function*(journal: string, outputs: ReadonlyArray<string>) {
  const kept = yield* Effect.orDie(Journal.inspect(journal))
  return outputs.map((output) => kept.outputs.some(({ behind, name }) => name === output && behind < kept.items))
})

/** Kills a recorder while it makes its journal. The next recording must not be refused. */
export const crashWhileMaking = Effect.fnUntraced(function*(folder: string, kill: Kill, target: Target) {
  const found = (problems: ReadonlyArray<string>): Result => ({ accepted: 0, resumesKilled: 0, problems })
  const job = yield* prepared(folder, target, LARGE)
  const { hasEnded } = yield* runUntil({ ...job, does: "record" }, kill)
  const path = journalIn(folder)
  if (hasEnded || !fs.existsSync(path)) return found(["the recorder was not killed while it made its journal"])
  const record = Recorder.record({ rateHz: 200, duration: "100 millis" }).pipe(Journal.pipeToSink({ path }))
  const exit = yield* record.pipe(
    // What has a segment is a journal like any other.
    Effect.catchIf(
      (failure) => "reason" in failure && failure.reason === "AlreadyExists",
      () => Effect.andThen(Journal.resume({ path }), record)
    ),
    Effect.provide([
      MemorySink.layer,
      PollSource.layer({ devices: ["a"], poll: () => Effect.succeed({ A: 1 }) }),
      Logger.layer([])
    ]),
    Effect.exit
  )
  if (exit._tag === "Failure") return found([`the next recording failed: ${String(exit.cause)}`])
  return found(fs.existsSync(path) ? ["the journal is still there"] : [])
})
