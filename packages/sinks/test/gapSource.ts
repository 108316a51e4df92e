import { DeviceError, pipeToSink, PollSource, Recorder, type SampleSink } from "@sampleline/core"
import { Effect, Fiber, type Layer } from "effect"
import { TestClock } from "effect/testing"

/** A device that does not answer from poll `from` up to poll `to`, counted from 0. */
export const gapSource = (from: number, to: number) => {
  let polls = 0
  return PollSource.layer({
    devices: {
      probe: {
        identity: {
          manufacturer: null,
          model: "MC-5SLPM",
          serialNumber: "123456",
          firmware: null,
          calibrationDate: "2025-03-02"
        }
      }
    },
    poll: (device) =>
      Effect.suspend(() => {
        const n = polls++
        return n >= from && n < to
          ? Effect.fail(new DeviceError({ device, reason: "Timeout", detail: "no reply" }))
          : Effect.succeed({ Mass_Flow: n / 4, Gas: "N2" })
      })
  })
}

/** Records three seconds at 10 Hz by the test clock; the device does not answer in the second half second. */
export const recordGap = <A, E>(
  layer: Layer.Layer<A | SampleSink, E>,
  metadata: { readonly [key: string]: string } = {}
) =>
  Effect.gen(function*() {
    const fiber = yield* Recorder.record({ rateHz: 10, duration: "3 seconds", metadata }).pipe(
      pipeToSink(),
      Effect.forkChild
    )
    yield* TestClock.adjust("3 seconds")
    return yield* Fiber.join(fiber)
  }).pipe(Effect.provide([layer, gapSource(5, 10)]))
