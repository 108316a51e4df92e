import { assert, describe, it } from "@effect/vitest"
import {
  FrameFormat,
  MemorySink,
  PollSource,
  Progress,
  Recorder,
  Sample,
  SampleSink,
  SinkWriteError,
  type Tick
} from "@sampleline/core"
import { Deferred, Effect, Exit, Fiber, Logger, Schedule, Stream } from "effect"
import * as fs from "node:fs"
import { Journal, type JournalError } from "../src/index.ts"
import { pathIn } from "./folder.ts"

/** Two devices that count their polls. */
const Counters = PollSource.layer({
  devices: ["fuel", "air"],
  poll: (() => {
    let n = 0
    return () => Effect.sync(() => ({ Count: n++ }))
  })()
})

const recording = Recorder.record({ rateHz: 200, duration: "500 millis" })

/** The sequences of samples that a sink got, and a way to make it fail. */
const faultySink = () => {
  const sequences: Array<number> = []
  const waiting = new Map<number, Deferred.Deferred<void>>()
  let problem: (() => Effect.Effect<never, SinkWriteError>) | undefined
  return {
    sequences,
    failBy: (next: typeof problem) => {
      problem = next
    },
    layer: SampleSink.layer({
      name: "faulty",
      write: (batch) =>
        Effect.suspend(() => {
          if (problem !== undefined) return problem()
          for (const { sequence } of batch) sequences.push(sequence)
          return Effect.forEach(batch, ({ sequence }) => {
            const deferred = waiting.get(sequence)
            return deferred === undefined ? Effect.void : Deferred.succeed(deferred, undefined)
          }, { discard: true })
        })
    }),
    /** Completes when the sink has a sample. */
    got: (sequence: number) =>
      Effect.suspend(() => {
        const deferred = Deferred.makeUnsafe<void>()
        waiting.set(sequence, deferred)
        return Deferred.await(deferred)
      })
  }
}

const run = { id: "run", startedAt: 0, devices: [] }
const format = FrameFormat.fromRecord({ Value: 0 })

/** A tick of many samples. */
const tickOf = (index: number, samples: number): Tick => ({
  run,
  index,
  at: index,
  driftMs: 0,
  skipped: 0,
  skipCause: null,
  dropped: 0,
  clockSteps: [],
  failures: [],
  thinned: [],
  droppedFailures: new Map(),
  isTrailer: false,
  samples: Array.from({ length: samples }, (_, n) =>
    new Sample({
      run,
      device: "probe",
      unitId: "A",
      sequence: index * samples + n,
      requestedAt: index,
      receivedAt: index,
      requestedMonotonicNanos: 0,
      receivedMonotonicNanos: 0,
      frame: format.frame({ Value: n })
    }))
})

const lost = Effect.suspend(() =>
  Effect.fail(new SinkWriteError({ sink: "faulty", target: "", samples: 1, reason: "ConnectionLost", detail: "gone" }))
)
const forGood = Effect.suspend(() =>
  Effect.fail(
    new SinkWriteError({ sink: "faulty", target: "", samples: 1, reason: "Constraint", detail: "no such table" })
  )
)
const sequencesUpTo = (count: number) => Array.from({ length: count }, (_, n) => n)

