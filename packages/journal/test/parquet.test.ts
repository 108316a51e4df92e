/**
 * A recorder of a Parquet file that is killed: what is special to this format. `kill.test.ts` counts what is lost or twice. The file is
 * read by DuckDB.
 */
import { assert, describe, it } from "@effect/vitest"
import { ParquetSink } from "@sampleline/sinks"
import { Effect, Logger } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { countParquet, queryDuckDb } from "../../sinks/test/duckdb.ts"
import { eventsInParquet } from "../../sinks/test/events.ts"
import { samplesFrom } from "../../sinks/test/samples.ts"
import { logged, writeTo } from "../../sinks/test/writing.ts"
import { Journal } from "../src/index.ts"
import { DEFAULT_MODULE, runUntil } from "./crash.ts"
import { at, LARGE } from "./crashes.ts"
import { pathIn } from "./folder.ts"
import { parquet as points } from "./killPoints.ts"
import { journalIn, layerOf, outputs, pick } from "./outputs.ts"

const jobIn = (folder: string) => ({ folder, module: DEFAULT_MODULE, names: ["parquet"], maxBytes: LARGE })

const resume = (folder: string, journal = journalIn(folder)) =>
  Journal.resume({ path: journal }).pipe(
    Effect.provide([layerOf(pick(outputs, ["parquet"]), folder, "append"), Logger.layer([])])
  )

const hereIn = Effect.map(pathIn("run.parquet"), (file) => ({ file, folder: path.dirname(file) }))

const leftIn = (folder: string) => fs.readdirSync(folder).filter((name) => !name.startsWith("."))

/** A filter on times finds the first and the last row of each row group. */
const expectTimesFound = Effect.fnUntraced(function*(file: string) {
  const groups = yield* queryDuckDb(
    `SELECT row_group_num_rows AS n FROM parquet_metadata('${file}') WHERE path_in_schema = 'sequence' ORDER BY row_group_id`
  )
  const ends = groups.map((_, group) => groups.slice(0, group + 1).reduce((sum, { n }) => sum + Number(n), 0))
  const rows = ends.flatMap((end, group) => [ends[group - 1] ?? 0, end - 1])
  const times = yield* queryDuckDb(
    `SELECT epoch_us(requested_at) AS at FROM '${file}' WHERE sequence IN (${rows.join()}) ORDER BY sequence`
  )
  const found = yield* queryDuckDb(
    rows.map((row, n) =>
      `SELECT sequence FROM '${file}' WHERE requested_at = make_timestamptz(${
        Number(times[n]!["at"])
      }) AND sequence = ${row}`
    ).join(" UNION ALL ")
  )
  assert.sameMembers(found.map(({ sequence }) => Number(sequence)), rows)
  return groups.length
})

describe("a recorder of a Parquet file that is killed", { concurrent: true }, () => {
  it.live("resumes it: filters on times find the rows at the ends of all row groups, and it is alone in its folder", () =>
    Effect.gen(function*() {
      const { file, folder } = yield* hereIn
      yield* runUntil(
        { ...jobIn(folder), does: "record" },
        at(points.writing, "before the record of a row group", 0, 5)
      )
      yield* resume(folder)
      // Three row groups of the killed recorder, and at least one of the resume.
      assert.isAtLeast(yield* expectTimesFound(file), 4)
      assert.deepStrictEqual(leftIn(folder), ["run.parquet"])
    }).pipe(Effect.scoped))

  it.live("is finished once: a second resume changes no byte", () =>
    Effect.gen(function*() {
      const { file, folder } = yield* hereIn
      // Long enough for the journal to keep a place.
      const job = { ...jobIn(folder), does: "record", ticks: 300 } as const
      yield* runUntil(job, at(points.resuming, "when a Parquet file has its name, before that is synced"))
      fs.cpSync(journalIn(folder), `${journalIn(folder)}.copy`, { recursive: true })
      const before = fs.readFileSync(file)
      yield* resume(folder)
      assert.deepStrictEqual(fs.readFileSync(file), before)
      // Nobody knows any more that the file is the journal's.
      const refused = yield* Effect.flip(resume(folder, `${journalIn(folder)}.copy`))
      assert.include(String(refused), "nothing was changed")
      assert.deepStrictEqual(fs.readFileSync(file), before)
      assert.deepStrictEqual(leftIn(folder), ["run.journal.copy", "run.parquet"])
    }).pipe(Effect.scoped))
})

describe("a recorder of a Parquet file without a journal that is killed", { concurrent: true }, () => {
  const kills = {
    "before the record of a row group": {
      kill: at(points.writing, "before the record of a row group", 0, 5),
      rows: 300
    },
    "within a row group": { kill: at(points.writing, "when a row group is half written", 0, 3), rows: 200 },
    "before the file gets its name": {
      kill: at(points.resuming, "before a complete Parquet file gets its name"),
      rows: null
    }
  }
  for (const [when, { kill, rows }] of Object.entries(kills)) {
    it.live(`has its finished row groups ${when}, when the same name is appended to`, () =>
      Effect.gen(function*() {
        const { file, folder } = yield* hereIn
        const job = { ...jobIn(folder), does: "record without a journal", ticks: 120 } as const
        const { hasEnded } = yield* runUntil(job, kill)
        assert.isFalse(hasEnded)
        const lines = yield* logged(writeTo(ParquetSink.layer({ path: file, mode: "append" }), samplesFrom(0, 5)))
        const found = Number(/was killed; its (\d+) finished rows/.exec(lines.join("\n"))?.[1])
        const end = (yield* eventsInParquet(file)).at(-1)!
        assert.deepInclude(end, { event: "RunEnded", reason: rows === null ? "completed" : "unknown" })
        // The last event tells how many there were.
        assert.approximately(found, rows ?? end.count!, rows === null ? 0 : 32)
        const sequences = yield* queryDuckDb(`SELECT sequence FROM '${file}'`)
        assert.deepStrictEqual(sequences.map(({ sequence }) => Number(sequence)), [...Array(found).keys()])
        yield* expectTimesFound(file)
        assert.strictEqual(yield* countParquet(file.replace(".parquet", "-2.parquet")), 5)
        assert.deepStrictEqual(leftIn(folder), ["run-2.parquet", "run.parquet"])
      }).pipe(Effect.scoped))
  }
})
