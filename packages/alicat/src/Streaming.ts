/**
 * Readings that a device sends by itself. It is stopped, and what it still sent thrown away, however the stream ends.
 *
 * Nobody asks for these readings, so a request's time is unknown: both times of a reading are those of its arrival.
 */
import { DeviceError } from "@sampleline/core"
import { Effect, Option, Queue, Result, Stream } from "effect"
import type { OpenDevice } from "./Connection.ts"
import { failureOf, type Outcome, toDeviceError } from "./Outcome.ts"
import type { Line } from "./Port.ts"
import { decodePushedLine, streamingIntervalCommand } from "./wire/PollLine.ts"

/** A device that sends nothing for this long, or for three of its intervals, is told again to begin. */
const SILENCE_MILLIS = 1000
/** Where its interval is unknown it is given more time each time, up to the longest interval there is. */
const LONGEST_MILLIS = 66_000
/** A device that is not there is looked at again after this. */
const RETRY = "250 millis"

/**
 * The readings of the device that `current` gives, over and over if its port goes and comes back; what goes wrong on the way is
 * data. Fails where it cannot work: the port has another use, or the device does not take an interval.
 *
 * @since 0.1.0
 * @category constructors
 */
export const pushed = (
  current: () => OpenDevice | DeviceError,
  intervalMillis: number | undefined
): Stream.Stream<Outcome, DeviceError> =>
  Stream.callback<Outcome, DeviceError>((queue) => {
    const emit = (outcome: Effect.Effect<Outcome>) => Effect.flatMap(outcome, (value) => Queue.offer(queue, value))
    return Effect.forever(Effect.gen(function*() {
      const found = current()
      if (found instanceof DeviceError) yield* emit(failureOf(found))
      else {
        const error = yield* Effect.flip(pushedWhileThere(found, intervalMillis, emit))
        if (error.reason === "Busy" || error.reason === "Rejected") return yield* error
        yield* emit(failureOf(error))
      }
      yield* Effect.sleep(RETRY)
    }))
  })

/** Until the port is gone. */
const pushedWhileThere = Effect.fnUntraced(
  function*(
    { device, layout, port }: OpenDevice,
    intervalMillis: number | undefined,
    emit: (outcome: Effect.Effect<Outcome>) => Effect.Effect<unknown>
  ) {
    if (intervalMillis !== undefined) {
      yield* port.askLine(streamingIntervalCommand(device.unitId, intervalMillis), Result.succeed).pipe(
        Effect.catchTag("RejectedCommand", (cause) =>
          Effect.fail(
            new DeviceError({
              device: device.name,
              reason: "Rejected",
              detail:
                `it has an interval of its own (firmware ${
                  device.identity?.firmware ?? "unknown"
                }; 10v05 and newer take one); `
                + "leave the interval out",
              cause
            })
          ))
      )
    }
    const lines = yield* port.stream(device.unitId)
    let silence = Math.max(SILENCE_MILLIS, 3 * (intervalMillis ?? 0))
    let lastAt = 0
    const toOutcome = ({ at, bytes, monotonicNanos }: Line): Effect.Effect<Outcome> =>
      Result.match(decodePushedLine(bytes, layout), {
        onFailure: (error) => failureOf(toDeviceError(device.name, error)),
        onSuccess: (frame) =>
          Effect.succeed({
            device: device.name,
            unitId: device.unitId,
            requestedAt: at,
            receivedAt: at,
            requestedMonotonicNanos: monotonicNanos,
            receivedMonotonicNanos: monotonicNanos,
            frame
          })
      })
    while (true) {
      yield* lines.start
      while (true) {
        const line = yield* Effect.timeoutOption(lines.next, silence)
        if (Option.isNone(line)) break
        const gap = (line.value.monotonicNanos - lastAt) / 1_000_000
        if (lastAt > 0 && intervalMillis === undefined) silence = Math.max(silence, Math.min(3 * gap, LONGEST_MILLIS))
        lastAt = line.value.monotonicNanos
        yield* emit(toOutcome(line.value))
      }
      yield* emit(failureOf(
        new DeviceError({
          device: device.name,
          reason: "Timeout",
          detail: `it sent nothing for ${silence} ms; it is told again to begin`
        })
      ))
      if (intervalMillis === undefined) silence = Math.min(2 * silence, LONGEST_MILLIS)
    }
  },
  Effect.scoped,
  (effect, { device }) =>
    Effect.mapError(effect, (error) => error instanceof DeviceError ? error : toDeviceError(device.name, error))
)
