import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { CsvSink, JsonlSink, ParquetSink, SqliteSink } from "../../src/index.ts"
import { fileOpenError, fileWriteError } from "../../src/internal/FileFailure.ts"
import type { FileMode } from "../../src/internal/OutputFile.ts"
import type { OpenableSink } from "../../src/OpenableSink.ts"
import { tempFile } from "../tempFile.ts"

const writer = { sink: "CsvSink", target: "run.csv" }

it.each([
  ["EEXIST", "AlreadyExists", "--append"],
  ["EACCES", "PermissionDenied", "choose a folder that you may write to"],
  ["EROFS", "PermissionDenied", "permission denied"],
  ["ENOSPC", "DiskFull", "make room"],
  ["EISDIR", "Unknown", "it is a folder"],
  ["ENOTDIR", "Unknown", "a part of its path is a file"],
  ["ENAMETOOLONG", "Unknown", "choose a shorter name"],
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
  ["ENAMETOOLONG", "Unknown", false],
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

type FileSink = OpenableSink<{ readonly path: string; readonly mode?: FileMode }, { readonly message: string }>

it.live.each<readonly [string, FileSink, length: number]>([
  ["CSV", CsvSink, 243],
  ["JSON lines", JsonlSink, 243],
  ["SQLite", SqliteSink, 248],
  ["Parquet", ParquetSink, 237]
])(
  "a name that leaves no room for those beside it is refused at once: %s",
  ([, sink, length]) =>
    Effect.gen(function*() {
      const path = yield* tempFile("x".repeat(length))
      for (const mode of ["create", "append"] as const) {
        for (const use of [Effect.asVoid(Layer.build(sink.layer({ path, mode }))), sink.check({ path, mode })]) {
          const { message } = yield* Effect.flip(Effect.scoped(use))
          assert.include(message, "its name is too long, or that of a file beside it; choose a shorter name")
        }
      }
      assert.deepStrictEqual(fs.readdirSync(nodePath.dirname(path)), [])
      yield* sink.check({ path: path.slice(0, -1) })
    })
)