describe("Journal.pipeToSink", () => {
  it.live("gives the sink what the simple path gives it, and removes the journal", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const { events, samples, summary } = yield* Effect.gen(function*() {
        const summary = yield* recording.pipe(Journal.pipeToSink({ path }))
        const { events, samples } = yield* MemorySink
        return { events, samples, summary }
      }).pipe(Effect.provide([MemorySink.layer, Counters]))
      assert.deepStrictEqual(samples.map(({ sequence }) => sequence), sequencesUpTo(summary.samplesEmitted))
      assert.strictEqual(summary.samplesEmitted, 2 * summary.ticks)
      assert.deepStrictEqual(events.map(({ _tag }) => _tag).filter((tag) => tag.startsWith("Run")), [
        "RunStarted",
        "RunEnded"
      ])
      const end = events.at(-1)
      assert(end?._tag === "RunEnded")
      assert.strictEqual(end.samples, samples.length)
      assert.strictEqual(end.outputs[0]?.rows, samples.length)
      assert.isFalse(fs.existsSync(path))
    }).pipe(Effect.scoped))

  it.live("holds samples for an output that fails in passing, and tells when it failed and was back", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const faulty = faultySink()
      faulty.failBy(() => lost)
      yield* Effect.gen(function*() {
        const fiber = yield* Recorder.record({ rateHz: 200, duration: "1 second" }).pipe(
          Journal.pipeToSink({ path, flushInterval: "50 millis" }),
          Effect.forkChild
        )
        yield* Effect.sleep("300 millis")
        faulty.failBy(undefined)
        const summary = yield* Fiber.join(fiber)
        const { events, samples } = yield* MemorySink
        assert.deepStrictEqual(
          events.map(({ _tag }) => _tag).filter((tag) => tag.startsWith("Output")),
          ["OutputFailing", "OutputBack"]
        )
        assert.deepStrictEqual(samples.map(({ sequence }) => sequence), sequencesUpTo(summary.samplesEmitted))
        assert.deepStrictEqual(faulty.sequences, sequencesUpTo(summary.samplesEmitted))
      }).pipe(Effect.provide([SampleSink.layerAll([MemorySink.layer, faulty.layer]), Counters]))
      assert.isFalse(fs.existsSync(path))
    }).pipe(Effect.scoped))

  it.live("ends with everything in its outputs, however long the flush interval is", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const [summary, samples] = yield* Effect.gen(function*() {
        const summary = yield* recording.pipe(Journal.pipeToSink({ path, flushInterval: "1 hour", batchSize: 10_000 }))
        return [summary, (yield* MemorySink).samples] as const
      }).pipe(Effect.provide([MemorySink.layer, Counters]))
      assert.deepStrictEqual(samples.map(({ sequence }) => sequence), sequencesUpTo(summary.samplesEmitted))
      assert.isFalse(fs.existsSync(path))
    }).pipe(Effect.scoped))

  it.live("tries an output that waits at once when the run ends, however long its pause is", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const faulty = faultySink()
      const ended = yield* Deferred.make<void>()
      let failures = 0
      faulty.failBy(() => {
        // The next pause is longer than the outputs have at the end.
        if (++failures === 5) {
          faulty.failBy(undefined)
          Deferred.doneUnsafe(ended, Effect.void)
        }
        return lost
      })
      const summary = yield* Recorder.record({ rateHz: 200 }).pipe(
        Journal.pipeToSink({ path, flushInterval: "20 millis", stopTimeout: "600 millis" }),
        Recorder.endWhen(Deferred.await(ended)),
        Effect.provide([faulty.layer, Counters])
      )
      assert.deepStrictEqual(faulty.sequences, sequencesUpTo(summary.samplesEmitted))
    }).pipe(Effect.scoped))

  it.live("leaves an output behind that fails for good; the others get everything, and resume finishes it", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const faulty = faultySink()
      faulty.failBy(() => forGood)
      const { events, exit, samples } = yield* Effect.gen(function*() {
        const exit = yield* Effect.exit(recording.pipe(Journal.pipeToSink({ path })))
        const { events, samples } = yield* MemorySink
        return { exit, events: events.length, samples: samples.length }
      }).pipe(Effect.provide([SampleSink.layerAll([MemorySink.layer, faulty.layer]), Counters]))
      assert.isTrue(Exit.isFailure(exit))
      assert.isTrue(fs.existsSync(path))
      assert.deepStrictEqual(faulty.sequences, [])
      faulty.failBy(undefined)
      const report = yield* Effect.provide(Journal.resume({ path }), faulty.layer)
      assert.deepStrictEqual(faulty.sequences, sequencesUpTo(samples))
      assert.strictEqual(report.outputs[0]?.written, samples + events)
      assert.isFalse(fs.existsSync(path))
    }).pipe(Effect.scoped))

  it.live("ends in time although an output is stuck, and keeps what it lacks", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const faulty = faultySink()
      faulty.failBy(() => Effect.never)
      const exit = yield* recording.pipe(
        Journal.pipeToSink({ path, stopTimeout: "500 millis" }),
        Effect.exit,
        Effect.provide([SampleSink.layerAll([MemorySink.layer, faulty.layer]), Counters]),
        Effect.timeout("3 seconds")
      )
      assert.isTrue(Exit.isFailure(exit))
      faulty.failBy(undefined)
      yield* Effect.provide(Journal.resume({ path }), faulty.layer)
      assert.deepStrictEqual(faulty.sequences, sequencesUpTo(faulty.sequences.length))
      assert.isAbove(faulty.sequences.length, 100)
    }).pipe(Effect.scoped))

  it.live("does not let a slow output hold up the ticks, and writes what waits for it in larger batches", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const sizes: Array<number> = []
      const slow = SampleSink.layer({
        name: "slow",
        write: (batch) => Effect.andThen(Effect.sleep("200 millis"), Effect.sync(() => sizes.push(batch.length)))
      })
      const summary = yield* Recorder.record({ rateHz: 200, duration: "1 second" }).pipe(
        Journal.pipeToSink({ path, batchSize: 8 }),
        Effect.provide([slow, Counters])
      )
      assert.strictEqual(sizes.reduce((sum, size) => sum + size, 0), summary.samplesEmitted)
      assert.isAbove(Math.max(...sizes), 8)
      assert.isBelow(sizes.length, 10)
    }).pipe(Effect.scoped))

  it.live("tells once of an output that takes samples and then cannot write them", () =>
    Effect.gen(function*() {
      let [held, waiting, isFull] = [0, 0, true]
      const place = () => ({ through: held, token: "" })
      const grouped = SampleSink.layer({
        name: "grouped",
        write: () => Effect.void,
        resumable: {
          open: () =>
            Effect.sync(() => {
              waiting = 0
              return place()
            }),
          writeAt: (items, through) =>
            Effect.suspend(() => {
              waiting += items.length
              if (waiting > 32 && isFull) {
                return Effect.fail(
                  new SinkWriteError({
                    sink: "grouped",
                    target: "",
                    samples: waiting,
                    reason: "DiskFull",
                    detail: "full"
                  })
                )
              }
              if (waiting > 32) [held, waiting] = [through, 0]
              return Effect.succeed(place())
            }),
          sync: Effect.void,
          finish: (through) => Effect.succeed({ through, token: "" }),
          forget: Effect.void
        }
      })
      const events = yield* Effect.gen(function*() {
        yield* Effect.forkChild(Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => isFull = false)))
        yield* Recorder.record({ rateHz: 200, duration: "3 seconds" }).pipe(
          Journal.pipeToSink({ path: yield* pathIn("run.journal"), batchSize: 8 })
        )
        return (yield* MemorySink).events
      }).pipe(Effect.provide([SampleSink.layerAll([MemorySink.layer, grouped]), Counters]))
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag).filter((tag) => tag.startsWith("Output")),
        ["OutputFailing", "OutputBack"]
      )
    }).pipe(Effect.scoped))

  it.live("writes a backlog in pieces, for some sinks hold up the ticks while they write", () =>
    Effect.gen(function*() {
      const [devices, ticks] = [100, 40]
      const all = yield* Deferred.make<void>()
      const sizes: Array<number> = []
      const stuck = SampleSink.layer({
        name: "stuck",
        write: (batch) => {
          sizes.push(batch.length)
          return Deferred.await(all)
        }
      })
      const names = Array.from({ length: devices }, (_, n) => `device-${n}`)
      yield* Recorder.record({ rateHz: 200 }).pipe(
        Stream.take(ticks),
        Journal.pipeToSink({
          path: yield* pathIn("run.journal"),
          onAccepted: (samples) => samples === devices * ticks && Deferred.doneUnsafe(all, Effect.void)
        }),
        Effect.provide([stuck, PollSource.layer({ devices: names, poll: () => Effect.succeed({ Count: 1 }) })])
      )
      assert.strictEqual(sizes.reduce((sum, size) => sum + size, 0), devices * ticks)
      assert.isAtMost(Math.max(...sizes), 1024)
    }).pipe(Effect.scoped))

  it.live("refuses a folder that holds something, and resume one that is not there", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const missing = yield* Effect.flip(Effect.provide(Journal.resume({ path }), MemorySink.layer))
      assert.strictEqual((missing as JournalError).reason, "Missing")
      fs.mkdirSync(path)
      fs.writeFileSync(`${path}/notes.txt`, "mine")
      const failure = yield* Effect.flip(
        recording.pipe(Journal.pipeToSink({ path }), Effect.provide([MemorySink.layer, Counters]))
      )
      assert.strictEqual((failure as JournalError).reason, "AlreadyExists")
    }).pipe(Effect.scoped))

  it.live("drops the oldest samples at its bound if that is wished, and tells how many an output will not get", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const faulty = faultySink()
      faulty.failBy(() => lost)
      const { events } = yield* Effect.gen(function*() {
        const memory = yield* MemorySink
        // More than is kept in memory. The other output keeps up, or what it is told of gaps would be dropped too.
        yield* Stream.range(0, 499).pipe(
          Stream.rechunk(1),
          Stream.mapEffect((index) =>
            Effect.sync(() => memory.samples.length >= (index - 10) * 100).pipe(
              Effect.repeat({ until: (keepsUp) => keepsUp, schedule: Schedule.spaced("1 millis") }),
              Effect.as(tickOf(index, 100))
            )
          ),
          Stream.concat(Stream.never),
          Journal.pipeToSink({
            path,
            flushInterval: "20 millis",
            maxBytes: 200_000,
            whenFull: "drop-oldest",
            onAccepted: (count) => count === 50_000 && faulty.failBy(undefined)
          }),
          Recorder.endWhen(faulty.got(49_999))
        )
        return memory
      }).pipe(Effect.provide(SampleSink.layerAll([MemorySink.layer, faulty.layer])))
      assert.deepStrictEqual(faulty.sequences, faulty.sequences.toSorted((a, b) => a - b))
      const gaps = events.filter((event) => event._tag === "OutputGap").filter(({ sink }) => sink === "faulty")
      const missing = gaps.reduce((sum, { count }) => sum + count, 0)
      assert.isAbove(missing, 0)
      // Events are among what is missing.
      assert.isAtLeast(faulty.sequences.length + missing, 50_000)
      assert.isAtMost(faulty.sequences.length + missing, 50_000 + events.length)
    }).pipe(Effect.scoped))

  it.live("is not at its bound while its outputs keep up", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const summary = yield* Stream.range(0, 199).pipe(
        Stream.rechunk(1),
        Stream.mapEffect((index) => Effect.delay(Effect.succeed(tickOf(index, 100)), "5 millis")),
        Journal.pipeToSink({ path, flushInterval: "20 millis", maxBytes: 400_000 }),
        Effect.provide(MemorySink.layer)
      )
      assert.strictEqual(summary.samplesEmitted, 20_000)
    }).pipe(Effect.scoped))

  it.live("ends with an error at its bound, and keeps everything that was accepted", () =>
    Effect.gen(function*() {
      const path = yield* pathIn("run.journal")
      const faulty = faultySink()
      faulty.failBy(() => lost)
      let accepted = 0
      const progress = new Progress()
      const logged: Array<string> = []
      const failure = yield* Recorder.record({ rateHz: 500 }).pipe(
        Journal.pipeToSink({
          path,
          progress,
          maxBytes: 40_000,
          stopTimeout: "500 millis",
          onAccepted: (samples) => accepted = samples
        }),
        Effect.provide([
          faulty.layer,
          Counters,
          Logger.layer([Logger.make(({ message }) => logged.push(String(message)))])
        ]),
        Effect.flip
      )
      assert.strictEqual((failure as JournalError).reason, "Full")
      const [, unaccepted] = logged.flatMap((line) => /the last (\d+) samples .* are lost/.exec(line) ?? [])
      assert.isAtLeast(accepted + Number(unaccepted), progress.current.samplesEmitted)
      faulty.failBy(undefined)
      yield* Effect.provide(Journal.resume({ path }), faulty.layer)
      assert.deepStrictEqual(faulty.sequences, sequencesUpTo(accepted))
    }).pipe(Effect.scoped))
})
