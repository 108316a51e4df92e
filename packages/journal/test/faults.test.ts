import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { canInject, describeFault, faults, recordWith } from "./faults.ts"
import { pathIn } from "./folder.ts"

/** The others are run by `npm run crash-test -- --faults`. */
const chosen = [
  "ENOSPC from pwrite64 300..310 of run.journal/segment-0000000000000000.db-wal",
  "ENOSPC from pwrite64 10..14 of run.csv",
  "EAGAIN from pwrite64 2..4 of run.csv-events.jsonl",
  "EIO from pwrite64 100..103 of run.db-wal"
]

describe.runIf(canInject)("a recording whose system calls fail for a while", () => {
  for (const fault of faults.filter((fault) => chosen.includes(describeFault(fault)))) {
    it.live(`${describeFault(fault)}: nothing is lost`, () =>
      Effect.gen(function*() {
        const folder = yield* pathIn("run")
        fs.mkdirSync(folder)
        assert.deepStrictEqual(yield* recordWith(folder, fault), [])
      }).pipe(Effect.scoped))
  }
})
