import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, type Duration, Effect, Exit, Fiber, Latch, Logger, Queue, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Progress } from "../src/AcquisitionSummary.ts"
import type { FrameRecord } from "../src/Frame.ts"
import type { InvalidOptionError } from "../src/InvalidOptionError.ts"
import { MemorySink } from "../src/MemorySink.ts"
import { pipeToSink } from "../src/pipeToSink.ts"
import { PollSource } from "../src/PollSource.ts"
import * as Recorder from "../src/Recorder.ts"
import type { RunEvent } from "../src/RunEvent.ts"
import type { Tick } from "../src/Sample.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { timedSource } from "./sources.ts"
import { batches, failing, tick, ticks } from "./ticks.ts"

describe("pipeToSink", () => {
  it.effect("writes full batches, and the rest at the end", () =>
    Effect.gen(function*() {
      const { layer, sizes } = batches()
      const summary = yield* ticks(150).pipe(pipeToSink({ batchSize: 64 }), Effect.provide(layer))
      // The start of the run is in the first batch.
      assert.deepStrictEqual(sizes, [63, 64, 23])
      assert.strictEqual(summary.samplesEmitted, 150)
      assert.strictEqual(summary.ticks, 150)
    }))

  it.effect("counts samples and events, not ticks, towards a batch", () =>
    Effect.gen(function*() {
      const { layer, sizes } = batches()
      yield* Stream.make(tick(0, 3), tick(1, 0), tick(2, 3)).pipe(pipeToSink({ batchSize: 2 }), Effect.provide(layer))
      assert.deepStrictEqual(sizes, [1, 2, 2, 1])
    }))

  it.effect("writes the open batch of an idle stream when the interval has passed", () =>
    Effect.gen(function*() {
      const { layer, sizes } = batches()
      const fiber = yield* Stream.make(tick(0), tick(1)).pipe(
        Stream.concat(Stream.never),
        pipeToSink({ batchSize: 64, flushInterval: "1 second" }),
        Effect.provide(layer),
        Effect.forkChild
      )
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(sizes, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(sizes, [2])
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("counts the interval from when a free sink gets the first sample of a batch, and writes what came until then together", () =>
    Effect.gen(function*() {
      const writes: Array<readonly [at: number, samples: number]> = []
      const busy = SampleSink.layer({
        name: "busy",
        write: (batch) =>
          Effect.andThen(
            Effect.clockWith((clock) =>
              Effect.sync(() => writes.push([clock.currentTimeMillisUnsafe(), batch.length]))
            ),
            Effect.sleep("5 seconds")
          )
      })
      const fiber = yield* Stream.range(0, 9).pipe(
        Stream.mapEffect((index) => Effect.as(Effect.sleep(700), tick(index))),
        pipeToSink({ batchSize: 64, flushInterval: "1 second" }),
        Effect.provide(busy),
        Effect.forkChild
      )
      yield* Effect.repeat(TestClock.adjust(100), { times: 200 })
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(writes, [[1700, 2], [7000, 8]])
    }))

  it.effect("keeps no more than four batches in memory for a sink that does not keep up", () =>
    Effect.gen(function*() {
      let taken = 0
      const fiber = yield* Stream.range(0, 999).pipe(
        Stream.rechunk(1),
        Stream.map((index) => tick(taken = index)),
        pipeToSink({ batchSize: 10 }),
        Effect.provide(SampleSink.layer({ name: "stuck", write: () => Effect.never })),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      assert.isAtMost(taken, 50)
      yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 minute")
    }))

  const failingLate = SampleSink.layer({
    name: "failing",
    write: () => Effect.andThen(Effect.sleep(30), Effect.fail("no more room"))
  })

  it.effect("when its sink fails, lets the upstream's resources go only after its last pull", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const upstream = Stream.unwrap(Effect.gen(function*() {
        yield* Effect.sleep(5)
        yield* Effect.acquireRelease(Effect.void, () => Effect.sync(() => events.push("released")))
        const poll = Effect.onInterrupt(Effect.never, () => Effect.sync(() => events.push("interrupted")))
        return Stream.concat(Stream.make(tick(0)), Stream.fromEffect(poll))
      }))
      const fiber = yield* upstream.pipe(
        pipeToSink({ batchSize: 1 }),
        Effect.provide(failingLate),
        Effect.flip,
        Effect.forkChild
      )
      yield* Effect.repeat(TestClock.adjust(5), { times: 20 })
      assert.include((yield* Fiber.join(fiber)).message, "no more room")
      assert.deepStrictEqual(events, ["interrupted", "released"])
    }))

  it.effect("when its sink fails, takes no more ticks", () =>
    Effect.gen(function*() {
      let taken = 0
      const fiber = yield* Stream.fromEffectRepeat(Effect.sync(() => tick(taken++))).pipe(
        pipeToSink({ batchSize: 10 }),
        Effect.provide(failingLate),
        Effect.flip,
        Effect.forkChild
      )
      yield* TestClock.adjust(20)
      const before = taken
      yield* TestClock.adjust(20)
      yield* Fiber.join(fiber)
      assert.strictEqual(taken, before)
    }))

  it.effect("after an upstream failure writes what was emitted, then fails with it", () =>
    Effect.gen(function*() {
      const sink = yield* MemorySink
      const exit = yield* ticks(100).pipe(
        Stream.concat(Stream.fail("upstream broke")),
        pipeToSink({ batchSize: 64 }),
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === "upstream broke")
      assert.strictEqual(sink.samples.length, 100)
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("after an upstream defect writes what was emitted, then dies with it", () =>
    Effect.gen(function*() {
      const sink = yield* MemorySink
      const exit = yield* ticks(3).pipe(Stream.concat(Stream.die("bug")), pipeToSink(), Effect.exit)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause) && Cause.squash(exit.cause) === "bug")
      assert.strictEqual(sink.samples.length, 3)
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("on interruption writes the open batch", () =>
    Effect.gen(function*() {
      const sink = yield* MemorySink
      const seen = yield* Latch.make()
      const fiber = yield* ticks(10).pipe(
        Stream.concat(Stream.fromEffectDrain(seen.open)),
        Stream.concat(Stream.never),
        pipeToSink(),
        Effect.forkChild
      )
      yield* seen.await
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(sink.samples.length, 10)
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("on interruption of a recording writes what waits in the recorder's buffer too", () =>
    Effect.gen(function*() {
      const gate = yield* Latch.make(false)
      let written = 0
      const { begins, layer } = timedSource()
      const fiber = yield* Recorder.record({ period: 10 }).pipe(
        pipeToSink({ batchSize: 1 }),
        Effect.provide([
          SampleSink.layer({
            name: "gated",
            write: (batch) => Effect.andThen(gate.await, Effect.sync(() => written += batch.length))
          }),
          layer
        ]),
        Effect.forkChild
      )
      yield* TestClock.adjust(100)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* gate.open
      yield* Fiber.join(interrupting)
      assert.strictEqual(begins.length, 11)
      assert.strictEqual(written, 11)
    }))

  it.effect("endWhen ends a recording with everything written and the summary returned", () =>
    Effect.gen(function*() {
      const end = yield* Deferred.make<void>()
      const sink = yield* MemorySink
      const fiber = yield* Recorder.record({ period: 100 }).pipe(
        pipeToSink(),
        Effect.provide(timedSource().layer),
        Recorder.endWhen(Deferred.await(end)),
        Effect.forkChild
      )
      yield* TestClock.adjust(450)
      yield* Deferred.succeed(end, undefined)
      const summary = yield* Fiber.join(fiber)
      assert.strictEqual(summary.samplesEmitted, 5)
      assert.strictEqual(sink.samples.length, 5)
      assert.strictEqual(summary.finishedAt, 450_000)
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("endWhen loses nothing that was polled, however slow the sink and full the buffer", () =>
    Effect.gen(function*() {
      const end = yield* Deferred.make<void>()
      let written = 0
      const { begins, layer } = timedSource()
      const fiber = yield* Recorder.record({ period: 100, bufferSize: 2 }).pipe(
        pipeToSink({ batchSize: 1, stopTimeout: "1 minute" }),
        Effect.provide([
          SampleSink.layer({
            name: "slow",
            write: (batch) => Effect.andThen(Effect.sleep("5 seconds"), Effect.sync(() => written += batch.length))
          }),
          layer
        ]),
        Recorder.endWhen(Deferred.await(end)),
        Effect.forkChild
      )
      yield* TestClock.adjust("2 seconds")
      yield* Deferred.succeed(end, undefined)
      yield* TestClock.adjust("1 minute")
      const summary = yield* Fiber.join(fiber)
      assert.isAbove(begins.length, 3)
      assert.deepStrictEqual([written, summary.samplesEmitted], [begins.length, begins.length])
    }))

  it.effect("endWhen loses nothing that waits for a slow operator between the recorder and the pipe", () =>
    Effect.gen(function*() {
      const sink = yield* MemorySink
      const { begins, layer } = timedSource()
      const fiber = yield* Recorder.record({ period: 100 }).pipe(
        Stream.mapEffect((tick) => Effect.as(Effect.sleep("1 second"), tick)),
        pipeToSink({ stopTimeout: "40 seconds" }),
        Effect.provide(layer),
        Recorder.endWhen(Effect.sleep("3 seconds")),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      const summary = yield* Fiber.join(fiber)
      assert.isAtLeast(begins.length, 30)
      assert.deepStrictEqual([sink.samples.length, summary.samplesEmitted], [begins.length, begins.length])
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("endWhen writes the open batch although the stream gives one more tick and then hangs", () =>
    Effect.gen(function*() {
      const sink = yield* MemorySink
      const hanging = Recorder.record({ period: "1 second" }).pipe(
        Stream.mapEffect((tick) =>
          tick.index < 3
            ? Effect.as(Effect.sleep(tick.index === 2 ? "1500 millis" : 0), tick)
            : Effect.uninterruptible(Effect.never)
        )
      )
      const fiber = yield* hanging.pipe(
        pipeToSink({ flushInterval: "1 hour" }),
        Effect.provide(timedSource().layer),
        Recorder.endWhen(Effect.sleep("3200 millis")),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      assert.strictEqual(sink.samples.length, 3)
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("endWhen ends any stream of ticks", () =>
    Effect.gen(function*() {
      const end = yield* Deferred.make<void>()
      const queue = yield* Queue.unbounded<Tick>()
      const fiber = yield* Stream.fromQueue(queue).pipe(
        pipeToSink(),
        Recorder.endWhen(Deferred.await(end)),
        Effect.forkChild
      )
      yield* Queue.offerAll(queue, [tick(0), tick(1)])
      yield* TestClock.adjust(1)
      yield* Deferred.succeed(end, undefined)
      assert.strictEqual((yield* Fiber.join(fiber)).samplesEmitted, 2)
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("endWhen ends a stream that always has a tick ready", () =>
    Effect.gen(function*() {
      let written = 0
      const summary = yield* Stream.forever(Stream.make(tick(0))).pipe(
        pipeToSink({ batchSize: 1 }),
        Recorder.endWhen(
          Effect.suspend(() => written < 1000 ? Effect.never : Effect.void).pipe(Effect.timeoutOption(1))
        ),
        Effect.provide(SampleSink.layer({
          name: "counting",
          write: () => Effect.suspend(() => ++written === 1000 ? TestClock.adjust(1) : Effect.void)
        }))
      )
      assert.isAtLeast(summary.samplesEmitted, 1000)
    }))

  /** Ends the stream after three seconds; gives the values recorded until then by ten polls a second. */
  const endedAfter3Seconds = (
    upstream: Stream.Stream<Tick, InvalidOptionError, PollSource>,
    poll: (n: number) => Effect.Effect<FrameRecord>,
    stopTimeout: Duration.Input = "5 seconds"
  ) =>
    Effect.gen(function*() {
      let n = 0
      const sink = yield* MemorySink
      const fiber = yield* upstream.pipe(
        pipeToSink({ flushInterval: "1 hour", batchSize: 1000, stopTimeout }),
        Effect.provide(
          PollSource.layer({ devices: ["p"], timeout: "1 hour", poll: () => Effect.suspend(() => poll(n++)) })
        ),
        Recorder.endWhen(Effect.sleep("3 seconds")),
        Effect.forkChild
      )
      // The recording begins before any time passes.
      yield* TestClock.adjust(0)
      yield* TestClock.adjust("1 minute")
      const exit = yield* Fiber.await(fiber)
      return { exit, stored: sink.samples.length }
    }).pipe(Effect.provide(MemorySink.layer))

  const value = Effect.succeed<FrameRecord>({ Value: 1 })
  const tenHz = Recorder.record({ rateHz: 10 })
  it.effect.each(
    [
      ["a poll hangs, whatever the stopTimeout", tenHz, (n: number) => n >= 10 ? Effect.never : value, "500 millis"],
      [
        "a poll cannot be interrupted",
        tenHz,
        (n: number) => n >= 10 ? Effect.uninterruptible(Effect.never) : value,
        "5 seconds"
      ],
      ["the stream does not end with its recorder", Stream.merge(tenHz, Stream.never), () => value, "5 seconds"],
      [
        "the stream goes on after its recorder",
        Stream.concat(Recorder.record({ rateHz: 10, duration: "1 second" }), Stream.never),
        () => value,
        "5 seconds"
      ]
    ] as const
  )("endWhen writes the open batch although %s", ([what, upstream, poll, stopTimeout]) =>
    Effect.gen(function*() {
      const { exit, stored } = yield* endedAfter3Seconds(upstream, poll, stopTimeout)
      assert.isTrue(Exit.isSuccess(exit))
      assert.isAtLeast(stored, what.startsWith("the stream does not") ? 30 : 10)
    }))

  const stuck = SampleSink.layer({ name: "stuck", target: "nowhere", write: () => Effect.never })

  it.effect("gives a stuck write stopTimeout after endWhen, and then fails with what was not written", () =>
    Effect.gen(function*() {
      const end = yield* Deferred.make<void>()
      const fiber = yield* Recorder.record({ period: 100 }).pipe(
        pipeToSink({ batchSize: 1, stopTimeout: "3 seconds" }),
        Effect.provide([stuck, timedSource().layer]),
        Recorder.endWhen(Deferred.await(end)),
        Effect.forkChild
      )
      yield* TestClock.adjust(250)
      yield* Deferred.succeed(end, undefined)
      yield* TestClock.adjust(2999)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error._tag, "SinkWriteError")
      assert.include(error.message, "stuck did not accept 3 samples for nowhere: not written within 3s")
    }))

  it.effect("gives a stuck write stopTimeout on interruption, and logs what was not written", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const fiber = yield* ticks(2).pipe(
        Stream.concat(Stream.never),
        pipeToSink({ batchSize: 1, stopTimeout: "3 seconds" }),
        Effect.provide([stuck, Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])]),
        Effect.forkChild
      )
      yield* TestClock.adjust(1)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust(2999)
      assert.isUndefined(interrupting.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(interrupting)
      assert.isTrue(lines.some((line) => line.includes("not written within 3s")))
    }))

  it.effect("fails at once when its only sink fails, naming sink, samples and cause", () =>
    Effect.gen(function*() {
      const progress = new Progress()
      const error = yield* ticks(200).pipe(
        Stream.concat(Stream.never),
        pipeToSink({ batchSize: 50, progress }),
        Effect.provide(failing("disk", 2)),
        Effect.flip
      )
      assert.strictEqual(error._tag, "SinkWriteError")
      assert.include(error.message, "disk did not accept 50 samples")
      assert.include(error.message, "no more room")
      assert.strictEqual(progress.current.sinks[0]?.rows, 99)
      assert.isNotNull(progress.current.sinks[0]?.error)
    }))

  it.effect.each(
    [
      [{ batchSize: 0 }, "batchSize is 0"],
      [{ batchSize: Number.NaN }, "batchSize is NaN"],
      [{ flushInterval: 0 }, "flushInterval is 0"],
      [{ flushInterval: -1 }, "flushInterval is -1"],
      [{ stopTimeout: 0 }, "stopTimeout is 0"]
    ] as const
  )("refuses %o", ([options, message]) =>
    Effect.gen(function*() {
      const error = yield* ticks(1).pipe(pipeToSink(options), Effect.provide(MemorySink.layer), Effect.flip)
      assert.strictEqual(error._tag, "InvalidOptionError")
      assert.include(error.message, message)
    }))
})

describe("events", () => {
  it.effect("reach a sink in their order among the samples", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const sink = SampleSink.layer({
        name: "order",
        write: (batch) => Effect.sync(() => seen.push(...batch.map(({ sequence }) => String(sequence)))),
        event: (event) => Effect.sync(() => seen.push(event._tag))
      })
      yield* Stream.make(tick(0), { ...tick(3), skipped: 2 }, tick(4)).pipe(pipeToSink(), Effect.provide(sink))
      assert.deepStrictEqual(seen, ["RunStarted", "0", "SlotsSkipped", "3", "4", "RunEnded"])
    }))

  it.effect("tell how the run ended", () =>
    Effect.gen(function*() {
      const { events } = yield* MemorySink
      const recorded = Stream.concat(ticks(3), Stream.never)
      yield* Effect.flip(Stream.concat(ticks(3), Stream.fail("upstream broke")).pipe(pipeToSink()))
      yield* recorded.pipe(pipeToSink(), Recorder.endWhen(Effect.succeed("SIGINT")))
      const fiber = yield* recorded.pipe(pipeToSink(), Effect.forkChild)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      const ends = events.filter((event) => event._tag === "RunEnded")
      assert.deepStrictEqual(ends.map(({ cause, detail }) => [cause, detail]), [
        ["failed", "upstream broke"],
        ["stopped", "SIGINT"],
        ["interrupted", null]
      ])
    }).pipe(Effect.provide(MemorySink.layer)))

  it.effect("have the marks of a user at their times, and a mark that nobody hears is told", () =>
    Effect.gen(function*() {
      const { events } = yield* MemorySink
      const fiber = yield* Recorder.record({ period: 100, duration: "1 second" }).pipe(pipeToSink(), Effect.forkChild)
      yield* TestClock.adjust("500 millis")
      yield* Recorder.mark("valve opened")
      yield* Recorder.mark("valve closed", 250_000)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      const marks = events.filter((event) => event._tag === "Marker")
      assert.deepStrictEqual(marks.map(({ at, text }) => [at, text]), [
        [500_000, "valve opened"],
        [250_000, "valve closed"]
      ])
      yield* Recorder.mark("too late")
      assert.strictEqual(events.filter((event) => event._tag === "Marker").length, 2)
    }).pipe(Effect.provide([MemorySink.layer, timedSource().layer])))

  it.effect("have what the user said of the run, and metadata that cannot be kept is refused", () =>
    Effect.gen(function*() {
      const { events } = yield* MemorySink
      const metadata = { operator: "Ada", "sample.id": "B-17" }
      const fiber = yield* Recorder.record({ rateHz: 10, duration: "1 second", metadata }).pipe(
        pipeToSink(),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepInclude(events[0], { _tag: "RunStarted", metadata, rateHz: 10 })
      for (
        const refused of [
          { "1st": "a" },
          { "a b": "a" },
          { a: "\0" },
          { a: "x".repeat(4097) },
          Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`a${n}`, ""]))
        ]
      ) {
        const error = yield* Effect.flip(Recorder.record({ rateHz: 10, metadata: refused }).pipe(pipeToSink()))
        assert.deepInclude(error, { _tag: "InvalidOptionError", option: "metadata" })
      }
    }).pipe(Effect.provide([MemorySink.layer, timedSource().layer])))
})

describe("whatever takes how long", () => {
  const millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
  it.effect.prop(
    "every slot is accounted for, in the summary and by events, and every delivered sample is stored once",
    {
      overflow: Schema.Literals(["block", "dropNewest", "dropOldest"]),
      bufferSize: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 })),
      batchSize: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })),
      flushInterval: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5000 })),
      polls: Schema.Array(millis(350)),
      writes: Schema.Array(millis(900)),
      endAt: Schema.NullOr(millis(4000))
    },
    ({ batchSize, bufferSize, endAt, flushInterval, overflow, polls, writes }) =>
      Effect.gen(function*() {
        const stored: Array<number> = []
        const events: Array<RunEvent> = []
        let batches = 0
        const { begins, layer } = timedSource(polls)
        const fiber = yield* Recorder.record({ period: 100, duration: "3 seconds", overflow, bufferSize }).pipe(
          pipeToSink({ batchSize, flushInterval, stopTimeout: "1 hour" }),
          Effect.provide([
            SampleSink.layer({
              name: "slow",
              write: (batch) =>
                Effect.andThen(
                  Effect.sleep(writes[batches++] ?? 0),
                  Effect.sync(() => stored.push(...batch.map((sample) => sample.sequence)))
                ),
              event: (event) => Effect.sync(() => events.push(event))
            }),
            layer
          ]),
          Recorder.endWhen(endAt === null ? Effect.never : Effect.sleep(endAt)),
          Effect.forkChild
        )
        yield* TestClock.adjust("5 minutes")
        const summary = yield* Fiber.join(fiber)
        assert.deepStrictEqual(stored, stored.map((_, n) => n))
        assert.strictEqual(summary.samplesEmitted, stored.length)
        assert.strictEqual(summary.ticks + summary.ticksDropped, begins.length)
        if (endAt === null) assert.strictEqual(summary.ticks + summary.samplesLate, 30)
        const told = (tag: "SlotsSkipped" | "TicksDropped") =>
          events.reduce((sum, event) => sum + (event._tag === tag ? event.count : 0), 0)
        assert.deepStrictEqual([told("SlotsSkipped"), told("TicksDropped")], [
          summary.ticksSkipped,
          summary.ticksDropped
        ])
        if (summary.ticks + summary.samplesLate === 0) return assert.deepStrictEqual(events, [])
        assert.strictEqual(events[0]?._tag, "RunStarted")
        assert.deepInclude(events.at(-1), { _tag: "RunEnded", samples: stored.length })
        if (endAt === null) assert.deepInclude(events.at(-1), { cause: "completed" })
        else if (endAt < 2900) assert.deepInclude(events.at(-1), { cause: "stopped" })
      })
  )
})
