/**
 * From readings that devices push to a stream of ticks: one tick per reading or failure. There is no grid.
 */
import { type Cause, type Duration, Effect, Exit, Queue, Stream } from "effect"
import { EndSignal } from "./EndSignal.ts"
import type { InvalidOptionError } from "./InvalidOptionError.ts"
import type { Reading } from "./PollSource.ts"
import { buffered, validateBuffering } from "./recorder/buffering.ts"
import type { Overflow, TickBuffer } from "./recorder/TickBuffer.ts"
import { checkMetadata, type RunMetadata } from "./RunMetadata.ts"
import type { Device, DeviceFailure, Tick } from "./Sample.ts"
import { spanned } from "./tracing.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface PushOptions {
  /** The devices that push readings. */
  readonly devices: ReadonlyArray<Device>
  /** How long to record. Default: until ended or interrupted. */
  readonly duration?: Duration.Input | undefined
  /** Default: `block`: readings wait in memory, without a limit. */
  readonly overflow?: Overflow | undefined
  /** How many readings may wait for the consumer. Default: 64. */
  readonly bufferSize?: number | undefined
  /** The machine that the devices are attached to. Default: not known. */
  readonly host?: string | undefined
  /** What is kept with the run, e.g. `{ operator: "Ada", sample: "B-17" }`. */
  readonly metadata?: RunMetadata | undefined
}

/**
 * Records what devices push. At the end of the run `outcomes` is interrupted, and everything that it gave before is delivered.
 *
 * @since 0.1.0
 * @category constructors
 */
export const record = <E, R>(
  outcomes: Stream.Stream<Reading | DeviceFailure, E, R>,
  options: PushOptions
): Stream.Stream<Tick, E | InvalidOptionError, R> =>
  Stream.unwrap(
    Effect.gen(function*() {
      const { duration, ...buffering } = yield* validateBuffering(options)
      const isOver = duration === undefined ? Effect.never : Effect.sleep(duration)
      const run = {
        devices: options.devices,
        host: options.host,
        metadata: yield* checkMetadata(options.metadata)
      }
      return yield* buffered(run, buffering, (buffer: TickBuffer<E>, watch) =>
        Effect.scoped(Effect.gen(function*() {
          const ending = yield* EndSignal
          // Devices do not wait for the consumer, so their readings are taken at once.
          const received = yield* Queue.unbounded<Reading | DeviceFailure, E | Cause.Done>()
          yield* ending.observe(() => Queue.sizeUnsafe(received))
          yield* Stream.runForEach(outcomes, (outcome) => Queue.offer(received, outcome)).pipe(
            Effect.raceFirst(Effect.raceFirst(isOver, ending.await)),
            Effect.onExit((exit) => Exit.isFailure(exit) ? Queue.failCause(received, exit.cause) : Queue.end(received)),
            Effect.forkScoped({ startImmediately: true })
          )
          yield* Stream.runForEach(
            Stream.fromQueue(received),
            Effect.fnUntraced(function*(outcome) {
              const result = "error" in outcome
                ? { readings: [], failures: [outcome] }
                : { readings: [outcome], failures: [] }
              const clockSteps = yield* watch(result)
              const at = "error" in outcome ? outcome.at : outcome.requestedAt
              yield* buffer.offer({ index: buffer.nextIndex++, at, driftMs: 0, clockSteps, ...result })
            })
          )
        })))
    }).pipe(spanned("sampleline.recordPushed"))
  )
