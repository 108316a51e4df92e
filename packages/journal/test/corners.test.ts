/**
 * What may happen to a journal and its outputs beside a kill.
 */
import { assert, describe, it } from "@effect/vitest"
import { MemorySink, PollSource, Recorder, SampleSink, type SinkBatchError, SinkWriteError } from "@sampleline/core"
import { Effect, Exit, Logger } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Journal, type JournalError } from "../src/index.ts"
import { DEFAULT_MODULE, problemsOf, runUntil } from "./crash.ts"
import type { Kill } from "./crashes.ts"
import { pathIn } from "./folder.ts"
import * as KillPoints from "./killPoints.ts"
import { type Content, journalIn, layerOf, outputs as allOutputs, pick } from "./outputs.ts"
import type { Job } from "./recorder.ts"

const outputs = pick(allOutputs, ["csv", "jsonl", "db"])

const folder = Effect.map(pathIn("run"), (folder) => {
  fs.mkdirSync(folder)
  return folder
})

const at = (point: KillPoints.KillPoint, accepted = 0, nth = 1): Kill => ({ name: "here", point, accepted, nth })

const recordIn = (folder: string, options: Partial<Job> = {}): Job => ({
  does: "record",
  folder,
  module: DEFAULT_MODULE,
  names: ["csv", "jsonl", "db"],
  maxBytes: 1e9,
  ...options
})

const never: Kill = { millis: 20_000 }

const resume = (folder: string, names: ReadonlyArray<string>) =>
  Journal.resume({ path: journalIn(folder) }).pipe(
    Effect.provide([
      layerOf(pick(outputs, names), folder, "append"),
      Logger.layer([])
    ])
  )

