/**
 * Many short recordings at once on the live clock. Each ends at a random moment in a random way. No sample may be lost that was
 * emitted, and none may be stored twice or out of order.
 */
import { assert, describe, it } from "@effect/vitest"
import { Array, Effect, Fiber, Logger, Stream } from "effect"
import { Progress } from "../src/AcquisitionSummary.ts"
import { type PipeOptions, pipeToSink } from "../src/pipeToSink.ts"
import { PollSource } from "../src/PollSource.ts"
import * as Recorder from "../src/Recorder.ts"
import type { Tick } from "../src/Sample.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { tick } from "./ticks.ts"

const SEED = 20_261_125
const RUNS = 1500
const AT_ONCE = 30

/** Numbers from 0 to below 1, the same for the same seed. */
const randomOf = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

const ENDINGS = ["by itself", "ended", "interrupted", "failed", "interrupted in the middle of an end"] as const
const SOURCES = ["recorder", "ticks at once", "ticks one by one", "chunks"] as const

/** What a run does, from its seed alone. */
const planOf = (seed: number) => {
  const random = randomOf(seed)
  const upTo = (maximum: number) => Math.floor(random() * (maximum + 1))
  const oneOf = <A>(choices: ReadonlyArray<A>): A => choices[upTo(choices.length - 1)]!
  const options: PipeOptions = {
    batchSize: 1 + upTo(oneOf([2, 20, 200])),
    flushInterval: 1 + upTo(20),
    stopTimeout: "1 minute"
  }
  return {
    options,
    ending: oneOf(ENDINGS),
    source: oneOf(SOURCES),
    ticks: 1 + upTo(oneOf([10, 300])),
    samples: 1 + upTo(3),
    endAfter: random() * 40,
    bufferSize: 1 + upTo(20),
    overflow: oneOf(["block", "dropNewest", "dropOldest"] as const),
    operator: oneOf([(ticks: TestTicks) => ticks, Recorder.filterSamples(() => true), Recorder.every(1)]),
    /** Milliseconds; 0 does not suspend. */
    pollTakes: () => random() < 0.5 ? 0 : random() * 3,
    writeTakes: () => random() < 0.5 ? 0 : random() * 4
  }
}

type TestTicks = Stream.Stream<Tick, any, PollSource>

const takes = (millis: number) => millis === 0 ? Effect.void : Effect.sleep(millis)

const sourceOf = ({ bufferSize, ending, overflow, pollTakes, samples, source, ticks }: ReturnType<typeof planOf>) => {
  const last = ending === "failed" ? Stream.fail("broken") : ending === "by itself" ? Stream.empty : Stream.never
  const made = Stream.map(Stream.range(0, ticks - 1), (index) => tick(index, samples))
  switch (source) {
    case "recorder":
      return ending === "failed"
        ? Stream.concat(Recorder.record({ rateHz: 1000, duration: ticks / 10, bufferSize, overflow }), last)
        : Recorder.record({
          rateHz: 1000,
          bufferSize,
          overflow,
          duration: ending === "by itself" ? 1 + ticks / 10 : undefined
        })
    case "ticks at once":
      return Stream.concat(made, last)
    case "ticks one by one":
      return Stream.concat(Stream.mapEffect(made, (tick) => Effect.as(takes(pollTakes() / 5), tick)), last)
    case "chunks":
      return Stream.concat(Stream.mapEffect(Stream.rechunk(made, 7), (tick) => Effect.as(takes(0), tick)), last)
  }
}

const stressed = Effect.fnUntraced(function*(seed: number) {
  const plan = planOf(seed)
  const progress = new Progress()
  const stored: Array<number> = []
  const sink = SampleSink.layer({
    name: "stored",
    write: (batch) =>
      Effect.andThen(takes(plan.writeTakes()), Effect.sync(() => stored.push(...batch.map((s) => s.sequence))))
  })
  const source = PollSource.layer({
    devices: Array.makeBy(plan.samples, String),
    poll: () => Effect.as(takes(plan.pollTakes()), { Value: 1 })
  })
  const isInterrupted = plan.ending.startsWith("interrupted")
  const isEnded = plan.ending === "ended" || plan.ending === "interrupted in the middle of an end"
  const fiber = yield* sourceOf(plan).pipe(
    plan.operator,
    pipeToSink({ ...plan.options, progress }),
    Recorder.endWhen(isEnded ? Effect.sleep(plan.endAfter) : Effect.never),
    Effect.provide([sink, source, Logger.layer([])]),
    Effect.forkChild
  )
  if (isInterrupted) {
    yield* Effect.sleep(plan.endAfter + (isEnded ? 1 : 0))
    yield* Fiber.interrupt(fiber)
  } else yield* Fiber.await(fiber)
  const { samplesEmitted, sinks } = progress.current
  const expected = Array.makeBy(samplesEmitted, (n) => n).slice(0, samplesEmitted)
  const what = `seed ${seed}: ${plan.source}, ${plan.ending}`
  assert.deepStrictEqual(stored, expected, what)
  // A run that was interrupted before it began has no sinks.
  for (const { error, rows } of sinks) assert.deepStrictEqual([rows, error], [samplesEmitted, null], what)
  return { plan, samplesEmitted }
})

describe("pipeToSink under stress", () => {
  it.live("loses no emitted sample, however and whenever a run ends", () =>
    Effect.gen(function*() {
      const runs = yield* Effect.forEach(Array.makeBy(RUNS, (n) => SEED + n), stressed, { concurrency: AT_ONCE })
      // Every way to end was tried on every source, with samples in it.
      for (const ending of ENDINGS) {
        for (const source of SOURCES) {
          const tried = runs.filter(({ plan }) => plan.ending === ending && plan.source === source)
          assert.isAbove(tried.reduce((sum, run) => sum + run.samplesEmitted, 0), 0, `${source}, ${ending}`)
        }
      }
    }))
})
