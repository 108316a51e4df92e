import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as SampleClock from "../src/SampleClock.ts"

/** A clock whose system time and monotonic time are set by hand, in nanoseconds; the system time shows milliseconds. */
const makeClock = () => {
  const time = { wall: 1_772_366_400_000_000_000n, monotonic: 5_000_000_000n }
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => Number(time.wall / 1_000_000n),
    currentTimeMillis: Effect.sync(() => Number(time.wall / 1_000_000n)),
    currentTimeNanosUnsafe: () => time.wall,
    currentTimeNanos: Effect.sync(() => time.wall),
    monotonicTimeNanosUnsafe: () => time.monotonic,
    monotonicTimeNanos: Effect.sync(() => time.monotonic),
    sleep: () => Effect.void
  }
  return { time, clock }
}

const onClock = (clock: Clock.Clock) => Effect.provideService(SampleClock.current, Clock.Clock, clock)

describe("SampleClock", () => {
  it.effect("follows a system clock that slews by 500 ppm for an hour within 1 ms, and reports the step that then comes once", () =>
    Effect.gen(function*() {
      for (const ppm of [500n, -500n]) {
        const { clock, time } = makeClock()
        const sample = yield* onClock(clock)
        let last = 0
        for (let tick = 0; tick < 36_000; tick++) {
          time.monotonic += 100_000_000n
          time.wall += 100_000_000n + 100n * ppm
          const stamp = sample.epochMicros()
          assert.isBelow(Math.abs(stamp - Number(time.wall / 1000n)), 1000)
          assert.isAbove(stamp, last)
          last = stamp
        }
        assert.deepStrictEqual(sample.steps, [])
        time.wall += 3_000_000_000n
        for (let tick = 0; tick < 100; tick++) {
          assert.isBelow(Math.abs(sample.epochMicros() - Number(time.wall / 1000n)), 1000)
          time.monotonic += 100_000_000n
          time.wall += 100_000_000n + 100n * ppm
        }
        assert.deepStrictEqual(sample.steps.map((step) => Math.round(step.jumpMicros / 10_000)), [300])
      }
    }))

  it.effect("reports a step of the system clock once, and follows it", () =>
    Effect.gen(function*() {
      const { clock, time } = makeClock()
      const sample = yield* onClock(clock)
      sample.epochMicros()
      for (const jump of [3_000_000_000n, -250_000_000n]) {
        time.wall += jump
        for (let tick = 0; tick < 10; tick++) {
          time.monotonic += 10_000_000n
          time.wall += 10_000_000n
          assert.isBelow(Math.abs(sample.epochMicros() - Number(time.wall / 1000n)), 1000)
        }
      }
      assert.deepStrictEqual(sample.steps.map((step) => Math.round(step.jumpMicros / 10_000)), [300, -25])
    }))

  it.effect("has microseconds where the system clock has milliseconds", () =>
    Effect.gen(function*() {
      const { clock, time } = makeClock()
      const sample = yield* onClock(clock)
      const first = sample.epochMicros()
      time.monotonic += 123_000n
      time.wall += 123_000n
      assert.strictEqual(sample.epochMicros() - first, 123)
    }))

  it.effect("is ruled by the TestClock, stamps and waits alike", () =>
    Effect.gen(function*() {
      const sample = yield* SampleClock.current
      assert.strictEqual(sample.epochMicros(), 0)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(sample.epochMicros(), 1_500_000)
      yield* sample.waitUntil(1_500_000_000, true)
    }))

  it.live("on the live clock never waits too short, and stays within 1 ms of the system clock", () =>
    Effect.gen(function*() {
      const sample = yield* SampleClock.current
      const clock = yield* Clock.Clock
      for (const precise of [false, true]) {
        for (let n = 1; n <= 20; n++) {
          const target = sample.monotonicNanos() + n * 137_000
          yield* sample.waitUntil(target, precise)
          assert.isAtLeast(sample.monotonicNanos(), target)
          const before = clock.currentTimeMillisUnsafe()
          const stamp = sample.epochMicros()
          assert.isAtLeast(stamp, (before - 1) * 1000)
          assert.isAtMost(stamp, (clock.currentTimeMillisUnsafe() + 1) * 1000)
        }
      }
    }))
})
