import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Stream } from "effect"
import { Progress } from "../src/AcquisitionSummary.ts"
import { DroppedValues } from "../src/DroppedValues.ts"
import { MemorySink } from "../src/MemorySink.ts"
import { pipeToSink } from "../src/pipeToSink.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { batches, failing, tick, ticks } from "./ticks.ts"

describe("SampleSink.make", () => {
  it.effect("has no error once a batch that was refused is accepted", () =>
    Effect.gen(function*() {
      let writes = 0
      const sink = SampleSink.make({
        name: "retried",
        write: () => Effect.suspend(() => writes++ === 0 ? Effect.fail("no more room") : Effect.void)
      })
      const [first] = tick(0).samples
      yield* Effect.flip(sink.write([first!]))
      assert.isNotNull(sink.report()[0]!.error)
      yield* sink.write([first!])
      assert.deepInclude(sink.report()[0], { rows: 1, error: null })
    }))

  it.effect("counts a dropped value once, with one warning, however often its batch is written", () =>
    Effect.gen(function*() {
      const dropped = new DroppedValues()
      const lines: Array<string> = []
      let isFailing = true
      const take = Effect.suspend(() => {
        dropped.count("Gas", "there is no such column")
        return isFailing ? Effect.fail("no more room") : Effect.void
      })
      const sink = SampleSink.make({
        name: "retried",
        dropped: () => dropped,
        write: () => take,
        resumable: {
          open: ({ place }) => Effect.succeed(place ?? { through: 0, token: "" }),
          writeAt: (_, through) => Effect.as(take, { through, token: "" }),
          sync: Effect.void,
          finish: (through) => Effect.succeed({ through, token: "" }),
          forget: Effect.void
        }
      })
      const [first] = tick(0).samples
      const to = sink.resumable!
      const open = (through: number) => to.open({ journal: "a", place: { through, token: "" }, first: null })
      const write = (through: number) => to.writeAt([first!], through, () => Effect.void)
      const program = Effect.gen(function*() {
        yield* Effect.flip(sink.write([first!]))
        assert.deepStrictEqual(sink.report()[0]!.columnsDropped, {})
        yield* open(0)
        yield* Effect.flip(write(1))
        isFailing = false
        for (const through of [1, 2, 3]) yield* write(through)
        yield* to.sync
        for (const through of [4, 5]) yield* write(through)
        // What was not forced to disk is written again.
        yield* open(3)
        assert.deepInclude(sink.report()[0], { rows: 3, columnsDropped: { Gas: 3 } })
        yield* write(4)
      })
      yield* Effect.provide(program, Logger.layer([Logger.make(({ message }) => lines.push(String(message)))]))
      assert.deepInclude(sink.report()[0], { rows: 4, columnsDropped: { Gas: 4 } })
      assert.lengthOf(lines.filter((line) => line.includes("dropping values")), 1)
    }))
})

describe("SampleSink.make, for one run after the other", () => {
  it.effect("counts for each what was written and dropped in it", () =>
    Effect.gen(function*() {
      const dropped = new DroppedValues()
      const sink = SampleSink.make({
        name: "both",
        dropped: () => dropped,
        write: (batch) =>
          Effect.sync(() => {
            dropped.count("Gas", "there is no such column")
            if (batch.length === 1) dropped.count("Door", "there is no such column")
          })
      })
      const record = (count: number) => Effect.provideService(pipeToSink()(ticks(count)), SampleSink, sink)
      assert.deepInclude((yield* record(1)).sinks[0], { rows: 1, columnsDropped: { Gas: 1, Door: 1 } })
      assert.deepInclude((yield* record(5)).sinks[0], { rows: 5, columnsDropped: { Gas: 1 } })
    }))
})

