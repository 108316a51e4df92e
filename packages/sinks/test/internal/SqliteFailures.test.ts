import { assert, it } from "@effect/vitest"
import { SqliteFailure } from "@sampleline/sqlite"
import { Duration, Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { sqliteOpenError, sqliteWriteError } from "../../src/internal/SqliteFailures.ts"
import { failingCall } from "../failingCall.ts"
import { tempFile } from "../tempFile.ts"

const failure = (code: number) => new SqliteFailure({ message: "disk I/O error", code, cause: undefined })

const writeError = (target: string, code: number) =>
  sqliteWriteError({ sink: "SqliteSink", target }, 3, Duration.seconds(5), failure(code))

it.effect("a write that the disk refuses is not a full disk while there is room", () =>
  Effect.gen(function*() {
    const file = yield* tempFile("run.db")
    const error = writeError(file, 778)
    assert.deepInclude(error, {
      reason: "ConnectionLost",
      detail: "its disk does not work; check the disk and its connection: disk I/O error"
    })
    assert.isTrue(error.isRetryable)
    assert.deepStrictEqual(fs.readdirSync(path.dirname(file)), [])
  }))

it.effect.each(["ENOSPC", "EFBIG"])("a write that is refused with %s is a full disk", (code) =>
  Effect.gen(function*() {
    const file = yield* tempFile("run.db")
    yield* failingCall("writeSync", code)
    assert.strictEqual(writeError(file, 778).reason, "DiskFull")
    assert.deepStrictEqual(fs.readdirSync(path.dirname(file)), [])
  }))

it.effect.each([14, 4618])("SQLite's code %d with too many open files says so", (code) =>
  Effect.gen(function*() {
    const file = yield* tempFile("run.db")
    yield* failingCall("openSync", "EMFILE")
    assert.include(writeError(file, code).detail, "too many open files")
    const opening = sqliteOpenError({ sink: "SqliteSink", target: file }, failure(code))
    assert.include(opening.detail, "too many open files")
  }))

it.effect("a database that cannot be written to may come back, unless it was moved or is not there", () =>
  Effect.gen(function*() {
    const [READONLY, READONLY_DBMOVED] = [8, 1032]
    const file = yield* tempFile("run.db")
    assert.strictEqual(writeError(file, READONLY).reason, "PermissionDenied")
    fs.writeFileSync(file, "")
    assert.strictEqual(writeError(file, READONLY).reason, "ConnectionLost")
    assert.strictEqual(writeError(file, READONLY_DBMOVED).reason, "PermissionDenied")
  }))
