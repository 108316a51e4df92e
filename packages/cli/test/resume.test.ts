/**
 * A recording that was cut off, and `sampleline resume`, which finishes its outputs.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { readWithDuckDb } from "../../sinks/test/duckdb.ts"
import { PostgresServer } from "../../sinks/test/postgres.ts"
import { barOf } from "../src/resumeProgress.ts"
import { withoutPassword } from "../src/secrets.ts"
import { lockDatabase } from "./lockDatabase.ts"
import { sampleline, startSampleline, tempFolder } from "./process.ts"
import { startOnTerminal } from "./pty.ts"
import { fileGrowsBeyond, linesOf, rowsOf } from "./recordings.ts"

const RECORD = "record --simulate 2 --rate 100 --flush-interval 50ms --row-ids".split(" ")
const FILES = ["a.csv", "a.db", "a.jsonl"]

/** Records until the CSV file has some rows. */
const startRecording = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const running = yield* startSampleline([...RECORD, ...args], { cwd })
  yield* fileGrowsBeyond(`${cwd}/a.csv`, 10_000)
  return running
})

const killRecording = Effect.fnUntraced(function*(cwd: string, ...args: ReadonlyArray<string>) {
  const running = yield* startRecording(cwd, ...args)
  running.process.kill("SIGKILL")
  yield* running.exit
})

const outs = (...names: ReadonlyArray<string>) => names.flatMap((name) => ["--out", name])

const sequencesInDb = (file: string) => {
  const database = new DatabaseSync(file, { readOnly: true })
  const rows = database.prepare("SELECT sequence FROM samples ORDER BY rowid").all()
  database.close()
  return rows.map(({ sequence }) => Number(sequence))
}

const sequencesIn = (folder: string) => ({
  csv: rowsOf(`${folder}/a.csv`).map(({ sequence }) => Number(sequence)),
  db: sequencesInDb(`${folder}/a.db`)
})

/** A digest of each output, and of what stands beside it. */
const digestsOf = (folder: string) =>
  Object.fromEntries(
    fs.readdirSync(folder).filter((name) => FILES.some((file) => name.startsWith(file)) && !name.endsWith(".journal"))
      .map((name) => [
        name,
        createHash("sha256").update(fs.readFileSync(path.join(folder, name))).digest("hex")
      ])
  )

