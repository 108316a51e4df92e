import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { DEFAULT_MODULE, problemsOf } from "./crash.ts"
import { pathIn } from "./folder.ts"
import { journalIn, outputs as allOutputs, pick } from "./outputs.ts"
import type { Job } from "./recorder.ts"

const outputs = pick(allOutputs, ["csv", "jsonl", "db"])

const canMountDisk = spawnSync("unshare", ["-rm", "true"]).status === 0

/** Mounts a small disk, fills it when 400 samples are accepted, and makes room again. What is on it in the end is copied. */
const SCRIPT = `
  cd "$1"; shift; mkdir disk; mount -t tmpfs -o size=12m tmpfs disk
  "$@" | {
    isFull=
    while read accepted; do
      echo $accepted
      if [ -z "$isFull" ] && [ $accepted -ge 400 ]; then
        isFull=1
        (cat /dev/zero > disk/ballast; sleep 1.3; rm disk/ballast) 2> /dev/null &
      fi
    done
    wait
  }
  cp -r disk/. .`

describe.runIf(canMountDisk)("a recording whose disk is full for a while", () => {
  it.live("goes on in all outputs when there is room again, and has lost nothing", () =>
    Effect.gen(function*() {
      const folder = yield* pathIn("run")
      fs.mkdirSync(folder)
      const job: Job = {
        does: "record",
        seconds: 4,
        folder: path.join(folder, "disk"),
        module: DEFAULT_MODULE,
        names: Object.keys(outputs),
        maxBytes: 1e9
      }
      const recorder = [process.execPath, fileURLToPath(new URL("recorder.ts", import.meta.url)), JSON.stringify(job)]
      const { accepted, errors } = yield* Effect.callback<{ readonly accepted: number; readonly errors: string }>(
        (resume) => {
          execFile("unshare", ["-rm", "sh", "-c", SCRIPT, "sh", folder, ...recorder], (_, stdout, errors) =>
            resume(Effect.succeed({ accepted: Number(stdout.split("\n").at(-2)), errors })))
        }
      )
      assert.strictEqual(errors, "")
      assert.isFalse(fs.existsSync(journalIn(folder)))
      // More than before the disk was full.
      assert.isAbove(accepted, 800)
      for (const [name, { read }] of Object.entries(outputs)) {
        assert.deepStrictEqual(problemsOf(name, yield* read(folder), accepted), [])
      }
    }).pipe(Effect.scoped))
})
