/**
 * What other programs do to an output holds up neither the ticks nor the other outputs.
 */
import { assert, describe, it } from "@effect/vitest"
import { MemorySink, PollSource, Recorder, SampleSink } from "@sampleline/core"
import { CsvSink, SqliteSink } from "@sampleline/sinks"
import { Effect, Fiber, Layer, Logger } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { Journal } from "../src/index.ts"
import { pathIn } from "./folder.ts"

const Devices = PollSource.layer({
  devices: ["fuel", "air", "purge"],
  poll: (() => {
    let n = 0
    return () => Effect.sync(() => ({ Count: n++ }))
  })()
})

describe("an output that is held up", () => {
  it.live("gets everything when another program's open transaction is over", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.db")
      const csv = path.replace(".db", ".csv")
      const database = yield* Effect.acquireRelease(
        Effect.sync(() => new DatabaseSync(path)),
        (database) => Effect.sync(() => database.close())
      )
      database.exec("PRAGMA journal_mode = WAL")
      const outputs = SampleSink.layerAll([
        MemorySink.layer,
        CsvSink.layer({ path: csv, rowIds: true }),
        SqliteSink.layer({ path, mode: "append", busyTimeout: "500 millis" })
      ])
      const { events, samples, summary } = yield* Effect.gen(function*() {
        const fiber = yield* Recorder.record({ rateHz: 100, duration: "4 seconds" }).pipe(
          Journal.pipeToSink({ path: `${path}.journal`, flushInterval: "100 millis" }),
          Effect.forkChild
        )
        yield* Effect.sleep("500 millis")
        database.exec("BEGIN IMMEDIATE")
        yield* Effect.sleep("2 seconds")
        const rows = fs.readFileSync(csv, "utf8").split("\n").length - 2
        const { samples } = yield* MemorySink
        // The CSV is at most one flush interval behind, and what runs beside it.
        assert.isAtLeast(rows, samples.length - 100)
        assert.isAbove(rows, 300)
        database.exec("ROLLBACK")
        const summary = yield* Fiber.join(fiber)
        return { summary, ...(yield* MemorySink) }
      }).pipe(Effect.provide([Layer.provide(outputs, Logger.layer([])), Devices]))

      const sequences = samples.map(({ sequence }) => sequence)
      assert.strictEqual(samples.length, summary.samplesEmitted)
      assert.deepStrictEqual(
        database.prepare("SELECT sequence FROM samples ORDER BY rowid").all().map((row) => row["sequence"]),
        sequences
      )
      assert.strictEqual(fs.readFileSync(csv, "utf8").split("\n").length - 2, samples.length)
      assert.deepStrictEqual(
        events.filter((event) => event._tag === "OutputFailing" || event._tag === "OutputBack").map(({ sink }) => sink),
        ["SqliteSink", "SqliteSink"]
      )
      // A busy machine may skip slots. Outputs that are slow must not.
      for (const event of events) if (event._tag === "SlotsSkipped") assert.notStrictEqual(event.cause, "buffer")
      assert.isFalse(fs.existsSync(`${path}.journal`))
    }).pipe(Effect.scoped))
})
