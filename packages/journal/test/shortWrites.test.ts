import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { problemsOf } from "./crash.ts"
import { pathIn } from "./folder.ts"
import { outputs } from "./outageOutputs.ts"
import { journalIn } from "./outputs.ts"
import type { Job } from "./recorder.ts"

const SHORT_WRITES = fileURLToPath(new URL("shortWrites.ts", import.meta.url))
const RECORDER = fileURLToPath(new URL("recorder.ts", import.meta.url))

const names = ["csv", "jsonl", "parquet"] as const

describe.runIf(fs.existsSync("/proc/self/fd"))("a recording whose writes take a part of the bytes", () => {
  it.live("has everything once in all files", () =>
    Effect.gen(function*() {
      const folder = yield* pathIn("run")
      fs.mkdirSync(folder)
      const log = path.join(folder, "log")
      const job: Job = {
        does: "record",
        seconds: 1,
        folder,
        module: new URL("outageOutputs.ts", import.meta.url).href,
        names,
        maxBytes: 1e9
      }
      const { accepted, errors } = yield* Effect.callback<{ readonly accepted: number; readonly errors: string }>(
        (resume) => {
          const program = ["--import", SHORT_WRITES, RECORDER, JSON.stringify(job)]
          execFile(
            process.execPath,
            program,
            { env: { ...process.env, SHORT_WRITES: log } },
            (_, stdout, errors) => resume(Effect.succeed({ accepted: Number(stdout.split("\n").at(-2)), errors }))
          )
        }
      )
      assert.strictEqual(errors, "")
      assert.isFalse(fs.existsSync(journalIn(folder)))
      assert.isAbove(accepted, 100)
      assert.includeMembers(
        [...new Set(fs.readFileSync(log, "utf8").split("\n").map((file) => path.basename(file)))],
        [
          "run.csv",
          "run.csv-events.jsonl",
          "run.jsonl",
          "run.jsonl-events.jsonl",
          "run.parquet.partial",
          "run.parquet.partial-groups"
        ]
      )
      for (const name of names) {
        assert.deepStrictEqual(problemsOf(name, yield* outputs[name].read(folder), accepted), [])
      }
    }).pipe(Effect.scoped))
})
