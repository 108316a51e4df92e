/**
 * The readings that a device sends by itself. The device is stopped however the stream ends, and what it still sends is thrown
 * away.
 *
 * No request is sent for a reading, so both of its times are those of its arrival.
 */
import { type Device, DeviceError, type Frame } from "@sampleline/core"
import { Effect, Queue, Result, Stream } from "effect"
import { checkColumns } from "./ColumnChecks.ts"
import type { DeviceSlot } from "./DeviceSlot.ts"
import { answers, type OpenDevice } from "./OpenDevice.ts"
import { failureOf, type Outcome, toDeviceError } from "./Outcome.ts"
import { Patience, WAYS_TO_START } from "./Patience.ts"
import type { Line } from "./ReceivedLines.ts"
import type { RequestError } from "./RequestError.ts"
import { isRejection } from "./wire/Framing.ts"
import { decodePushedLine, streamingIntervalCommands } from "./wire/PollLine.ts"
import type { MalformedReply } from "./wire/WireError.ts"

/** How soon a device that is missing is looked at again. */
const RETRY = "250 millis"

const POLL_IT = "poll it (in the command: record it without --stream)"

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
    const emit: Emit = (outcome) => Effect.flatMap(outcome, (value) => Queue.offer(queue, value))
    const patience = new Patience(intervalMillis)
    const untilFailure = Effect.forever(Effect.gen(function*() {
      const { found } = slot
      if (found instanceof DeviceError) return yield* found
      const why = yield* untilNoReadings(slot, found, intervalMillis, patience, emit)
      // Nothing can be asked while a device streams.
      if (why === "Malformed") yield* checkColumns(slot, found)
      else if (!patience.hasStreamed && (yield* answers(found.port, found.device))) return yield* cannotStream(found)
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
  function*(slot: DeviceSlot, opened: OpenDevice, intervalMillis: number | undefined, patience: Patience, emit: Emit) {
    const { device, port } = opened
    if (intervalMillis !== undefined) yield* setInterval(opened, intervalMillis)
    const lines = yield* port.stream(device.unitId)
    patience.opened()
    let lastAt = 0
    let rejected = 0
    while (true) {
      yield* lines.start
      while (true) {
        const line = yield* lines.next(patience.millis)
        if (line === null) break
        if (isRejection(line.text)) {
          if (++rejected === WAYS_TO_START) return yield* cannotStream(opened)
          yield* lines.start
          continue
        }
        rejected = 0
        const gapMillis = lastAt === 0 ? 0 : (line.monotonicNanos - lastAt) / 1_000_000
        lastAt = line.monotonicNanos
        const frame = decodePushedLine(line.bytes, opened.layout)
        if (Result.isSuccess(frame)) patience.reading(gapMillis)
        yield* emit(toOutcome(opened, line, frame))
        if (slot.malformed.replied(Result.isSuccess(frame) && frame.success.fieldFailures === undefined)) {
          return "Malformed"
        }
      }
      port.gaveFailure()
      yield* emit(failureOf(
        new DeviceError({
          device: device.name,
          reason: "Timeout",
          detail: `it sent nothing for ${patience.millis} ms; it is started again${
            patience.hasStreamed ? "" : `. If it cannot stream, ${POLL_IT}`
          }`
        })
      ))
      if (patience.silence()) return "Silent"
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

const cannotStream = ({ device }: OpenDevice): DeviceError => refusal(device, "it cannot stream", POLL_IT)

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
