import { assert, it } from "@effect/vitest"
import { fileOpenError, fileWriteError } from "../../src/internal/FileFailure.ts"

const writer = { sink: "CsvSink", target: "run.csv" }

it.each([
  ["EEXIST", "AlreadyExists", "--append"],
  ["EACCES", "PermissionDenied", "choose a folder that you may write to"],
  ["EROFS", "PermissionDenied", "permission denied"],
  ["ENOSPC", "DiskFull", "make room"],
  ["EISDIR", "Unknown", "it is a folder"],
  ["ENOTDIR", "Unknown", "a part of its path is a file"],
  ["ENXIO", "ConnectionRefused", "start the reader first"],
  ["EMFILE", "Unknown", "too many open files"]
])("opening with %s fails with %s", (code, reason, detail) => {
  const cause = Object.assign(new Error("broken"), { code })
  const error = fileOpenError(writer, cause)
  assert.deepInclude(error, { sink: "CsvSink", target: "run.csv", reason, cause } as object)
  assert.include(error.detail, detail)
})

it.each([
  ["ENOSPC", "DiskFull", true],
  ["EFBIG", "DiskFull", true],
  ["EPIPE", "ConnectionLost", true],
  ["EACCES", "PermissionDenied", false],
  ["EROFS", "ConnectionLost", true],
  ["EIO", "ConnectionLost", true],
  ["ENODEV", "ConnectionLost", true],
  ["ESTALE", "ConnectionLost", true],
  ["ENOENT", "Unknown", false]
])("writing with %s fails with %s", (code, reason, isRetryable) => {
  const error = fileWriteError(writer, 3, Object.assign(new Error("broken"), { code }))
  assert.deepInclude(error, { samples: 3, reason } as object)
  assert.strictEqual(error.isRetryable, isRetryable)
})

it("writing with too many open files says so", () => {
  const error = fileWriteError(writer, 3, Object.assign(new Error("broken"), { code: "ENFILE" }))
  assert.include(error.detail, "too many open files")
})
