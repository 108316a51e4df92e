import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Journal } from "../src/index.ts"
import { contentOf, journalIn, outputs, sequencesIn } from "./outputs.ts"

const RECORDER = fileURLToPath(new URL("recorder.ts", import.meta.url))

/** Starts the recorder and kills it once it has accepted this many samples. Gives the last number that it told. */
const killedAt = (folder: string, samples: number) =>
  Effect.callback<number>((resume) => {
    const child = spawn(process.execPath, [RECORDER, folder], { stdio: ["ignore", "pipe", "inherit"] })
    let text = ""
    const accepted = () => Number(text.split("\n").at(-2) ?? 0)
    child.stdout.on("data", (data) => {
      text += data
      if (accepted() >= samples) child.kill("SIGKILL")
    })
    child.on("close", () => resume(Effect.sync(accepted)))
  })

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "killed-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

describe("a recorder that is killed", () => {
  for (const samples of [50, 333, 1200]) {
    it.live(`loses nothing after ${samples} accepted samples, and writes nothing twice`, () =>
      Effect.gen(function*() {
        const here = yield* folder
        const accepted = yield* killedAt(here, samples)
        const report = yield* Effect.provide(Journal.resume({ path: journalIn(here) }), outputs(here, "append"))
        for (const [output, sequences] of Object.entries(sequencesIn(here))) {
          assert.isAtLeast(sequences.length, accepted, output)
          assert.deepStrictEqual(sequences, sequences.map((_, n) => n), output)
        }
        assert.strictEqual(report.outputs.length, 3)
        assert.isFalse(fs.existsSync(journalIn(here)))
      }).pipe(Effect.scoped))
  }

  it.live("is finished once: a second resume of the same journal changes no byte", () =>
    Effect.gen(function*() {
      const here = yield* folder
      yield* killedAt(here, 200)
      fs.cpSync(journalIn(here), `${journalIn(here)}.copy`, { recursive: true })
      yield* Effect.provide(Journal.resume({ path: journalIn(here) }), outputs(here, "append"))
      const before = contentOf(here)
      const again = yield* Effect.exit(
        Effect.provide(Journal.resume({ path: `${journalIn(here)}.copy` }), outputs(here, "append"))
      )
      // The table no longer needs to know how far it was, so it refuses.
      assert.isTrue(Exit.isFailure(again))
      assert.deepStrictEqual(contentOf(here), before)
    }).pipe(Effect.scoped))

  const changes: { readonly [what: string]: (csv: string) => string } = {
    "a row added": (csv) => `${csv}${csv.split("\n").at(-2)}\n`,
    "a value changed": (csv) => csv.replace(",0.25,", ",0.75,"),
    "a row removed": (csv) => csv.split("\n").toSpliced(2, 1).join("\n")
  }
  for (const [what, change] of Object.entries(changes)) {
    it.live(`has an output that someone has changed since, ${what}: it is refused, byte for byte as it was`, () =>
      Effect.gen(function*() {
        const here = yield* folder
        yield* killedAt(here, 400)
        const csv = path.join(here, "run.csv")
        const changed = change(fs.readFileSync(csv, "utf8"))
        fs.writeFileSync(csv, changed)
        const failure = yield* Effect.flip(
          Effect.provide(Journal.resume({ path: journalIn(here) }), outputs(here, "append"))
        )
        assert.include(failure.message, "someone has changed it")
        assert.strictEqual(fs.readFileSync(csv, "utf8"), changed)
        const { jsonl } = sequencesIn(here)
        assert.deepStrictEqual(jsonl, jsonl!.map((_, n) => n))
        assert.isTrue(fs.existsSync(journalIn(here)))
      }).pipe(Effect.scoped))
  }
})
