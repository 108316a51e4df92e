/**
 * Why is there a hole? Whatever fails, is skipped, dropped or left out, and however a run ends: each slot of each device has a
 * sample, or a reason.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { pipeToSink } from "../src/pipeToSink.ts"
import { PollSource } from "../src/PollSource.ts"
import * as Recorder from "../src/Recorder.ts"
import type { RunEvent } from "../src/RunEvent.ts"
import type { Sample } from "../src/Sample.ts"
import { SampleSink } from "../src/SampleSink.ts"
import { DeviceError } from "../src/SourceError.ts"

/** Devices that fail in the polls for which `isFailing` holds. A poll takes its time in any case. */
const unreliable = (
  devices: ReadonlyArray<string>,
  isFailing: (device: number, poll: number) => boolean,
  takes: (poll: number) => number
) => {
  const polls = devices.map(() => 0)
  return PollSource.layer({
    devices,
    poll: (name) =>
      Effect.suspend(() => {
        const device = devices.indexOf(name)
        const poll = polls[device]!++
        const outcome = isFailing(device, poll)
          ? Effect.fail(new DeviceError({ device: name, reason: "Timeout", detail: "no reply" }))
          : Effect.succeed({ Value: poll })
        return Effect.delay(outcome, takes(poll))
      })
  })
}

/** Keeps samples and events. Each write takes its time. */
const keeping = (takes: (write: number) => number) => {
  const samples: Array<Sample> = []
  const events: Array<RunEvent> = []
  let writes = 0
  const layer = SampleSink.layer({
    name: "keeping",
    write: (batch) => Effect.delay(Effect.sync(() => samples.push(...batch)), takes(writes++)),
    event: (event) => Effect.sync(() => events.push(event))
  })
  return { samples, events, layer }
}

const sumOf = (events: ReadonlyArray<RunEvent>, count: (event: RunEvent) => number) =>
  events.reduce((sum, event) => sum + count(event), 0)

describe("samples, samples left out and explained holes", () => {
  const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
  const devices = ["a", "b", "c"]

  it.effect.prop("make all slots of every device", {
    overflow: Schema.Literals(["block", "dropNewest", "dropOldest"]),
    bufferSize: int(1, 8),
    every: int(1, 4),
    batchSize: int(1, 5),
    polls: Schema.Array(Schema.Struct({ takes: int(0, 350), failing: int(0, 7) })).check(Schema.isMinLength(10)),
    writes: Schema.Array(int(0, 3000)).check(Schema.isMinLength(10)),
    end: Schema.Literals(["completed", "stopped", "interrupted", "failed"]),
    endAt: int(1, 3000)
  }, ({ batchSize, bufferSize, end, endAt, every, overflow, polls, writes }) =>
    Effect.gen(function*() {
      const { events, layer, samples } = keeping((write) => writes[write] ?? 0)
      const thinned: Array<Sample> = []
      const source = unreliable(
        devices,
        (device, poll) => ((polls[poll]?.failing ?? 0) >> device) % 2 === 1,
        (poll) => polls[poll]?.takes ?? 0
      )
      const duration = end === "failed" ? endAt : end === "completed" ? 3000 : undefined
      const fiber = yield* Recorder.record({ period: 100, duration, overflow, bufferSize }).pipe(
        Recorder.every(every),
        Stream.tap((tick) => Effect.sync(() => thinned.push(...tick.thinned))),
        Stream.concat(end === "failed" ? Stream.fail("broken") : Stream.empty),
        pipeToSink({ batchSize, stopTimeout: "1 hour" }),
        Recorder.endWhen(end === "stopped" ? Effect.sleep(endAt) : Effect.never),
        Effect.provide([layer, source]),
        Effect.forkChild
      )
      yield* TestClock.adjust(endAt)
      const interruption = yield* Effect.forkChild(end === "interrupted" ? Fiber.interrupt(fiber) : Effect.void)
      yield* TestClock.adjust("5 minutes")
      yield* Fiber.await(fiber)
      yield* Fiber.join(interruption)

      const ended = events.at(-1)
      if (ended === undefined) return
      assert(ended._tag === "RunEnded")
      assert.strictEqual(ended.cause, end)
      const slots = ended.ticks! + ended.ticksSkipped! + ended.ticksDropped!
      if (end === "completed") assert.strictEqual(slots, 30)
      const lost = sumOf(events, (event) =>
        event._tag === "SlotsSkipped" || event._tag === "TicksDropped" ? event.count : 0)
      for (const device of devices) {
        const those = (samples: ReadonlyArray<Sample>) =>
          samples.filter((sample) => sample.device === device).length
        const failed = sumOf(events, (event) =>
          (event._tag === "DeviceBack" || event._tag === "DeviceLost") && event.device === device ? event.failures! : 0)
        assert.strictEqual(those(samples) + those(thinned) + failed + lost, slots, device)
      }
    }))
})
