/**
 * The readings that a device sends by itself. The device is stopped however the stream ends, and what it still sends is thrown
 * away.
 *
 * No request is sent for a reading, so both of its times are those of its arrival.
 */
import { type Device, DeviceError, type Frame } from "@sampleline/core"
import { Effect, Option, Queue, Result, Stream } from "effect"
import { checkColumns } from "./ColumnChecks.ts"
import type { DeviceSlot } from "./DeviceSlot.ts"
import { answers, type OpenDevice } from "./OpenDevice.ts"
import { failureOf, type Outcome, toDeviceError } from "./Outcome.ts"
import type { Line } from "./ReceivedLines.ts"
import type { RequestError } from "./RequestError.ts"
import { isRejection } from "./wire/Framing.ts"
import { decodePushedLine, streamingIntervalCommands } from "./wire/PollLine.ts"
import type { MalformedReply } from "./wire/WireError.ts"

/** A device that sends nothing for this long, or for three intervals, is started again. */
const SILENCE_MILLIS = 1000
/** If the interval is unknown, a silent device gets more time at each start, up to the longest interval there is. */
const LONGEST_MILLIS = 66_000
/** After so many starts, each command that starts a device was sent. */
const WAYS_TO_START = 3
/** How soon a device that is missing is looked at again. */
const RETRY = "250 millis"

type Emit = (outcome: Effect.Effect<Outcome>) => Effect.Effect<unknown>

/**
 * The readings of the device in this place, also after its port went and came back. Failures on the way are data. Fails where
 * streaming cannot work: the port is in use, or the device refuses to stream or takes no interval.
 */
export const pushedReadings = (
  slot: DeviceSlot,
  intervalMillis: number | undefined
): Stream.Stream<Outcome, DeviceError> =>
  Stream.callback<Outcome, DeviceError>((queue) => {
    let hasStreamed = false
    const emit: Emit = (outcome) =>
      Effect.flatMap(outcome, (value) => {
        hasStreamed ||= "frame" in value
        return Queue.offer(queue, value)
      })
    const untilFailure = Effect.forever(Effect.gen(function*() {
      const { found } = slot
      if (found instanceof DeviceError) return yield* found
      const why = yield* untilNoReadings(slot, found, intervalMillis, emit)
      // Nothing can be asked while a device streams.
      if (why === "Malformed") yield* checkColumns(slot, found)
      else if (!hasStreamed && (yield* answers(found.port, found.device))) return yield* cannotStream(found)
    }))
    return Effect.forever(Effect.catchIf(
      untilFailure,
      ({ reason }) => reason !== "Busy" && reason !== "Rejected",
      (error) => Effect.andThen(emit(failureOf(error)), Effect.sleep(RETRY))
    ))
  })

/**
 * Emits what a device sends, until its lines make no sense, or none comes however it is started. Fails if the port is gone. The
 * device is stopped at the end.
 */
const untilNoReadings = Effect.fnUntraced(
  function*(slot: DeviceSlot, opened: OpenDevice, intervalMillis: number | undefined, emit: Emit) {
    const { device, port } = opened
    if (intervalMillis !== undefined) yield* setInterval(opened, intervalMillis)
    const lines = yield* port.stream(device.unitId)
    let silence = Math.max(SILENCE_MILLIS, 3 * (intervalMillis ?? 0))
    let lastAt = 0
    let rejected = 0
    let silent = 0
    while (true) {
      yield* lines.start
      while (true) {
        const line = yield* Effect.timeoutOption(lines.next, silence)
        if (Option.isNone(line)) break
        if (isRejection(String.fromCharCode(...line.value.bytes))) {
          if (++rejected === WAYS_TO_START) return yield* cannotStream(opened)
          yield* lines.start
          continue
        }
        rejected = 0
        silent = 0
        const gap = (line.value.monotonicNanos - lastAt) / 1_000_000
        if (lastAt > 0 && intervalMillis === undefined) silence = Math.max(silence, Math.min(3 * gap, LONGEST_MILLIS))
        lastAt = line.value.monotonicNanos
        const frame = decodePushedLine(line.value.bytes, opened.layout)
        yield* emit(toOutcome(opened, line.value, frame))
        if (slot.malformed.replied(Result.isSuccess(frame) && frame.success.fieldFailures === undefined)) {
          return "Malformed"
        }
      }
      port.gaveFailure()
      yield* emit(failureOf(
        new DeviceError({
          device: device.name,
          reason: "Timeout",
          detail: `it sent nothing for ${silence} ms; it is started again`
        })
      ))
      const isLongEnough = intervalMillis !== undefined || silence === LONGEST_MILLIS
      if (++silent >= WAYS_TO_START && isLongEnough) return "Silent"
      if (intervalMillis === undefined) silence = Math.min(2 * silence, LONGEST_MILLIS)
    }
  },
  Effect.scoped,
  (effect: Effect.Effect<"Malformed" | "Silent", RequestError | DeviceError>, _slot, { device }) =>
    Effect.mapError(effect, (error) => error instanceof DeviceError ? error : toDeviceError(device.name, error))
)

/**
 * Tries one command after the other. A device that takes none of them, but answers, is refused. One that is silent on a command is
 * asked again only after its reply cannot come any more.
 */
const setInterval = ({ device, port }: OpenDevice, millis: number) => {
  const settled = Effect.ignore(port.settle(device.unitId))
  return Effect.firstSuccessOf(
    streamingIntervalCommands(device.unitId, millis).map((command) =>
      Effect.andThen(settled, port.askLine(command, Result.succeed))
    )
  ).pipe(
    Effect.catchTag(
      ["RejectedCommand", "NoReply"],
      (cause) =>
        Effect.flatMap(Effect.andThen(settled, answers(port, device)), (isThere) =>
          Effect.fail(
            isThere
              ? refusal(device, "its interval cannot be set", "leave the interval out (in the command: --rate)", cause)
              : cause
          ))
    )
  )
}

const cannotStream = ({ device }: OpenDevice): DeviceError =>
  refusal(device, "it cannot stream", "poll it (in the command: record it without --stream)")

const refusal = ({ identity, name }: Device, problem: string, nextStep: string, cause?: RequestError): DeviceError =>
  new DeviceError({
    device: name,
    reason: "Rejected",
    detail: `${problem} (firmware ${identity?.firmware ?? "unknown"}); ${nextStep}`,
    ...(cause === undefined ? {} : { cause })
  })

const toOutcome = (
  { device, port }: OpenDevice,
  { at, monotonicNanos }: Line,
  frame: Result.Result<Frame, MalformedReply>
): Effect.Effect<Outcome> => {
  if (Result.isFailure(frame)) {
    port.gaveFailure()
    return failureOf(toDeviceError(device.name, frame.failure))
  }
  port.gaveReading()
  return Effect.succeed({
    device: device.name,
    unitId: device.unitId,
    requestedAt: at,
    receivedAt: at,
    requestedMonotonicNanos: monotonicNanos,
    receivedMonotonicNanos: monotonicNanos,
    frame: frame.success
  })
}
