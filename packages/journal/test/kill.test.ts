/**
 * Recorders that are killed at the points that tell most. `npm run crash-test` has the others, and a Postgres server.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Journal } from "../src/index.ts"
import { crash, crashWhileMaking, DEFAULT_MODULE, runUntil } from "./crash.ts"
import { at, type Crash, LARGE, SMALL } from "./crashes.ts"
import { pathIn } from "./folder.ts"
import * as KillPoints from "./killPoints.ts"
import { journalIn, layerOf, outputs as allOutputs, pick } from "./outputs.ts"

const outputs = pick(allOutputs, ["csv", "jsonl", "db", "parquet"])
const target = { module: DEFAULT_MODULE, outputs }

const folder = Effect.map(pathIn("run"), (folder) => {
  fs.mkdirSync(folder)
  return folder
})

const { appending, journal, making, parquet, rotating, sqlite, text } = KillPoints

const crashes: { readonly [when: string]: Pick<Crash, "first" | "resumes"> } = {
  "before an append to the journal, and within a row group of the resume": {
    first: at(appending, "before an append", 333),
    resumes: [at(parquet.writing, "when a row group is half written")]
  },
  "while a text file is half written, in the resume too": {
    first: at(text.writing, "when a text file is half written", 300),
    resumes: [at(text.writing, "when a text file is half written", 0, 2)]
  },
  "before the place of what is written is kept, and while a Parquet file gets its name": {
    first: at(text.writing, "when a text file is written, before its place is kept", 100, 3),
    resumes: [at(parquet.resuming, "when a Parquet file has its name, before that is synced")]
  },
  "within a transaction in SQLite, and after COMMIT in the resume": {
    first: at(sqlite.writing, "among the rows of a transaction in SQLite", 200),
    resumes: [at(sqlite.writing, "after COMMIT in SQLite")]
  },
  "within the record of a row group, and before the footer is synced": {
    first: at(parquet.writing, "when the record of a row group is half written", 200),
    resumes: [at(parquet.resuming, "when a Parquet file has its footer, before that is synced")]
  },
  "between two segments, and when a resume removes the journal": {
    first: at(rotating, "before the next segment has tables", 50),
    resumes: [at(journal.resuming, "before the journal is removed")]
  }
}

describe("a recorder that is killed", () => {
  for (const [when, { first, resumes }] of Object.entries(crashes)) {
    it.live(`${when}: nothing accepted is lost, nothing is twice, and a second resume changes nothing`, () =>
      Effect.gen(function*() {
        const found = yield* crash(yield* folder, { first, resumes, maxBytes: SMALL }, target)
        assert.deepStrictEqual(found.problems, [])
        assert.strictEqual(found.resumesKilled, resumes.length)
        assert.isAtLeast(found.accepted, 50)
      }).pipe(Effect.scoped))
  }

  it.live("while its journal is made: the next recording is not refused", () =>
    Effect.gen(function*() {
      const kill = at(making, "before the COMMIT of its ledger")
      const { problems } = yield* crashWhileMaking(yield* folder, kill, target)
      assert.deepStrictEqual(problems, [])
    }).pipe(Effect.scoped))
})

/** What a recorder has left that was killed. */
class Left extends Context.Service<Left, {
  readonly folder: string
  /** Makes the folder as the recorder has left it. */
  readonly restore: Effect.Effect<void>
}>()("Left") {
  static readonly layer = Layer.effect(
    Left,
    Effect.gen(function*() {
      const here = yield* folder
      const job = { does: "record", folder: here, module: DEFAULT_MODULE, names: Object.keys(outputs) } as const
      yield* runUntil({ ...job, maxBytes: LARGE }, { accepted: 900 })
      const saved = `${here}.saved`
      fs.cpSync(here, saved, { recursive: true })
      return Left.of({
        folder: here,
        restore: Effect.sync(() => {
          fs.rmSync(here, { recursive: true })
          fs.cpSync(saved, here, { recursive: true })
        })
      })
    })
  )
}

const inText = (change: (text: string) => string) => (file: string) =>
  fs.writeFileSync(file, change(fs.readFileSync(file, "utf8")))

/** What someone may do to an output: the name of the output, and a change of its file. */
const changes: { readonly [what: string]: readonly [name: string, change: (file: string) => void] } = {
  "a row added to a CSV": ["csv", inText((csv) => `${csv}${csv.split("\n").at(-2)}\n`)],
  "a value changed in a CSV": ["csv", inText((csv) => csv.replace(",0.25,", ",0.75,"))],
  "a row removed from a CSV": ["csv", inText((csv) => csv.split("\n").toSpliced(2, 1).join("\n"))],
  "a byte changed in a row group": ["parquet", (file) => {
    const bytes = fs.readFileSync(`${file}.partial`)
    bytes[1000] = bytes[1000]! ^ 1
    fs.writeFileSync(`${file}.partial`, bytes)
  }],
  "a Parquet file cut off": ["parquet", (file) => fs.truncateSync(`${file}.partial`, 2000)],
  "a Parquet file's groups file cut off": ["parquet", (file) => fs.truncateSync(`${file}.partial-groups`, 8000)],
  "a Parquet file's groups file removed": ["parquet", (file) => fs.rmSync(`${file}.partial-groups`)]
}

const bytesOf = (file: string) =>
  fs.readdirSync(path.dirname(file)).filter((name) => name.startsWith(path.basename(file))).map((name) => [
    name,
    fs.readFileSync(path.join(path.dirname(file), name)).toString("base64")
  ])

it.layer(Left.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "an output of a killed recorder that someone has changed since",
  (it) => {
    it.effect.each(Object.entries(changes))(
      "%s: it is refused, byte for byte as it was, and the others are finished",
      ([, [changed, change]]) =>
        Effect.gen(function*() {
          const { folder, restore } = yield* Left
          yield* restore
          const file = path.join(folder, `run.${changed}`)
          change(file)
          const before = bytesOf(file)
          const failure = yield* Effect.flip(
            Journal.resume({ path: journalIn(folder) }).pipe(
              Effect.provide([layerOf(outputs, folder, "append"), Logger.layer([])])
            )
          )
          assert.match(
            String(failure),
            /someone has changed it|there is no file with what this journal|does not hold what this journal/
          )
          assert.deepStrictEqual(bytesOf(file), before)
          assert.isTrue(fs.existsSync(journalIn(folder)))
          for (const [name, { read }] of Object.entries(outputs)) {
            if (name === changed) continue
            const { samples } = yield* read(folder)
            assert.isAtLeast(samples.length, 900)
            assert.deepStrictEqual(samples.map(({ sequence }) => sequence), samples.map((_, n) => n), name)
          }
        })
    )
  }
)
