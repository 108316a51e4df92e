/**
 * Kills recordings at random moments and at named points, resumes them, and counts what is lost, twice or out of order.
 *
 *     npm run crash-test -- --runs 200 --seed 1
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { messageOf } from "@sampleline/core"
import { Console, Effect, Layer, Option, Random } from "effect"
import { Command, Flag } from "effect/cli"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { crash, crashWhileMaking, DEFAULT_MODULE, type Result, type Target } from "./crash.ts"
import { at, describeCrash, namedCrashes, randomCrash } from "./crashes.ts"
import { canInject, describeFault, faults, recordWith } from "./faults.ts"
import { making } from "./killPoints.ts"
import { type Outputs, pick } from "./outputs.ts"

/** One recording to its end, in a folder of its own. */
interface Trial {
  readonly name: string
  readonly run: (folder: string) => Effect.Effect<Result>
}

/** Runs trials, and gives what they have found. A trial that fails is told, and its folder stays. */
const runAll = Effect.fnUntraced(function*(trials: ReadonlyArray<Trial>, parallel: number) {
  let done = 0
  return yield* Effect.forEach(trials, ({ name, run }) =>
    Effect.gen(function*() {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "crash-"))
      const found = yield* run(folder)
      const isGood = found.problems.length === 0
      if (isGood) fs.rmSync(folder, { recursive: true })
      const verdict = isGood ? "ok" : `failed\n  ${found.problems.join("\n  ")}\n  its files are in ${folder}`
      yield* Console.error(`${++done} of ${trials.length}: ${name}: ${verdict}`)
      return found
    }), { concurrency: parallel })
})

/** Kills that random numbers choose. The seed of a trial repeats it. */
const randomTrials = (target: Target, runs: number, firstSeed: number) =>
  Effect.forEach(
    Array.from({ length: runs }, (_, n) => firstSeed + n),
    (seed) =>
      Effect.map(Random.withSeed(randomCrash(target.outputs), seed), (chosen): Trial => ({
        name: `seed ${seed}, killed ${describeCrash(chosen)}`,
        run: (folder) => crash(folder, chosen, target)
      }))
  )

/** A kill at each named point. */
const namedTrials = (target: Target): ReadonlyArray<Trial> => [
  ...Object.entries(namedCrashes(target.outputs)).map(([name, chosen]) => ({
    name,
    run: (folder: string) =>
      Effect.map(crash(folder, chosen, target), (found) =>
        found.resumesKilled === chosen.resumes.length
          ? found
          : { ...found, problems: [...found.problems, "the resume was not killed"] })
  })),
  ...Object.keys(making).map((name) => ({
    name: `while a journal is made, ${name}`,
    run: (folder: string) => crashWhileMaking(folder, at(making, name), target)
  }))
]

/** A system call that fails for a while. */
const faultTrials: ReadonlyArray<Trial> = faults.map((fault) => ({
  name: describeFault(fault),
  run: (folder) => Effect.map(recordWith(folder, fault), (problems) => ({ problems, accepted: 0, resumesKilled: 0 }))
}))

/** Lets each call of the table fail. */
const runFaults = Effect.fnUntraced(function*(parallel: number) {
  if (!canInject) return yield* Console.log("skipped: strace is not here, or may not trace")
  const found = yield* runAll(faultTrials, parallel)
  yield* report(`${found.length} recordings with failing calls`, found)
})

/** Kills recordings. Fails with a message for the user. */
const runCrashes = Effect.fnUntraced(function*(options: {
  readonly module: Option.Option<string>
  readonly outputs: Option.Option<string>
  readonly points: boolean
  readonly runs: number
  readonly seed: number
  readonly parallel: number
}) {
  const target = yield* targetOf(options.module, options.outputs)
  const trials = options.points ? namedTrials(target) : yield* randomTrials(target, options.runs, options.seed)
  const found = yield* Effect.provide(runAll(trials, options.parallel), sharedBy(target.outputs))
  const sum = (of: "accepted" | "resumesKilled") => found.reduce((sum, found) => sum + found[of], 0)
  yield* report(
    `${found.length} recordings killed, ${sum("resumesKilled")} resumes killed, ${
      sum("accepted")
    } samples accepted, into `
      + Object.keys(target.outputs).join(", "),
    found
  )
})

const targetOf = Effect.fnUntraced(function*(file: Option.Option<string>, names: Option.Option<string>) {
  const module = Option.match(file, {
    onNone: () => DEFAULT_MODULE,
    onSome: (file) => pathToFileURL(path.resolve(file)).href
  })
  const { outputs }: { readonly outputs: Outputs } = yield* Effect.tryPromise({
    try: () => import(module),
    catch: (cause) => `--module: ${messageOf(cause)}`
  })
  const chosen = yield* Effect.try({
    try: () =>
      pick(outputs, Option.match(names, { onNone: () => Object.keys(outputs), onSome: (all) => all.split(",") })),
    catch: (cause) => `--outputs: ${messageOf(cause)}`
  })
  return { module, outputs: chosen }
})

/** What the outputs share, for as long as a program runs. */
const sharedBy = (outputs: Outputs): Layer.Layer<never> =>
  Layer.mergeAll(Layer.empty, ...Object.values(outputs).flatMap(({ shared }) => shared === undefined ? [] : [shared]))

const report = (what: string, found: ReadonlyArray<Result>) => {
  const failed = found.filter(({ problems }) => problems.length > 0).length
  return failed === 0
    ? Console.log(`${what}: 0 lost, 0 twice, 0 out of order`)
    : Effect.andThen(Console.log(`${what}: ${failed} failed`), fail)
}

const fail = Effect.sync(() => {
  process.exitCode = 1
})

const positive = (name: string, initial: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.filter((value) => value > 0, (value) => `a whole number above 0, not ${value}`),
    Flag.withDescription(`${description} (default: ${initial})`),
    Flag.withDefault(initial)
  )

const crashTest = Command.make(
  "crash-test",
  {
    runs: positive("runs", 200, "How many recordings are killed"),
    seed: positive("seed", 1, "The seed of the first recording; the others have the next numbers"),
    points: Flag.Boolean("points").pipe(
      Flag.withDescription("Kill one recording at each named point instead"),
      Flag.withDefault(false)
    ),
    faults: Flag.Boolean("faults").pipe(
      Flag.withDescription("Let system calls on each file fail instead (EIO, ENOSPC, EAGAIN). Needs strace"),
      Flag.withDefault(false)
    ),
    outputs: Flag.String("outputs").pipe(
      Flag.withDescription("The outputs, by their names in the module, e.g. csv,db (default: all)"),
      Flag.optional
    ),
    module: Flag.String("module").pipe(
      Flag.withDescription("A module of your own that exports `outputs` (default: outputs.ts beside this script)"),
      Flag.optional
    ),
    parallel: positive("parallel", 2, "How many recordings run at once")
  },
  (options) =>
    Effect.catch(
      options.faults ? runFaults(options.parallel) : runCrashes(options),
      (message) => Effect.andThen(Console.error(message), fail)
    )
).pipe(
  Command.withDescription("Kill recordings, resume them, and compare their outputs with what was accepted"),
  Command.withExamples([
    { command: "npm run crash-test -- --runs 200 --seed 1", description: "Kills at random moments and points" },
    { command: "npm run crash-test -- --runs 1 --seed 17", description: "Repeats the run that told seed 17" },
    { command: "npm run crash-test -- --points --outputs csv,db", description: "Each named point, two outputs" },
    { command: "npm run crash-test -- --module ./myOutputs.ts", description: "Outputs of your own" }
  ])
)

Command.run(crashTest, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
