/**
 * Kills recordings at random moments and at named points, resumes them, and counts what is lost, twice or out of order.
 *
 *     npm run crash-test -- --runs 200 --seed 1 --outputs csv,jsonl,db
 *
 * A run that fails tells its seed and keeps its folder. `--seed` with `--runs 1` repeats it. `--module FILE` tests outputs of your
 * own: the module exports `outputs`, as `outputs.ts` beside this file does. `--faults` lets system calls fail instead.
 */
import { Console, Effect, Random } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { crash, DEFAULT_MODULE, describeKill, randomCrash } from "./crash.ts"
import { canInject, describeFault, faults, recordWith } from "./faults.ts"
import type { Outputs } from "./outputs.ts"

const runOnce = Effect.fnUntraced(function*(seed: number, target: Parameters<typeof crash>[2]) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `crash-${seed}-`))
  const chosen = yield* Random.withSeed(randomCrash, seed)
  const { accepted, problems } = yield* crash(folder, chosen, target)
  const few = accepted < 50 ? [`only ${accepted} samples were accepted`] : []
  const all = [...problems, ...few]
  if (all.length === 0) fs.rmSync(folder, { recursive: true })
  else {
    const kills = [chosen.first, ...chosen.resumes].map(describeKill).join("; ")
    process.stderr.write(
      `\nseed ${seed} failed, killed ${kills}\n  ${all.join("\n  ")}\n  its files are in ${folder}\n`
    )
  }
  return { accepted, resumes: chosen.resumes.length, hasFailed: all.length > 0 }
})

/** Lets each call of the table fail. */
const runFaults = Effect.fnUntraced(function*(parallel: number) {
  if (!canInject) return yield* Console.log("skipped: strace is not here, or may not trace")
  const results = yield* Effect.forEach(faults, (fault) =>
    Effect.gen(function*() {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fault-"))
      const problems = yield* recordWith(folder, fault)
      yield* Console.log(
        `${describeFault(fault)}: ${problems.length === 0 ? "went on" : `${problems.join("\n  ")}\n  ${folder}`}`
      )
      if (problems.length === 0) fs.rmSync(folder, { recursive: true })
      return problems.length === 0
    }), { concurrency: parallel })
  const failed = results.filter((isGood) => !isGood).length
  yield* Console.log(
    `${results.length} recordings with failing calls: ${failed === 0 ? "0 lost, 0 twice" : `${failed} failed`}`
  )
  if (failed > 0) process.exitCode = 1
})

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    parallel: { type: "string", default: "2" },
    outputs: { type: "string" },
    module: { type: "string" },
    faults: { type: "boolean", default: false }
  }
})

const runCrashes = Effect.fnUntraced(function*(parallel: number) {
  const module = values.module === undefined ? DEFAULT_MODULE : pathToFileURL(path.resolve(values.module)).href
  const { outputs: all }: { readonly outputs: Outputs } = yield* Effect.promise(() => import(module))
  const names = values.outputs?.split(",") ?? Object.keys(all)
  const outputs = Object.fromEntries(names.map((name) => [name, all[name]!]))
  const runs = Number(values.runs)
  let done = 0
  const results = yield* Effect.forEach(
    Array.from({ length: runs }, (_, n) => Number(values.seed) + n),
    (seed) =>
      Effect.tap(
        runOnce(seed, { module, names, outputs }),
        () => Effect.sync(() => process.stderr.write(`\r${++done} of ${runs} runs`))
      ),
    { concurrency: parallel }
  )
  process.stderr.write("\n")
  const failed = results.filter(({ hasFailed }) => hasFailed).length
  const sum = (of: "accepted" | "resumes") => results.reduce((sum, result) => sum + result[of], 0)
  yield* Console.log(
    `${runs} recordings killed, ${sum("resumes")} resumes killed, ${sum("accepted")} samples accepted, into ${
      names.join(", ")
    }: ${failed === 0 ? "0 lost, 0 twice, 0 out of order" : `${failed} runs failed`}`
  )
  if (failed > 0) process.exitCode = 1
})

const parallel = Number(values.parallel)
await Effect.runPromise(values.faults ? runFaults(parallel) : runCrashes(parallel))
