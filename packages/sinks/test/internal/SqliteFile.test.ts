import { assert, describe, it } from "@effect/vitest"
import { SampleSink } from "@sampleline/core"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { SqliteSink, type SqliteSinkOptions } from "../../src/SqliteSink.ts"
import { deviceOf, flow, samplesFrom } from "../samples.ts"
import { countRows, execute, isLockedForOthers, query } from "../sqlite.ts"
import { filesBeside, tempFile } from "../tempFile.ts"
import { nonEmpty, writeTo } from "../writing.ts"

describe("the file of SqliteSink", () => {
  it.live("is refused if it exists, is foreign, is corrupt or lacks the table, and stays as it was", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      yield* writeTo(SqliteSink.layer({ path, journalMode: "DELETE" }), samplesFrom(0, 100))
      const good = fs.readFileSync(path)
      const refused = Effect.fnUntraced(function*(content: Uint8Array, options: Partial<SqliteSinkOptions>) {
        fs.writeFileSync(path, content)
        const error = yield* Effect.flip(writeTo(SqliteSink.layer({ path, ...options }), samplesFrom(0, 1)))
        assert.isTrue(fs.readFileSync(path).equals(content))
        const before = filesBeside(path)
        assert.strictEqual((yield* Effect.flip(SqliteSink.check({ path, ...options }))).message, error.message)
        assert.deepStrictEqual(filesBeside(path), before)
        return error
      })
      assert.deepInclude(yield* refused(good, {}), { _tag: "SinkOpenError", reason: "AlreadyExists" })
      const foreign = { _tag: "SinkOpenError", reason: "Foreign" } as const
      const append = { mode: "append" } as const
      for (const text of ["time,value\n1,2\n", "x", "a".repeat(10_000)]) {
        assert.deepInclude(yield* refused(Buffer.from(text), append), foreign)
        assert.deepInclude(yield* refused(Buffer.from(text), { mode: "overwrite" }), foreign)
      }
      const corrupt = Buffer.concat([good.subarray(0, 100), Buffer.alloc(good.length - 100, 0x58)])
      const error = yield* refused(corrupt, append)
      assert.deepInclude(error, foreign)
      assert.include(error.message, "it is not an intact SQLite database. The file was not changed")
      const missing = yield* refused(good, { ...append, table: "nothing", createTable: false })
      assert.strictEqual(missing._tag, "SinkSchemaError")
      assert.include(missing.message, "it has no table nothing")
    }))

  it.live("is refused if it is a folder or a broken link, or if its folder cannot be made", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      fs.mkdirSync(path)
      fs.symlinkSync(`${path}.nowhere`, `${path}.link`)
      const messages = yield* Effect.forEach(
        [path, "/dev/null/run.db", `${path}.link`],
        (path) =>
          Effect.gen(function*() {
            const opening = yield* Effect.flip(writeTo(SqliteSink.layer({ path, mode: "append" })))
            assert.strictEqual(
              (yield* Effect.flip(SqliteSink.check({ path, mode: "append" }))).message,
              opening.message
            )
            return opening.message
          })
      )
      assert.include(messages[0], "it is a folder")
      assert.include(messages[1], "a part of its path is a file")
      assert.include(messages[2], "it already exists")
    }))

  it.live("keeps this process's locks while it is opened and checked", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      execute(path, "CREATE TABLE samples (Mass_Flow REAL)")
      const database = new DatabaseSync(path)
      database.exec("BEGIN IMMEDIATE")
      assert.isTrue(isLockedForOthers(path))
      const append = { path, mode: "append" } as const
      yield* SqliteSink.check(append, [deviceOf(flow)])
      yield* writeTo(SqliteSink.layer(append))
      assert.isTrue(isLockedForOthers(path))
      database.close()
      assert.isFalse(isLockedForOthers(path))
    }))

  it.live("can be checked while another process writes, and after that process was killed", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      const child = yield* Effect.callback<ReturnType<typeof spawn>>((resume) => {
        const program = `
          const { DatabaseSync } = require("node:sqlite")
          const database = new DatabaseSync(${JSON.stringify(path)})
          database.exec("PRAGMA journal_mode = WAL; CREATE TABLE samples (a TEXT)")
          process.stdout.write("made")
          setTimeout(() => {}, 60_000)
        `
        const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] })
        child.stdout.once("data", () => resume(Effect.succeed(child)))
      })
      const check = (table: string) => SqliteSink.check({ path, mode: "append", table }, [deviceOf(flow)])
      const names = () => fs.readdirSync(path.replace("/run.db", ""))
      const before = names()
      assert.include((yield* Effect.flip(check("samples"))).message, "none of this run's columns")
      yield* Effect.callback<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
      assert.include((yield* Effect.flip(check("samples"))).message, "none of this run's columns")
      assert.deepStrictEqual(names(), before)
      // The log is read without its index, and no new one is left behind.
      fs.rmSync(`${path}-shm`)
      assert.include((yield* Effect.flip(check("samples"))).message, "none of this run's columns")
      assert.isFalse(fs.existsSync(`${path}-shm`))
    }))

  it.live.each(["append", "overwrite"] as const)(
    "keeps its journal mode with %s, unless another is asked for",
    (mode) =>
      Effect.gen(function*() {
        const path = yield* tempFile("run.db")
        const journalMode = () => query(path, "PRAGMA journal_mode")[0]?.["journal_mode"]
        for (const kept of ["delete", "wal"]) {
          execute(path, `PRAGMA journal_mode = ${kept}; CREATE TABLE IF NOT EXISTS theirs (n)`)
          yield* writeTo(SqliteSink.layer({ path, mode }), samplesFrom(0, 1))
          assert.strictEqual(journalMode(), kept)
        }
        yield* writeTo(SqliteSink.layer({ path, mode, journalMode: "DELETE" }), samplesFrom(0, 1))
        assert.strictEqual(journalMode(), "delete")
        fs.rmSync(path)
        fs.writeFileSync(path, "")
        yield* writeTo(SqliteSink.layer({ path, mode }), samplesFrom(0, 1))
        assert.strictEqual(journalMode(), "wal")
      })
  )

  it.effect("has the first batch when it is copied alone, and later ones a minute after", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.db")
      /** How many rows a copy of the database file alone has. */
      const rowsInCopy = () => {
        const copy = `${path}.copy`
        execFileSync("cp", [path, copy])
        return countRows(copy)
      }
      yield* Effect.gen(function*() {
        const sink = yield* SampleSink
        const write = (start: number) => sink.write(nonEmpty(samplesFrom(start, 10)))
        yield* write(0)
        assert.strictEqual(rowsInCopy(), 10)
        yield* write(10)
        assert.strictEqual(rowsInCopy(), 10)
        yield* TestClock.adjust("1 minute")
        yield* write(20)
        assert.strictEqual(rowsInCopy(), 30)
      }).pipe(Effect.provide(SqliteSink.layer({ path })))
    }))
})
