/**
 * One recording in which some system calls on one file fail, by the injection of `strace`. The recording must go on: it waits until
 * they work again.
 */
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { DEFAULT_MODULE, problemsOf, readAll } from "./crash.ts"
import { journalIn, outputs as allOutputs, pick } from "./outputs.ts"
import type { Job } from "./recorder.ts"

const outputs = pick(allOutputs, ["csv", "jsonl", "db"])

export const canInject = spawnSync("strace", ["-qq", "-e", "trace=none", "true"]).status === 0

export interface Fault {
  /** The file, in the folder of the outputs. */
  readonly file: string
  readonly call: "pwrite64" | "fsync,fdatasync"
  readonly error: "EIO" | "ENOSPC" | "EAGAIN"
  /** Which of the calls fail, as strace counts them. */
  readonly when: string
}

const SEGMENT = "run.journal/segment-0000000000000000.db"
const WRITES = [
  { file: `${SEGMENT}-wal`, when: "300..310" },
  { file: SEGMENT, when: "20..24" },
  { file: "run.journal/journal.db-wal", when: "20..24" },
  { file: "run.csv", when: "10..14" },
  { file: "run.csv-events.jsonl", when: "2..4" },
  { file: "run.db-wal", when: "100..103" },
  { file: "run.db", when: "3..6" }
]
const SYNCS = [
  { file: `${SEGMENT}-wal`, when: "1..2" },
  { file: SEGMENT, when: "1..2" },
  { file: "run.csv", when: "1..2" },
  { file: "run.csv-events.jsonl", when: "1..1" },
  { file: "run.db-wal", when: "1..2" },
  { file: "run.db", when: "1..2" }
]
const ERRORS = ["EIO", "ENOSPC", "EAGAIN"] as const

export const faults: ReadonlyArray<Fault> = ERRORS.flatMap((error) => [
  ...WRITES.map((where) => ({ ...where, call: "pwrite64" as const, error })),
  ...SYNCS.map((where) => ({ ...where, call: "fsync,fdatasync" as const, error }))
])

export const describeFault = ({ call, error, file, when }: Fault): string => `${error} from ${call} ${when} of ${file}`

/** Records for two seconds with a fault, in a folder of its own; gives what was wrong. */
export const recordWith = Effect.fnUntraced(function*(folder: string, { call, error, file, when }: Fault) {
  const job: Job = {
    does: "record",
    seconds: 2,
    folder,
    module: DEFAULT_MODULE,
    names: Object.keys(outputs),
    maxBytes: 1e9
  }
  const { accepted, errors } = yield* Effect.callback<{ readonly accepted: number; readonly errors: string }>(
    (resume) => {
      const recorder = [process.execPath, fileURLToPath(new URL("recorder.ts", import.meta.url)), JSON.stringify(job)]
      const traced = ["-e", `trace=${call}`, "-P", path.join(folder, file)]
      const inject = ["-e", `inject=${call}:error=${error}:when=${when}`]
      const child = spawn(
        "strace",
        ["-f", "--seccomp-bpf", "-qq", "-o", path.join(folder, "strace.log"), ...traced, ...inject, ...recorder],
        // strace counts the calls of each thread.
        { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, UV_THREADPOOL_SIZE: "1" } }
      )
      let text = ""
      let errors = ""
      child.stdout.on("data", (data) => text += data)
      child.stderr.on("data", (data) => errors += data)
      child.on("close", () => resume(Effect.succeed({ accepted: Number(text.split("\n").at(-2) ?? 0), errors })))
    }
  )
  const problems: Array<string> = []
  if (!fs.readFileSync(path.join(folder, "strace.log"), "utf8").includes("INJECTED")) {
    problems.push("nothing has failed")
  }
  if (fs.existsSync(journalIn(folder)) || errors !== "") problems.push(`it has not gone on: ${errors}`)
  for (const { content, name } of yield* readAll(outputs, folder)) problems.push(...problemsOf(name, content, accepted))
  return problems
})