describe("a journal", () => {
  it.live("finishes a CSV that was moved away while it was recorded: the old and the new file have each row once", () =>
    Effect.gen(function*() {
      const here = yield* folder
      const csv = path.join(here, "run.csv")
      const moving = Effect.gen(function*() {
        // Until it is a second old no place is kept.
        while (!fs.existsSync(csv) || fs.statSync(csv).size < 200_000) yield* Effect.sleep(10)
        fs.renameSync(csv, path.join(here, "moved.csv"))
        // The recorder looks at the name once a second.
        while (!fs.existsSync(csv) || fs.statSync(csv).size < 20_000) yield* Effect.sleep(10)
      })
      const { accepted } = yield* runUntil(recordIn(here, { names: ["csv"] }), { when: moving })
      yield* resume(here, ["csv"])
      const { samples } = yield* outputs["csv"]!.read(here)
      fs.renameSync(path.join(here, "moved.csv"), csv)
      const moved = yield* outputs["csv"]!.read(here)
      const all: Content = { ...moved, samples: [...moved.samples, ...samples], events: null }
      assert.deepStrictEqual(problemsOf("csv", all, accepted), [])
    }).pipe(Effect.scoped))

  it.live("finishes a CSV that was moved away with its events just before it is killed: each row is there once", () =>
    Effect.gen(function*() {
      const here = yield* folder
      const [file, moved] = [path.join(here, "run.csv"), path.join(here, "moved.csv")]
      const sizeOf = (path: string) => fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0
      const moving = Effect.gen(function*() {
        // Until it is a second old no place is kept.
        while (sizeOf(file) < 200_000) yield* Effect.sleep(10)
        fs.renameSync(file, moved)
        fs.renameSync(`${file}-events.jsonl`, `${moved}-events.jsonl`)
        while (sizeOf(moved) < 205_000) yield* Effect.sleep(1)
      })
      const { accepted } = yield* runUntil(recordIn(here, { names: ["csv"] }), { when: moving })
      yield* resume(here, ["csv"])
      const later = yield* outputs["csv"]!.read(here)
      for (const suffix of ["", "-events.jsonl"]) fs.renameSync(`${moved}${suffix}`, `${file}${suffix}`)
      const earlier = yield* outputs["csv"]!.read(here)
      const all: Content = {
        digest: "",
        samples: [...earlier.samples, ...later.samples],
        events: [...earlier.events!, ...later.events!]
      }
      assert.deepStrictEqual(problemsOf("csv", all, accepted), [])
    }).pipe(Effect.scoped))

  it.live("gives an output again what was written since its last safe place, if it could not be forced to disk", () =>
    Effect.gen(function*() {
      let kept = 0
      let hasFailed = false
      const opens: Array<number> = []
      const failure = new SinkWriteError({
        sink: "disk",
        target: "",
        samples: 0,
        reason: "DiskFull",
        detail: "it is full"
      })
      const sink = SampleSink.layer<SinkBatchError>({
        name: "disk",
        write: () => Effect.void,
        resumable: {
          open: ({ place }) =>
            Effect.sync(() => {
              kept = place?.through ?? 0
              opens.push(kept)
              return { through: kept, token: "" }
            }),
          writeAt: (_, through) => Effect.succeed({ through, token: "" }),
          sync: Effect.suspend(() => {
            if (hasFailed) return Effect.void
            hasFailed = true
            return Effect.fail(failure)
          }),
          finish: (through) => Effect.succeed({ through, token: "" }),
          forget: Effect.void
        }
      })
      yield* Recorder.record({ rateHz: 50, duration: "1500 millis" }).pipe(
        Journal.pipeToSink({ path: yield* pathIn("run.journal"), flushInterval: "20 millis" }),
        Effect.provide([
          sink,
          PollSource.layer({ devices: ["a"], poll: () => Effect.succeed({ A: 1 }) }),
          Logger.layer([])
        ])
      )
      assert.deepStrictEqual(opens, [0, 0])
    }).pipe(Effect.scoped))

  for (
    const [when, kill] of Object.entries({
      "before the first write": at(KillPoints.text.writing["before a text file is written"]!),
      "in the middle of the first write": at(KillPoints.text.writing["when a text file is half written"]!),
      "before the first place is kept": at(KillPoints.journal.writing["before a place is kept"]!, 0, 2)
    })
  ) {
    for (const rest of ["", "a,b"]) {
      it.live(`appends to a CSV${rest && " with an incomplete record"}, and is killed ${when}`, () =>
        Effect.gen(function*() {
          const here = yield* folder
          const csv = path.join(here, "run.csv")
          yield* runUntil(recordIn(here, { names: ["csv"], seconds: 0.3 }), never)
          const before = fs.readFileSync(csv, "utf8")
          fs.appendFileSync(csv, rest)
          const { hasEnded } = yield* runUntil(recordIn(here, { names: ["csv"], mode: "append" }), kill)
          assert.isFalse(hasEnded)
          yield* resume(here, ["csv"])
          const after = fs.readFileSync(csv, "utf8")
          assert.strictEqual(after.slice(0, before.length), before)
          const { events, samples } = yield* outputs["csv"]!.read(here)
          const begin = samples.findIndex(({ sequence }, n) => n > 0 && sequence === 0)
          assert.deepStrictEqual(
            problemsOf("csv", { events: null, digest: "", samples: samples.slice(begin) }, 4),
            []
          )
          assert.strictEqual(events?.filter((event) => event === "RunEnded").length, 2)
        }).pipe(Effect.scoped))
    }
  }

  it.live("ends a run that had no samples and was killed, and what failed in it", () =>
    Effect.gen(function*() {
      const here = yield* folder
      const kill = at(KillPoints.appending["after an append"]!)
      const { hasEnded } = yield* runUntil(recordIn(here, { isSilent: true }), kill)
      assert.isFalse(hasEnded)
      yield* resume(here, ["csv", "jsonl", "db"])
      assert.isFalse(fs.existsSync(journalIn(here)))
      const events = fs.readFileSync(path.join(here, "run.csv-events.jsonl"), "utf8")
      assert.strictEqual(events.match(/RunStarted/g)?.length, 1)
      assert.strictEqual(events.match(/DeviceFailing/g)?.length, 4)
      assert.strictEqual(events.match(/DeviceLost/g)?.length, 4)
      assert.strictEqual(events.match(/RunEnded/g)?.length, 1)
    }).pipe(Effect.scoped))

  it.live("refuses a second recorder, a resume and a look while it is live, and loses nothing by that", () =>
    Effect.gen(function*() {
      const here = yield* folder
      const journal = journalIn(here)
      const found: Array<unknown> = []
      const trying = Effect.gen(function*() {
        while (!fs.existsSync(path.join(journal, "segment-0000000000000000.db"))) yield* Effect.sleep(10)
        found.push(yield* Effect.flip(Effect.provide(Journal.resume({ path: journal }), MemorySink.layer)))
        found.push(yield* Effect.flip(Journal.inspect(journal)))
        const recorder = Recorder.record({ rateHz: 10, duration: "1 second" }).pipe(
          Journal.pipeToSink({ path: journal }),
          Effect.provide([MemorySink.layer, PollSource.layer({ devices: ["a"], poll: () => Effect.succeed({ A: 1 }) })])
        )
        found.push(yield* Effect.flip(recorder))
        yield* Effect.sleep(300)
      })
      const { accepted } = yield* runUntil(recordIn(here), { when: Effect.orDie(trying) })
      assert.deepStrictEqual(found.map((error) => (error as JournalError).reason), ["Busy", "Busy", "AlreadyExists"])
      yield* resume(here, ["csv", "jsonl", "db"])
      for (const [name, { read }] of Object.entries(outputs)) {
        assert.deepStrictEqual(problemsOf(name, yield* read(here), accepted), [])
      }
    }).pipe(Effect.provide(Logger.layer([])), Effect.scoped))

  it.live("is gone after a run whose source fails at once, and the failure is the run's", () =>
    Effect.gen(function*() {
      const journal = yield* pathIn("run.journal")
      const exit = yield* Effect.exit(
        Recorder.record({ rateHz: -1 }).pipe(
          Journal.pipeToSink({ path: journal }),
          Effect.provide([MemorySink.layer, PollSource.layer({ devices: ["a"], poll: () => Effect.succeed({ A: 1 }) })])
        )
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.isFalse(fs.existsSync(journal))
    }).pipe(Effect.scoped))
})
