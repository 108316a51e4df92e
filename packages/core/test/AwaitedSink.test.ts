import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import * as AwaitedSink from "../src/AwaitedSink.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { SinkOpenError, SinkSchemaError } from "../src/SinkError.ts"
import { tick } from "./ticks.ts"

const unreachable = new SinkOpenError({ sink: "lab", target: "db/lab", reason: "ConnectionRefused", detail: "refused" })
const forbidden = new SinkOpenError({ sink: "lab", target: "db/lab", reason: "AuthenticationFailed", detail: "no" })
const noTable = new SinkSchemaError({ sink: "lab", target: "db/lab", detail: "no table" })

/** A sink that fails to open by each of these errors, and then opens. */
const opening = (...failures: ReadonlyArray<SinkOpenError | SinkSchemaError>) => {
  const log: Array<string> = []
  let attempts = 0
  const make = Effect.gen(function*() {
    yield* Effect.acquireRelease(Effect.sync(() => log.push("acquired")), () => Effect.sync(() => log.push("released")))
    const failure = failures[attempts++]
    if (failure !== undefined) return yield* failure
    return SampleSink.make({
      name: "lab",
      target: "db/lab",
      began: () => log.push("began"),
      write: (batch) => Effect.sync(() => log.push(`${batch.length} written`))
    })
  })
  return { log, layer: AwaitedSink.layer(Layer.effect(SampleSink, make)) }
}

const [sample] = tick(0).samples

describe("AwaitedSink.layer", () => {
  it.effect("is the sink itself if that can be opened", () => {
    const { layer, log } = opening()
    return Effect.gen(function*() {
      assert.isUndefined((yield* SampleSink).resumable)
      yield* (yield* SampleSink).write([sample!])
      assert.deepStrictEqual(log, ["acquired", "1 written"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("opens later what cannot be reached, and keeps nothing of an attempt that failed", () => {
    const { layer, log } = opening(unreachable, unreachable)
    return Effect.gen(function*() {
      const sink = yield* SampleSink
      assert.deepStrictEqual(log, ["acquired", "released"])
      sink.began()
      const error = yield* Effect.flip(sink.write([sample!]))
      assert.deepInclude(error, { _tag: "SinkWriteError", reason: "ConnectionLost", isRetryable: true })
      assert.strictEqual(error.message, "lab failed on db/lab: refused")
      assert.deepStrictEqual(sink.report(), [{ sink: "lab", target: "db/lab", rows: 0, columnsDropped: {}, error }])
      yield* sink.write([sample!])
      assert.deepStrictEqual(log.slice(2), ["acquired", "released", "acquired", "began", "1 written"])
      assert.deepInclude(sink.report()[0], { rows: 1, error: null })
    }).pipe(
      Effect.provide(layer),
      Effect.andThen(Effect.sync(() => assert.strictEqual(log.at(-1), "released")))
    )
  })

  it.effect.each([forbidden, noTable])(
    "fails at once if waiting does not help: $message",
    (failure) =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Effect.provide(SampleSink, opening(failure).layer))
        assert.deepStrictEqual(exit, Exit.fail(failure))
      })
  )

  it.effect.each([forbidden, noTable])(
    "fails for good if that shows later: $message",
    (failure) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip((yield* SampleSink).write([sample!]))
        assert.isFalse(error._tag === "SinkWriteError" && error.isRetryable)
        assert.strictEqual(error.detail, failure.detail)
      }).pipe(Effect.provide(opening(unreachable, failure).layer))
  )
})
