import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { findDriver, loadDriver } from "../../src/internal/drivers.ts"

it.effect("names a missing package and the command that installs it", () =>
  Effect.gen(function*() {
    const found = yield* Effect.flip(findDriver("ParquetSink", "no-such-package"))
    assert.deepInclude(found, { missing: "no-such-package", install: "npm install no-such-package" })
    const load = () => Promise.reject(new Error("Cannot find package 'b' imported from here"))
    const loaded = yield* Effect.flip(loadDriver("PostgresSink", ["a", "b"], load))
    assert.deepInclude(loaded, { sink: "PostgresSink", missing: "b", install: "npm install a b" })
    yield* findDriver("ParquetSink", "hyparquet-writer")
  }))
