import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { DatabaseSync } from "node:sqlite"
import { retryWhileLocked, runTransaction, SqliteDatabase } from "../src/index.ts"
import { startChild } from "./child.ts"
import { tempFile } from "./tempFile.ts"

/** Makes a database and locks it in a process of its own, until it is released. */
const lockElsewhere = Effect.fnUntraced(function*(file: string) {
  const child = yield* startChild(`
    import { DatabaseSync } from "node:sqlite"
    const database = new DatabaseSync(${JSON.stringify(file)})
    database.exec("CREATE TABLE samples (n INTEGER); BEGIN IMMEDIATE")
    console.log("locked")
    process.stdin.once("data", () => { database.exec("COMMIT"); process.exit() })
  `)
  return { release: () => child.stdin!.write("go") }
})

const insert = (database: SqliteDatabase.SqliteDatabase) => () =>
  runTransaction(database, () => {
    database.exec("INSERT INTO samples VALUES (1)")
    return "done"
  })

const countRows = (file: string) => {
  const database = new DatabaseSync(file, { readOnly: true })
  const row = database.prepare("SELECT count(*) AS n FROM samples").get()
  database.close()
  return row?.["n"]
}

describe("a transaction", () => {
  it.live("waits for another process's lock, and nothing else waits", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("a.db")
      const lock = yield* lockElsewhere(file)
      const database = yield* SqliteDatabase.open(file)
      const writing = yield* Effect.forkChild(retryWhileLocked(insert(database), Duration.seconds(20)), {
        startImmediately: true
      })
      let turns = 0
      yield* Effect.repeat(Effect.andThen(Effect.sleep(5), Effect.sync(() => turns++)), { times: 9 })
      assert.strictEqual(turns, 10)
      assert.isUndefined(writing.pollUnsafe())
      lock.release()
      assert.strictEqual(yield* Fiber.join(writing), "done")
      assert.strictEqual(countRows(file), 1)
    }))

  it.live.each([0, 100])(
    "fails if a lock is not freed within %d ms, and has written nothing",
    (millis) =>
      Effect.gen(function*() {
        const file = yield* tempFile("a.db")
        yield* lockElsewhere(file)
        const database = yield* SqliteDatabase.open(file)
        const error = yield* Effect.flip(retryWhileLocked(insert(database), Duration.millis(millis)))
        assert.isTrue(error.isBusy)
        assert.isFalse(database.isInTransaction())
      })
  )

  it.live("is rolled back if it throws, and is retried only while the database is locked", () =>
    Effect.gen(function*() {
      const file = yield* tempFile("a.db")
      const database = yield* SqliteDatabase.open(file)
      database.exec("CREATE TABLE samples (n INTEGER)")
      let tries = 0
      const error = yield* Effect.flip(retryWhileLocked(
        () =>
          runTransaction(database, () => {
            tries++
            database.exec("INSERT INTO samples VALUES (1)")
            database.exec("INSERT INTO nothing VALUES (1)")
          }),
        Duration.seconds(5)
      ))
      assert.include(error.message, "nothing")
      assert.strictEqual(tries, 1)
      assert.isFalse(database.isInTransaction())
      assert.strictEqual(countRows(file), 0)
    }))
})
