/**
 * A recorder of a Parquet file that is killed, at random and at the moments that matter. The file is read by DuckDB.
 */
import { assert, describe, it } from "@effect/vitest"
import { ParquetSink } from "@sampleline/sinks"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { countParquet, queryDuckDb } from "../../sinks/test/duckdb.ts"
import { eventsInParquet } from "../../sinks/test/events.ts"
import { samplesFrom } from "../../sinks/test/samples.ts"
import { logged, writeTo } from "../../sinks/test/writing.ts"
import { Journal } from "../src/index.ts"
import { pathIn } from "./folder.ts"
import { journalIn } from "./outputs.ts"
import { parquetIn } from "./parquetRecorder.ts"

const KILL_AT = fileURLToPath(new URL("killParquetAt.ts", import.meta.url))
const RECORDER = fileURLToPath(new URL("parquetRecorder.ts", import.meta.url))

interface Kill {
  readonly at?: string
  readonly afterSamples?: number
  readonly afterMillis?: number
}

/** Runs the recorder until it ends, kills itself at a moment, or has accepted so many samples. */
const run = (
  folder: string,
  what: "record" | "resume" | "plain",
  kill: Kill = {}
) =>
  Effect.callback<{ readonly accepted: number; readonly killed: boolean }>((resume) => {
    const child = spawn(
      process.execPath,
      ["--import", KILL_AT, RECORDER, folder, what],
      {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, KILL_AT: kill.at ?? "" }
      }
    )
    let text = ""
    const accepted = () => Number(text.split("\n").at(-2) ?? 0)
    child.stdout.on("data", (data) => {
      text += data
      if (kill.afterSamples !== undefined && accepted() >= kill.afterSamples) child.kill("SIGKILL")
    })
    if (kill.afterMillis !== undefined) setTimeout(() => child.kill("SIGKILL"), kill.afterMillis)
    child.on("close", (_, signal) => resume(Effect.succeed({ accepted: accepted(), killed: signal === "SIGKILL" })))
  })

const resume = (folder: string, journal = journalIn(folder)) =>
  Effect.provide(Journal.resume({ path: journal }), parquetIn(folder, "append"))

const hereIn = Effect.map(pathIn("run.parquet"), (file) => ({ file, folder: path.dirname(file) }))

/** Every accepted sample is there once, in order, and filters on times find what is at the ends of the row groups. */
const expectAll = Effect.fnUntraced(function*(file: string, accepted: number) {
  const rows = yield* queryDuckDb(`SELECT sequence, epoch_us(requested_at) AS at FROM '${file}'`)
  assert.isAtLeast(rows.length, accepted)
  assert.deepStrictEqual(rows.map(({ sequence }) => Number(sequence)), rows.map((_, n) => n))
  const groups = yield* queryDuckDb(
    `SELECT row_group_num_rows AS n FROM parquet_metadata('${file}') WHERE path_in_schema = 'sequence' ORDER BY row_group_id`
  )
  let first = 0
  for (const { n } of groups) {
    for (const row of [first, first + Number(n) - 1]) {
      const at = rows[row]!["at"]
      const [found] = yield* queryDuckDb(
        `SELECT count(*) AS n FROM '${file}' WHERE requested_at = make_timestamptz(${Number(at)}) AND sequence = ${row}`
      )
      assert.strictEqual(Number(found!["n"]), 1)
    }
    first += Number(n)
  }
  assert.strictEqual(first, rows.length)
  const events = yield* eventsInParquet(file)
  assert.deepStrictEqual(
    events.map(({ event }) => event).filter((event) => event.startsWith("Run")),
    ["RunStarted", "RunEnded"]
  )
  return groups.length
})

const leftIn = (folder: string) => fs.readdirSync(folder).filter((name) => !name.startsWith("."))

const bytesIn = (folder: string) =>
  Object.fromEntries(
    leftIn(folder).filter((name) => name.startsWith("run.parquet")).map((name) => [
      name,
      fs.readFileSync(path.join(folder, name)).toString("base64")
    ])
  )

