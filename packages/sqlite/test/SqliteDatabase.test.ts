import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { SqliteDatabase } from "../src/index.ts"
import { killChild, startChild } from "./child.ts"
import { tempFile } from "./tempFile.ts"

/** The files beside a database with their times and contents. */
const filesBeside = (file: string) => {
  const folder = path.dirname(file)
  return fs.readdirSync(folder).map((name) => {
    const file = path.join(folder, name)
    return [name, fs.statSync(file, { bigint: true }).mtimeNs, fs.readFileSync(file).toString("base64")]
  })
}

const make = (file: string, sql: string) =>
  Effect.scoped(
    Effect.flatMap(SqliteDatabase.open(file), (database) => SqliteDatabase.attempt(() => database.exec(sql)))
  )

const lookAt = (file: string, table = "samples") =>
  Effect.scoped(
    Effect.flatMap(
      SqliteDatabase.openReadOnly(file),
      (database) => SqliteDatabase.attempt(() => database.columnsOf(table))
    )
  )

describe("SqliteDatabase", () => {
  it.live("gives the columns of a table, and which of them take no null or need a value", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("a.db")
      const database = yield* SqliteDatabase.open(file)
      yield* SqliteDatabase.attempt(() =>
        database.exec(
          "CREATE TABLE samples (id INTEGER PRIMARY KEY NOT NULL, site TEXT NOT NULL, at TEXT NOT NULL DEFAULT 'x', n)"
        )
      )
      assert.deepStrictEqual(database.columnsOf("samples"), [
        { name: "id", type: "INTEGER", isNotNull: true, isRequired: false, hasDefault: true, isStrict: false },
        { name: "site", type: "TEXT", isNotNull: true, isRequired: true, hasDefault: false, isStrict: false },
        { name: "at", type: "TEXT", isNotNull: true, isRequired: false, hasDefault: true, isStrict: false },
        { name: "n", type: "", isNotNull: false, isRequired: false, hasDefault: false, isStrict: false }
      ])
      assert.deepStrictEqual(database.columnsOf("nothing"), [])
    }))

  it.live("turns an error of SQLite into a failure with its code", () =>
    Effect.gen(function*() {
      const database = yield* SqliteDatabase.open(":memory:")
      const failed = (sql: string) => Effect.flip(SqliteDatabase.attempt(() => database.exec(sql)))
      yield* SqliteDatabase.attempt(() => database.exec("CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1)"))
      const unique = yield* failed("INSERT INTO t VALUES (1)")
      assert.deepInclude(unique, { _tag: "SqliteFailure", code: 2067 })
      assert.strictEqual(unique.primaryCode, 19)
      assert.isFalse(unique.isBusy)
      const other = yield* Effect.flip(SqliteDatabase.attempt(() => {
        throw new Error("not SQLite")
      }))
      assert.deepInclude(other, { code: -1, message: "not SQLite" })
      assert.strictEqual(other.primaryCode, -1)
    }))

  it.live.each(["WAL", "DELETE"])("reads a %s database and leaves nothing behind", (mode) =>
    Effect.gen(function*() {
      const file = yield* tempFile("a ?#%.db")
      yield* make(file, `PRAGMA journal_mode = ${mode}; CREATE TABLE samples (device TEXT)`)
      const before = filesBeside(file)
      assert.deepStrictEqual((yield* lookAt(file)).map(({ name }) => name), ["device"])
      assert.deepStrictEqual(filesBeside(file), before)
    }))

  it.live("cannot write through a read-only connection", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("a.db")
      yield* make(file, "CREATE TABLE samples (device TEXT)")
      const database = yield* SqliteDatabase.openReadOnly(file)
      const error = yield* Effect.flip(SqliteDatabase.attempt(() => database.exec("DROP TABLE samples")))
      assert.strictEqual(error.primaryCode, 8)
    }))

  it.live("sees what another process has committed to its -wal file, also after that process was killed", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("a.db")
      const child = yield* startChild(`
        import { DatabaseSync } from "node:sqlite"
        const database = new DatabaseSync(${JSON.stringify(file)})
        database.exec("PRAGMA journal_mode = WAL; CREATE TABLE samples (device TEXT)")
        console.log("made")
        setTimeout(() => {}, 60_000)
      `)
      assert.strictEqual((yield* lookAt(file)).length, 1)
      yield* killChild(child)
      for (const missing of ["", "-shm"]) {
        if (missing !== "") fs.rmSync(`${file}${missing}`)
        const before = filesBeside(file)
        assert.strictEqual((yield* lookAt(file)).length, 1)
        assert.deepStrictEqual(filesBeside(file), before)
      }
    }))

  it.live("does not make a missing file, and refuses what is not a database", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("a.db")
      assert.strictEqual((yield* Effect.flip(lookAt(file))).primaryCode, 14)
      assert.isFalse(fs.existsSync(file))
      fs.writeFileSync(file, "time,value\n1,2\n")
      assert.strictEqual((yield* Effect.flip(lookAt(file))).primaryCode, 26)
      fs.writeFileSync(file, "")
      assert.deepStrictEqual(yield* lookAt(file), [])
    }))
})
