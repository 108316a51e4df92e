import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { SqliteSink, type SqliteSinkOptions } from "../../src/SqliteSink.ts"
import { tempFile } from "../tempFile.ts"
import { writeTo } from "../writing.ts"

const refused = Effect.fnUntraced(function*(options: Omit<SqliteSinkOptions, "path">) {
  const path = yield* tempFile("run.db")
  const error = yield* Effect.flip(writeTo(SqliteSink.layer({ path, ...options })))
  assert.strictEqual(error._tag, "InvalidOptionError")
  assert.strictEqual((yield* Effect.flip(SqliteSink.check({ path, ...options }))).message, error.message)
  assert.isFalse(fs.existsSync(path))
  return error.message
})

describe("the options of SqliteSink", () => {
  it.live.each(["samples; DROP TABLE x", "", "1st", "sämples", "a".repeat(64), "a\"b"])(
    "refuse the table name %j before anything is opened",
    (table) => refused({ table })
  )

  it.live.each(
    [
      [{ journalMode: "WAL; DROP TABLE x" as "WAL" }, "journalMode"],
      [{ synchronous: "2" as "FULL" }, "synchronous"],
      [{ busyTimeout: -1 }, "busyTimeout is -1"],
      [{ busyTimeout: "soon" as "1 second" }, "busyTimeout is \"soon\""],
      [{ table: "sqlite_rows" }, "does not begin with sqlite_"]
    ] as const
  )("refuse %o", ([options, message]) => Effect.map(refused(options), (text) => assert.include(text, message)))
})