describe("SampleSink.layerAll", () => {
  it.effect("tells the other sinks of a sink that fails", () =>
    Effect.gen(function*() {
      yield* Effect.flip(ticks(200).pipe(pipeToSink({ batchSize: 50 })))
      const { events } = yield* MemorySink
      const failed = events.filter((event) => event._tag === "OutputFailing")
      assert.deepStrictEqual(failed.map(({ detail, runId, sink }) => ({ detail, runId, sink })), [
        { detail: "no more room", runId: "run", sink: "bad" }
      ])
      const [end] = events.filter((event) => event._tag === "RunEnded")
      assert.deepStrictEqual(end?.outputs.map(({ error, rows }) => [rows, error !== null]), [[49, true], [200, false]])
    }).pipe(Effect.provide(SampleSink.layerAll([failing("bad", 1), MemorySink.layer]))))

  it.effect("writes each batch to all sinks", () =>
    Effect.gen(function*() {
      const a = batches()
      const b = batches()
      const summary = yield* ticks(70).pipe(pipeToSink(), Effect.provide(SampleSink.layerAll([a.layer, b.layer])))
      assert.deepStrictEqual([a.sizes, b.sizes], [[63, 7], [63, 7]])
      assert.deepStrictEqual(summary.sinks.map((sink) => sink.rows), [70, 70])
    }))

  it.effect("leaves a failed sink out, logs its error at once, and fails the run at its end", () =>
    Effect.gen(function*() {
      const good = batches()
      const progress = new Progress()
      const lines: Array<string> = []
      const error = yield* ticks(200).pipe(
        pipeToSink({ batchSize: 50, progress }),
        Effect.provide([
          SampleSink.layerAll([failing("bad", 1), good.layer]),
          Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])
        ]),
        Effect.flip
      )
      assert.include(error.message, "bad did not accept 50 samples")
      assert.deepStrictEqual(good.sizes, [49, 50, 50, 50, 1])
      assert.strictEqual(lines.filter((line) => line.includes("the other outputs go on")).length, 1)
      assert.deepStrictEqual(progress.current.sinks.map((sink) => [sink.rows, sink.error?._tag ?? null]), [
        [49, "SinkWriteError"],
        [200, null]
      ])
    }))

  it.effect.each(
    [
      ["throws", () => {
        throw new Error("bad write")
      }],
      ["dies", () => Effect.die("bad write")],
      ["interrupts itself", () => Effect.interrupt]
    ] as const
  )("is not disturbed by a sink whose write %s", ([, write]) =>
    Effect.gen(function*() {
      const good = batches()
      const error = yield* ticks(200).pipe(
        pipeToSink({ batchSize: 50 }),
        Effect.provide(SampleSink.layerAll([SampleSink.layer<never>({ name: "bad", write }), good.layer])),
        Effect.flip
      )
      assert.include(error.message, "bad did not accept 49 samples")
      assert.deepStrictEqual(good.sizes, [49, 50, 50, 50, 1])
    }))

  it.effect("fails at once when no sink is left", () =>
    Effect.gen(function*() {
      const error = yield* ticks(200).pipe(
        Stream.concat(Stream.never),
        pipeToSink({ batchSize: 50 }),
        Effect.provide(SampleSink.layerAll([failing("first", 1), failing("second", 2)])),
        Effect.flip
      )
      assert.include(error.message, "second did not accept 50 samples")
    }))

  it.effect("provides the sinks' own services, and closes them all", () =>
    Effect.gen(function*() {
      const closed: Array<string> = []
      const closing = (name: string) =>
        Layer.merge(
          SampleSink.layer({ name, write: () => Effect.void }),
          Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => closed.push(name))))
        )
      const samples = yield* Effect.gen(function*() {
        yield* pipeToSink()(ticks(3))
        return (yield* MemorySink).samples
      }).pipe(Effect.provide(SampleSink.layerAll([closing("a"), MemorySink.layer, closing("b")])))
      assert.strictEqual(samples.length, 3)
      assert.deepStrictEqual(closed.toSorted(), ["a", "b"])
    }))
})
