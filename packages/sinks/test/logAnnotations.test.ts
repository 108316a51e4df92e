/**
 * A structured logger sees which output a line is about.
 */
import { assert, it } from "@effect/vitest"
import { pipeToSink, PollSource, Recorder, SampleSink } from "@sampleline/core"
import { Effect, Layer, Logger, References } from "effect"
import { CsvSink } from "../src/CsvSink.ts"
import { JsonlSink } from "../src/JsonlSink.ts"
import { ParquetSink } from "../src/ParquetSink.ts"
import { PostgresSink } from "../src/PostgresSink.ts"
import { SqliteSink } from "../src/SqliteSink.ts"
import { SqlSink } from "../src/SqlSink.ts"
import { PostgresServer, prepared } from "./postgres.ts"
import { sqliteClient } from "./sqliteClient.ts"
import { tempFile } from "./tempFile.ts"

/** The annotations of the lines of a logger. */
const collecting = () => {
  const lines: Array<{ readonly text: string; readonly annotations: unknown }> = []
  const logger = Logger.make(({ fiber, message }) => {
    lines.push({ text: String(message), annotations: fiber.getRef(References.CurrentLogAnnotations) })
  })
  return { lines, layer: Logger.layer([logger]) }
}

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("the log of a sink", (it) => {
  it.effect("says in annotations which sink and which target a line is about", () =>
    Effect.gen(function*() {
      const { options } = yield* prepared()
      const csv = yield* tempFile("run.csv")
      const at = (name: string) => csv.replace("run.csv", name)
      const { layer, lines } = collecting()
      // JSON lines and SQL would take the column; the others fixed theirs at the first batch.
      let polls = 0
      const source = PollSource.layer({
        devices: ["oven"],
        poll: () => Effect.succeed(polls++ === 0 ? { Temperature: 180 } : { Temperature: 180, Door: "open" })
      })
      yield* Recorder.record({ rateHz: 50, duration: "100 millis" }).pipe(
        pipeToSink({ batchSize: 1 }),
        Effect.provide([
          SampleSink.layerAll([
            CsvSink.layer({ path: csv }),
            JsonlSink.layer({ path: at("run.jsonl") }),
            SqliteSink.layer({ path: at("run.db") }),
            ParquetSink.layer({ path: at("run.parquet") }),
            PostgresSink.layer({ ...options, createTable: true }),
            Layer.provide(SqlSink.layer({ createTable: true }), sqliteClient(at("sql.db")))
          ]),
          source
        ]),
        Effect.provide(layer)
      )
      const ofSink = (sink: string, target: string) => {
        const found = lines.filter(({ text }) => text.startsWith(sink))
        assert.isAtLeast(found.length, 2, sink)
        for (const { annotations, text } of found) assert.deepStrictEqual(annotations, { sink, target }, text)
        return found.map(({ text }) => text)
      }
      for (
        const [sink, target] of [
          ["CsvSink", csv],
          ["JsonlSink", at("run.jsonl")],
          ["SqliteSink", at("run.db")],
          ["ParquetSink", at("run.parquet")]
        ] as const
      ) {
        const texts = ofSink(sink, target)
        assert.include(texts[0], "opened")
        assert.include(texts.at(-1), "closed")
      }
      assert.include(ofSink("CsvSink", csv).join(), "dropping values of \"Door\"")
      const targetOf = (sink: string) =>
        lines.find(({ text }) => text.startsWith(`${sink} opened `))!.text.replace(`${sink} opened `, "")
      ofSink("PostgresSink", targetOf("PostgresSink"))
      ofSink("SqlSink", targetOf("SqlSink"))
    }))

  it.effect("says which output is left out", () =>
    Effect.gen(function*() {
      const { layer, lines } = collecting()
      const full = SampleSink.layer({ name: "full", target: "D:", write: () => Effect.fail("no more room") })
      const csv = yield* tempFile("run.csv")
      yield* Recorder.record({ rateHz: 50, duration: "100 millis" }).pipe(
        pipeToSink(),
        Effect.provide([
          SampleSink.layerAll([CsvSink.layer({ path: csv }), full]),
          PollSource.layer({ devices: ["oven"], poll: () => Effect.succeed({ Temperature: 180 }) })
        ]),
        Effect.provide(layer),
        Effect.exit
      )
      const line = lines.find(({ text }) => text.includes("go on without it")) ?? assert.fail("no such line")
      assert.deepStrictEqual(line.annotations, { sink: "full", target: "D:" })
    }))
})