const countUp = (length: number) => Array.from({ length }, (_, n) => n)

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("after a kill -9", (it) => {
  it.effect("resume writes exactly what is missing, and changes no byte when it is run again", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      yield* killRecording(cwd, ...outs(...FILES))
      assert.isTrue(fs.existsSync(`${cwd}/a.csv.journal`))
      const first = yield* sampleline(["resume"], { cwd })
      assert.strictEqual(first.code, 0, first.stderr)
      assert.match(first.stdout, /^a\.csv: \d+ samples and events written\na\.db: .*\na\.jsonl: .*\n$/)
      const { csv, db } = sequencesIn(cwd)
      assert.isAbove(csv.length, 0)
      assert.deepStrictEqual(csv, countUp(csv.length))
      assert.deepStrictEqual(db, csv)
      const jsonl = linesOf(fs.readFileSync(`${cwd}/a.jsonl`, "utf8"))
      assert.deepStrictEqual(jsonl.map(({ sequence }) => sequence), csv)
      assert.isFalse(fs.existsSync(`${cwd}/a.csv.journal`))

      const before = digestsOf(cwd)
      const second = yield* sampleline(["resume", "a.csv.journal"], { cwd })
      assert.strictEqual(second.code, 0)
      assert.match(second.stdout, /^nothing to resume: there is no journal a\.csv\.journal; /)
      assert.deepStrictEqual(digestsOf(cwd), before)
    }))

  it.effect("a Parquet file is completed", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      yield* killRecording(cwd, ...outs("a.csv", "a.parquet"))
      const { code, stderr } = yield* sampleline(["resume"], { cwd })
      assert.strictEqual(code, 0, stderr)
      const rows = yield* readWithDuckDb(`'${cwd}/a.parquet'`, [{ name: "sequence", type: "int", nullable: false }])
      assert.deepStrictEqual(
        rows.map(({ sequence }) => Number(sequence)),
        rowsOf(`${cwd}/a.csv`).map(({ sequence }) => Number(sequence))
      )
      assert.isFalse(fs.existsSync(`${cwd}/a.parquet.partial`))
    }))

  it.effect("record and check say whose journal is there and how to finish it, and touch nothing", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      yield* killRecording(cwd, ...outs(...FILES))
      const before = digestsOf(cwd)
      for (const args of [RECORD, [...RECORD, "--overwrite"], ["check", "--simulate", "1"]]) {
        const { code, stderr } = yield* sampleline([...args, ...outs(...FILES)], { cwd })
        assert.strictEqual(code, 1)
        assert.match(
          stderr,
          /a\.csv\.journal is the journal of a recording of 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC that was cut off: .*Finish it by `sampleline resume a\.csv\.journal`, or give --append, which finishes it first, or record under another name/
        )
      }
      const checked = yield* sampleline(["check", ...RECORD.slice(1), "--append", ...outs(...FILES)], { cwd })
      assert.strictEqual(checked.code, 0, checked.stderr)
      // Whoever reads a database changes its index in shared memory.
      assert.deepStrictEqual({ ...digestsOf(cwd), "a.db-shm": before["a.db-shm"]! }, before)
      const { code, stderr } = yield* sampleline(["resume", "--json"], { cwd })
      assert.strictEqual(code, 0, stderr)
    }))

  it.effect("the folder may be moved; the journal and the outputs then are in the new place", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.mkdirSync(`${cwd}/before`)
      yield* killRecording(`${cwd}/before`, ...outs("a.csv", "a.db"))
      fs.renameSync(`${cwd}/before`, `${cwd}/after`)
      const { code, stderr, stdout } = yield* sampleline(["resume", "after/a.csv.journal", "--json"], { cwd })
      assert.strictEqual(code, 0, stderr)
      const { journal, left, outputs } = JSON.parse(stdout)
      assert.deepStrictEqual([journal, left], ["after/a.csv.journal", []])
      assert.deepStrictEqual(outputs.map(({ name }: { readonly name: string }) => name), ["a.csv", "a.db"])
      const { csv, db } = sequencesIn(`${cwd}/after`)
      assert.deepStrictEqual([csv, db], [countUp(csv.length), csv])
    }))

  it.effect("a bar on the terminal says how far resume is", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      yield* killRecording(cwd, ...outs("a.csv", "a.db"))
      const locked = yield* lockDatabase(`${cwd}/a.db`)
      const terminal = yield* startOnTerminal(["resume"], cwd)
      yield* terminal.printed(/[█░]{10,} +\d+ % {3}\d+ of \d+ written/)
      locked.exec("ROLLBACK")
      assert.strictEqual(yield* terminal.exit, 0)
      assert.match(terminal.text(), /a\.db: \d+ samples and events written/)
    }))

  it.effect.each(
    [
      { signal: "SIGINT", code: 130 },
      { signal: "SIGTERM", code: 143 }
    ] as const
  )(
    "$signal ends resume, which says that nothing is lost and how to go on",
    ({ code, signal }) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        yield* killRecording(cwd, ...outs("a.csv", "a.db"))
        const locked = yield* lockDatabase(`${cwd}/a.db`)
        const running = yield* startSampleline(["resume"], { cwd })
        yield* running.printed("SqliteSink opened")
        running.process.kill(signal)
        assert.strictEqual(yield* running.exit, code)
        assert.include(running.stderr(), "nothing is lost: `sampleline resume a.csv.journal` goes on from here\n")
        locked.exec("ROLLBACK")
        const resumed = yield* sampleline(["resume", "a.csv.journal"], { cwd })
        assert.strictEqual(resumed.code, 0, resumed.stderr)
        const { csv, db } = sequencesIn(cwd)
        assert.deepStrictEqual([csv, db], [countUp(csv.length), csv])
      })
  )
})

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("an output that is stuck", (it) => {
  it.effect.each(
    [
      { signal: "SIGINT", code: 1 },
      { signal: "SIGTERM", code: 143 }
    ] as const
  )(
    "is left to the journal at $signal: the others get everything, and resume finishes it",
    ({ code, signal }) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const running = yield* startRecording(cwd, "--json", ...outs(...FILES))
        const locked = yield* lockDatabase(`${cwd}/a.db`)
        yield* fileGrowsBeyond(`${cwd}/a.csv`, 40_000)
        running.process.kill(signal)
        assert.strictEqual(yield* running.exit, code)
        const last = running.stderr().trimEnd().split("\n").at(-1)
        assert.match(
          last!,
          /^sampleline: a\.db lacks [\d,]+ samples and events; run `sampleline resume a\.csv\.journal`$/
        )
        const { journal, samplesEmitted } = JSON.parse(running.stdout())
        assert.strictEqual(journal.path, "a.csv.journal")
        assert.deepStrictEqual(journal.outputs.map(({ name }: { readonly name: string }) => name), ["a.db"])
        assert.strictEqual(rowsOf(`${cwd}/a.csv`).length, samplesEmitted)
        locked.exec("ROLLBACK")
        const resumed = yield* sampleline(["resume", "a.csv.journal"], { cwd })
        assert.strictEqual(resumed.code, 0, resumed.stderr)
        assert.deepStrictEqual(sequencesIn(cwd), { csv: countUp(samplesEmitted), db: countUp(samplesEmitted) })
        assert.isFalse(fs.existsSync(`${cwd}/a.csv.journal`))
      })
  )

  it.effect("loses nothing at a second Ctrl-C, which leaves at once", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startRecording(cwd, ...outs(...FILES))
      const locked = yield* lockDatabase(`${cwd}/a.db`)
      yield* fileGrowsBeyond(`${cwd}/a.csv`, 40_000)
      const polled = rowsOf(`${cwd}/a.csv`).length
      running.process.kill("SIGINT")
      yield* Effect.sleep("200 millis")
      const asked = performance.now()
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 130)
      assert.isBelow(performance.now() - asked, 2000)
      assert.include(running.stderr(), "what outputs lack is in a.csv.journal: run `sampleline resume a.csv.journal`")
      locked.exec("ROLLBACK")
      const resumed = yield* sampleline(["resume"], { cwd })
      assert.strictEqual(resumed.code, 0, resumed.stderr)
      const { csv, db } = sequencesIn(cwd)
      assert.isAtLeast(csv.length, polled)
      assert.deepStrictEqual([csv, db], [countUp(csv.length), csv])
    }))

  it.effect("leaves no journal with --no-journal, and then there is nothing to resume", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      yield* killRecording(cwd, "--no-journal", ...outs("a.csv"))
      assert.deepStrictEqual(fs.readdirSync(cwd).filter((name) => name.endsWith(".journal")), [])
      const { code, stderr } = yield* sampleline(["resume"], { cwd })
      assert.strictEqual(code, 1)
      assert.include(stderr, "sampleline: there is no *.journal in this folder, so there is nothing to resume here")
    }))
})

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("a journal", (it) => {
  it.effect("that a recorder holds is not resumed, and no second recorder gets it", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const running = yield* startRecording(cwd, "--journal", "mine", ...outs("a.csv"))
      const other = [...RECORD, "--journal", "mine", ...outs("b.csv")]
      for (const args of [["resume", "mine"], other, [...other, "--append"]]) {
        const { code, stderr } = yield* sampleline(args, { cwd })
        assert.strictEqual(code, 1)
        assert.match(
          stderr,
          new RegExp(
            `^sampleline: journal mine: process ${running.process.pid} on \\S+ records or resumes it; end that`
          )
        )
      }
      running.process.kill("SIGINT")
      assert.strictEqual(yield* running.exit, 0)
      assert.isFalse(fs.existsSync(`${cwd}/mine`))
    }))

  it.effect("must be named where there are several", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      for (const name of ["one.journal", "two.journal"]) fs.mkdirSync(`${cwd}/${name}`)
      const { code, stderr } = yield* sampleline(["resume"], { cwd })
      assert.strictEqual(code, 2)
      assert.strictEqual(stderr, "sampleline: several journals are here; give one of them: one.journal, two.journal\n")
    }))

  it.effect("is of the user's own folder where SQLite cannot work beside the outputs", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      // SQLite takes paths of at most 512 characters, and the system longer ones.
      const deep = path.join(...Array.from({ length: 6 }, () => "d".repeat(100)))
      fs.mkdirSync(path.join(cwd, deep), { recursive: true })
      const running = yield* startSampleline(
        [...RECORD, ...outs(`${deep}/a.csv`)],
        { cwd, env: { ...process.env, XDG_STATE_HOME: `${cwd}/state` } }
      )
      yield* fileGrowsBeyond(path.join(cwd, deep, "a.csv"), 10_000)
      running.process.kill("SIGKILL")
      yield* running.exit
      const [, journal = ""] = /INFO the journal is (\S+), because there can be none beside the outputs: /
        .exec(running.stderr()) ?? []
      assert.match(journal, /\/state\/sampleline\/a\.csv-[0-9a-f]{8}\.journal$/)
      const { code, stderr } = yield* sampleline(["resume", journal], { cwd: "/" })
      assert.strictEqual(code, 0, stderr)
      const sequences = rowsOf(path.join(cwd, deep, "a.csv")).map(({ sequence }) => Number(sequence))
      assert.deepStrictEqual(sequences, countUp(sequences.length))
      assert.isFalse(fs.existsSync(journal))
    }))
})

