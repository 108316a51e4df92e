import { assert, it } from "@effect/vitest"
import { SqliteFailure } from "@sampleline/sqlite"
import { Duration, Effect } from "effect"
import * as fs from "node:fs"
import { sqliteWriteError } from "../../src/internal/SqliteFailures.ts"
import { tempFile } from "../tempFile.ts"

const READONLY = 8
const READONLY_DBMOVED = 1032

it.effect("a database that cannot be written to may come back, unless it was moved or is not there", () =>
  Effect.gen(function*() {
    const target = yield* tempFile("run.db")
    const reasonOf = (code: number) =>
      sqliteWriteError(
        { sink: "SqliteSink", target },
        1,
        Duration.zero,
        new SqliteFailure({ message: "attempt to write a readonly database", code, cause: undefined })
      ).reason
    assert.strictEqual(reasonOf(READONLY), "PermissionDenied")
    fs.writeFileSync(target, "")
    assert.strictEqual(reasonOf(READONLY), "ConnectionLost")
    assert.strictEqual(reasonOf(READONLY_DBMOVED), "PermissionDenied")
  }))