describe("a recorder of a Parquet file that is killed", { concurrent: true }, () => {
  const kills: { readonly [when: string]: Kill } = {
    "after 10 accepted samples": { afterSamples: 10 },
    "after 777 accepted samples": { afterSamples: 777 },
    ...Object.fromEntries(
      ["in a row group:1", "before a record:5", "in a record:4", "before the rename:1", "behind the rename:1"].map((
        at
      ) => [
        at,
        { at }
      ])
    )
  }
  for (const [when, kill] of Object.entries(kills)) {
    it.live(`loses nothing ${when}, and writes nothing twice`, () =>
      Effect.gen(function*() {
        const { file, folder } = yield* hereIn
        const { accepted, killed } = yield* run(folder, "record", kill)
        assert.isTrue(killed)
        yield* resume(folder)
        yield* expectAll(file, accepted)
        assert.deepStrictEqual(leftIn(folder), ["run.parquet"])
      }).pipe(Effect.scoped))
  }

  for (
    const at of [
      "in a record:1",
      "before the rename:1",
      "behind the rename:1"
    ]
  ) {
    it.live(`loses nothing if it is killed ${at} while it resumes`, () =>
      Effect.gen(function*() {
        const { file, folder } = yield* hereIn
        const { accepted } = yield* run(folder, "record", { afterSamples: 600 })
        assert.isTrue((yield* run(folder, "resume", { at })).killed)
        yield* resume(folder)
        yield* expectAll(file, accepted)
        assert.deepStrictEqual(leftIn(folder), ["run.parquet"])
      }).pipe(Effect.scoped))
  }

  it.live("loses nothing if it is killed at random until it is done", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 1; round++) {
        const { file, folder } = yield* hereIn
        const { accepted } = yield* run(folder, "record", { afterSamples: 1 + Math.floor(Math.random() * 1100) })
        for (let tries = 0; tries < 3; tries++) {
          if (!fs.existsSync(journalIn(folder))) break
          yield* run(folder, "resume", { afterMillis: 400 + Math.random() * 500 })
        }
        if (fs.existsSync(journalIn(folder))) yield* resume(folder)
        yield* expectAll(file, accepted)
      }
    }).pipe(Effect.scoped), 60_000)

  it.live("is finished once: a second resume changes no byte", () =>
    Effect.gen(function*() {
      const { file, folder } = yield* hereIn
      const { accepted } = yield* run(folder, "record", { at: "behind the rename:1" })
      fs.cpSync(journalIn(folder), `${journalIn(folder)}.copy`, { recursive: true })
      const { [path.basename(file)]: before } = bytesIn(folder)
      yield* resume(folder)
      assert.deepStrictEqual(bytesIn(folder), { "run.parquet": before! })
      // Nobody knows any more that the file is the journal's.
      const refused = yield* Effect.flip(resume(folder, `${journalIn(folder)}.copy`))
      assert.include(refused.message, "nothing was changed")
      assert.deepStrictEqual(bytesIn(folder), { "run.parquet": before! })
      yield* expectAll(file, accepted)
    }).pipe(Effect.scoped))

  const changes: { readonly [what: string]: (file: string) => void } = {
    "a byte of a row group changed": (file) => {
      const bytes = fs.readFileSync(`${file}.partial`)
      bytes[1000] = bytes[1000]! ^ 1
      fs.writeFileSync(`${file}.partial`, bytes)
    },
    "cut off": (file) => fs.truncateSync(`${file}.partial`, 2000),
    "its groups file cut off": (file) => fs.truncateSync(`${file}.partial-groups`, 8000),
    "its groups file removed": (file) => fs.rmSync(`${file}.partial-groups`)
  }
  for (const [what, change] of Object.entries(changes)) {
    it.live(`has a file that someone has changed since, ${what}: it is refused, byte for byte as it was`, () =>
      Effect.gen(function*() {
        const { file, folder } = yield* hereIn
        yield* run(folder, "record", { afterSamples: 900 })
        change(file)
        const before = bytesIn(folder)
        const failure = yield* Effect.flip(resume(folder))
        assert.match(
          failure.message,
          /changed it|there is no file with what this journal|does not hold what this journal/
        )
        assert.deepStrictEqual(bytesIn(folder), before)
        assert.isTrue(fs.existsSync(journalIn(folder)))
      }).pipe(Effect.scoped))
  }
})

describe("a recorder of a Parquet file without a journal that is killed", { concurrent: true }, () => {
  for (
    const [at, rows] of [["before a record:5", 300], ["in a row group:3", 200], ["before the rename:1", 1200]] as const
  ) {
    it.live(`has its finished row groups ${at}, when the same name is appended to`, () =>
      Effect.gen(function*() {
        const { file, folder } = yield* hereIn
        const { killed } = yield* run(folder, "plain", { at })
        assert.isTrue(killed)
        const lines = yield* logged(writeTo(ParquetSink.layer({ path: file, mode: "append" }), samplesFrom(0, 5)))
        const found = Number(/was killed; its (\d+) finished rows/.exec(lines.join("\n"))?.[1])
        assert.approximately(found, rows, 32)
        yield* expectAll(file, found)
        assert.lengthOf(yield* queryDuckDb(`SELECT sequence FROM '${file}'`), found)
        const end = (yield* eventsInParquet(file)).at(-1)!
        assert.deepInclude(end, { event: "RunEnded", reason: at === "before the rename:1" ? "completed" : "unknown" })
        assert.strictEqual(yield* countParquet(file.replace(".parquet", "-2.parquet")), 5)
        assert.deepStrictEqual(leftIn(folder), ["run-2.parquet", "run.parquet"])
      }).pipe(Effect.scoped))
  }
})