const postgres = Layer.provideMerge(PostgresServer.layer, NodeServices.layer)

it.layer(postgres, { excludeTestServices: true, timeout: "60 seconds" })("a Postgres output", (it) => {
  it.effect("is resumed by a password that is found or given again; the journal never has it", () =>
    Effect.gen(function*() {
      const server = yield* PostgresServer
      const database = yield* server.database
      const cwd = yield* tempFolder
      const address = `127.0.0.1:${server.address.port}/${database}`
      const password = Redacted.value(server.password)
      const url = `postgres://owner:${encodeURIComponent(password)}@${address}`
      yield* killRecording(cwd, "--create-table", ...outs("a.csv", url))
      const kept = fs.readdirSync(`${cwd}/a.csv.journal`)
        .map((name) => fs.readFileSync(`${cwd}/a.csv.journal/${name}`, "latin1")).join()
      assert.include(kept, `postgres://owner@${address}`)
      assert.notInclude(kept, password)
      assert.notInclude(kept, encodeURIComponent(password))

      const { PGPASSWORD: _, ...env } = process.env
      const elsewhere = yield* sampleline(["resume", "--out", "postgres://owner@127.0.0.1:1/other"], { cwd, env })
      assert.strictEqual(elsewhere.code, 2)
      assert.include(elsewhere.stderr, "--out postgres://127.0.0.1:1/other is no database of the recording")
      const without = yield* sampleline(["resume"], { cwd, env })
      assert.strictEqual(without.code, 1)
      assert.include(without.stdout, "a.csv: ")
      assert.include(without.stderr, "run `sampleline resume")

      const given = yield* sampleline(["resume", "--out", url], { cwd, env })
      assert.strictEqual(given.code, 0, given.stderr)
      for (const { stderr, stdout } of [elsewhere, without, given]) assert.notInclude(stdout + stderr, password)
      const rows = yield* server.query(database, "SELECT sequence::int FROM samples ORDER BY sequence")
      assert.deepStrictEqual(
        rows.map(({ sequence }) => sequence),
        rowsOf(`${cwd}/a.csv`).map(({ sequence }) => Number(sequence))
      )
    }))
})

it("a bar fits its columns, and gives way to its numbers", () => {
  const sum = { written: 45_000, lacking: 100_000 }
  assert.strictEqual(barOf(sum, 80), `${"█".repeat(18)}${"░".repeat(22)}  45 %   45,000 of 100,000 written`)
  assert.strictEqual(barOf(sum, 39), "45 %   45,000 of 100,000 written")
  assert.strictEqual(barOf({ written: 0, lacking: 0 }, 40), `${"░".repeat(17)}   0 %   0 of 0 written`)
})

it.each([
  ["postgres://me:s3cret@db:5432/lab?sslmode=require", "postgres://me@db:5432/lab?sslmode=require"],
  ["postgres://me:s3%40@cr@et@db/lab", "postgres://me@db/lab"],
  ["postgres://me@db/lab?password=s3cret&sslmode=require", "postgres://me@db/lab?sslmode=require"],
  ["postgres://db/lab?p%61ssword=s3cret", "postgres://db/lab"],
  ["postgresql://:s3cret@/lab", "postgresql://@/lab"],
  ["postgres://", "postgres://"]
])("a URL is kept without its password: %s", (url, expected) => {
  assert.strictEqual(withoutPassword(url), expected)
})
