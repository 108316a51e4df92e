import { assert, describe, it } from "@effect/vitest"
import { MemorySink, PollSource, Recorder } from "@sampleline/core"
import { Effect, Logger } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Journal } from "../src/index.ts"
import { crash, DEFAULT_MODULE, type Kill, runUntil } from "./crash.ts"
import { pathIn } from "./folder.ts"
import { appending, finishing, type KillPoint, making, rotating, writing } from "./killPoints.ts"
import { journalIn, layerOf, outputs } from "./outputs.ts"

const target = { module: DEFAULT_MODULE, names: Object.keys(outputs), outputs }

const folder = Effect.map(pathIn("run"), (folder) => {
  fs.mkdirSync(folder)
  return folder
})

const at = (points: { readonly [name: string]: KillPoint }, name: string, accepted: number, nth = 1): Kill => ({
  name,
  point: points[name]!,
  accepted,
  nth
})

/** A journal this large holds four segments. */
const SMALL = 250_000

const crashes: { readonly [when: string]: { readonly first: Kill; readonly resumes?: ReadonlyArray<Kill> } } = {
  "at some moment": { first: { accepted: 333 } },
  "while a text file is half written, in the resume too": {
    first: at(writing, "when a text file is half written", 300),
    resumes: [at(writing, "when a text file is half written", 0, 2), { millis: 400 }]
  },
  "before the place of what is written is kept": {
    first: at(writing, "when a text file is written, before its place is kept", 100, 3)
  },
  "within a transaction of an output": {
    first: at(writing, "among the rows of an output's transaction", 200),
    resumes: [at(writing, "after an output's COMMIT", 0)]
  },
  "before an append to the journal": { first: at(appending, "before an append", 500) },
  "between two segments, and when a resume removes the journal": {
    first: at(rotating, "before the next segment has tables", 50),
    resumes: [at(finishing, "before the journal is removed", 0)]
  }
}

describe("a recorder that is killed", () => {
  for (const [when, { first, resumes = [] }] of Object.entries(crashes)) {
    it.live(`${when}: nothing accepted is lost, nothing is twice, and a second resume changes nothing`, () =>
      Effect.gen(function*() {
        const { accepted, problems } = yield* crash(yield* folder, { first, resumes, maxBytes: SMALL }, target)
        assert.deepStrictEqual(problems, [])
        assert.isAtLeast(accepted, 50)
      }).pipe(Effect.scoped))
  }

  for (const name of Object.keys(making)) {
    it.live(`while its journal is made, ${name}: the next recording is not refused`, () =>
      Effect.gen(function*() {
        const here = yield* folder
        const job = { does: "record", folder: here, module: DEFAULT_MODULE, names: ["csv"], maxBytes: 1e9 } as const
        const { hasEnded } = yield* runUntil(job, at(making, name, 0))
        assert.isFalse(hasEnded)
        assert.isTrue(fs.existsSync(journalIn(here)))
        const path = journalIn(here)
        const record = Recorder.record({ rateHz: 200, duration: "100 millis" }).pipe(Journal.pipeToSink({ path }))
        yield* record.pipe(
          // What has a segment is a journal like any other.
          Effect.catchIf(
            (failure) => "reason" in failure && failure.reason === "AlreadyExists",
            () => Effect.andThen(Journal.resume({ path }), record)
          ),
          Effect.provide([
            MemorySink.layer,
            PollSource.layer({ devices: ["a"], poll: () => Effect.succeed({ A: 1 }) }),
            Logger.layer([])
          ])
        )
        assert.isFalse(fs.existsSync(path))
      }).pipe(Effect.scoped))
  }

  const changes: { readonly [what: string]: (csv: string) => string } = {
    "a row added": (csv) => `${csv}${csv.split("\n").at(-2)}\n`,
    "a value changed": (csv) => csv.replace(",0.25,", ",0.75,"),
    "a row removed": (csv) => csv.split("\n").toSpliced(2, 1).join("\n")
  }
  for (const [what, change] of Object.entries(changes)) {
    it.live(`has an output that someone has changed since, ${what}: it is refused, byte for byte as it was`, () =>
      Effect.gen(function*() {
        const here = yield* folder
        const job = {
          does: "record",
          folder: here,
          module: DEFAULT_MODULE,
          names: target.names,
          maxBytes: 1e9
        } as const
        yield* runUntil(job, { accepted: 400 })
        const csv = path.join(here, "run.csv")
        const changed = change(fs.readFileSync(csv, "utf8"))
        fs.writeFileSync(csv, changed)
        const failure = yield* Effect.flip(
          Journal.resume({ path: journalIn(here) }).pipe(
            Effect.provide([layerOf(outputs, here, "append"), Logger.layer([])])
          )
        )
        assert.include(String(failure), "someone has changed it")
        assert.strictEqual(fs.readFileSync(csv, "utf8"), changed)
        const { samples } = yield* outputs["jsonl"]!.read(here)
        assert.deepStrictEqual(samples.map(({ sequence }) => sequence), samples.map((_, n) => n))
        assert.isTrue(fs.existsSync(journalIn(here)))
      }).pipe(Effect.scoped))
  }
})
