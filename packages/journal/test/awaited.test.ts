/**
 * An output that is not there when the recording begins.
 */
import { assert, it } from "@effect/vitest"
import {
  AwaitedSink,
  MemorySink,
  PollSource,
  Recorder,
  type RunEvent,
  SampleSink,
  SinkOpenError
} from "@sampleline/core"
import { SqliteSink } from "@sampleline/sinks"
import { Effect, Layer } from "effect"
import { DatabaseSync } from "node:sqlite"
import { Journal } from "../src/index.ts"
import { pathIn } from "./folder.ts"

const Counter = PollSource.layer({
  devices: ["fuel"],
  poll: (() => {
    let n = 0
    return () => Effect.sync(() => ({ Count: n++ }))
  })()
})

const refused = new SinkOpenError({
  sink: "late",
  target: "",
  reason: "ConnectionRefused",
  detail: "it does not answer"
})

it.live("an output that is awaited gets everything, and the others do not wait for it", () =>
  Effect.gen(function*() {
    const path = yield* pathIn("awaited.journal")
    const sequences: Array<number> = []
    const events: Array<RunEvent> = []
    let attempts = 0
    const late = Layer.effect(
      SampleSink,
      Effect.suspend(() =>
        attempts++ < 4 ? Effect.fail(refused) : Effect.succeed(SampleSink.make({
          name: "late",
          write: (batch) => Effect.sync(() => batch.forEach(({ sequence }) => sequences.push(sequence))),
          event: (event) => Effect.sync(() => events.push(event))
        }))
      )
    )
    const { samples, summary } = yield* Effect.gen(function*() {
      const summary = yield* Recorder.record({ rateHz: 50, duration: "2 seconds" }).pipe(
        Journal.pipeToSink({ path, flushInterval: "50 millis" })
      )
      return { summary, samples: (yield* MemorySink).samples }
    }).pipe(Effect.provide([SampleSink.layerAll([MemorySink.layer, AwaitedSink.layer(late)]), Counter]))
    assert.deepStrictEqual(sequences, samples.map(({ sequence }) => sequence))
    assert.strictEqual(sequences.length, summary.samplesEmitted)
    const told = events.filter(({ _tag }) => _tag.startsWith("Output"))
    assert.deepStrictEqual(told.map((event) => [event._tag, "detail" in event ? event.detail : null]), [
      ["OutputFailing", "it does not answer"],
      ["OutputBack", null]
    ])
  }))

it.live("a database that another program has locked gets everything when it is free", () =>
  Effect.gen(function*() {
    const path = yield* pathIn("run.db")
    const other = new DatabaseSync(path)
    other.exec("CREATE TABLE others (n INTEGER); BEGIN EXCLUSIVE")
    const status = new Journal.JournalStatus()
    const isWaiting = Effect.sync(() => status.outputs.some(({ state }) => state === "waiting"))
    const isFree = Effect.repeat(Effect.andThen(Effect.sleep("5 millis"), isWaiting), { until: (it) => it }).pipe(
      Effect.andThen(Effect.sync(() => other.exec("COMMIT")))
    )
    const locked = SqliteSink.layer({ path, mode: "append", busyTimeout: "50 millis" })
    const summary = yield* Recorder.record({ rateHz: 50 }).pipe(
      Journal.pipeToSink({ path: `${path}.journal`, flushInterval: "50 millis", status }),
      Recorder.endWhen(isFree),
      Effect.provide([AwaitedSink.layer(locked), Counter])
    )
    const rows = other.prepare("SELECT sequence FROM samples ORDER BY rowid").all()
    other.close()
    assert.deepStrictEqual(rows.map(({ sequence }) => sequence), Array.from(rows, (_, n) => n))
    assert.strictEqual(rows.length, summary.samplesEmitted)
  }))
