import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { findDriver, loadDriver } from "../../src/internal/drivers.ts"

const parquet = { sink: "ParquetSink", target: "run.parquet" }
const postgres = { sink: "PostgresSink", target: "127.0.0.1:5432/lab" }

const rejecting = (code: string, message: string) => () => Promise.reject(Object.assign(new Error(message), { code }))

it.effect("names a missing package and the command that installs it", () =>
  Effect.gen(function*() {
    const found = yield* Effect.flip(findDriver(parquet, "no-such-package"))
    assert.deepInclude(found, { missing: "no-such-package", install: "npm install no-such-package" })
    const load = rejecting("ERR_MODULE_NOT_FOUND", "Cannot find package 'b' imported from here")
    const loaded = yield* Effect.flip(loadDriver(postgres, ["a", "b"], load))
    assert.deepInclude(loaded, { sink: "PostgresSink", missing: "b", install: "npm install a b" })
    yield* findDriver(parquet, "hyparquet-writer")
  }))

it.effect("tells any other reason as it is", () =>
  Effect.gen(function*() {
    const files = rejecting("EMFILE", "EMFILE: too many open files, open '/node_modules/pg/package.json'")
    const error = yield* Effect.flip(loadDriver(postgres, ["pg"], files))
    assert.deepInclude(error, { _tag: "SinkOpenError", sink: "PostgresSink" })
    assert.include(error.message, "the package pg cannot be loaded: there are too many open files")
  }))
