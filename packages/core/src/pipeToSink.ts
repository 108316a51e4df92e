/**
 * From ticks to storage: count, flatten to samples and events, group, write. The promise kept here: however a stream of ticks ends, the
 * samples of every tick that was counted are written, unless the sink fails or `stopTimeout` is over. `Recording` ends the stream
 * in order.
 */
import { Array, type Duration, Effect, Sink, Stream } from "effect"
import type { AcquisitionSummary } from "./AcquisitionSummary.ts"
import { inPieces } from "./inPieces.ts"
import { type InvalidOptionError, positiveDuration, positiveInt } from "./InvalidOptionError.ts"
import * as Recording from "./Recording.ts"
import type { RunEvent } from "./RunEvent.ts"
import { Sample, type Tick } from "./Sample.ts"
import { SampleSink } from "./SampleSink.ts"
import type { SinkBatchError } from "./SinkError.ts"
import { spanned } from "./tracing.ts"

/**
 * @since 0.1.0
 * @category options
 */
export interface PipeOptions extends Recording.RecordingOptions {
  /** A batch is written when it has this many samples and events. Default: 64. */
  readonly batchSize?: number | undefined
  /** A batch is written this long after its first sample, whether or not another sample comes. Default: 1 second. */
  readonly flushInterval?: Duration.Input | undefined
}

/**
 * Writes the samples of a stream of ticks to the `SampleSink`, in batches, and gives the summary of the run. An interrupted run
 * gives no summary: end it by `endWhen`, or pass a `progress`. Users of the Python library alicatlib know this as `pipe`.
 *
 * @since 0.1.0
 * @category destructors
 */
export const pipeToSink = (options: PipeOptions = {}) =>
<E, R>(
  ticks: Stream.Stream<Tick, E, R>
): Effect.Effect<AcquisitionSummary, E | SinkBatchError | InvalidOptionError, R | SampleSink> =>
  Effect.gen(function*() {
    const { batchSize, flushInterval } = yield* validate(options)
    const sink = yield* SampleSink
    // A tick usually has a sample or more, so two batches have room. That saves turns of the event loop.
    const recording = yield* Recording.make<E>(sink, { ...options, capacity: 2 * batchSize })
    let accepted = 0

    const writing = ticks.pipe(
      recording.untilEnded,
      Stream.map(recording.itemsOf),
      Stream.filter(Array.isReadonlyArrayNonEmpty),
      Stream.mapArray(Array.flatten),
      inPieces(PIECE * batchSize),
      Stream.groupedWithin(batchSize, flushInterval),
      Stream.run(Sink.forEach((batch) => writeInOrder(sink, batch, (samples) => accepted += samples))),
      Effect.andThen(recording.lastEvents),
      Effect.flatMap((events) => Effect.forEach(events, sink.event, { discard: true }))
    )
    yield* recording.toItsEnd(writing, () => accepted)
    const failed = sink.report().find((report) => report.error !== null)
    if (failed?.error) return yield* failed.error
    return yield* recording.summary
  }).pipe(spanned("sampleline.pipeToSink"))

/**
 * Writes a batch, split at its events, so that samples and events reach the sink in their order.
 *
 * @since 0.1.0
 * @category destructors
 */
export const writeInOrder = <E>(
  sink: {
    readonly write: (samples: Array.NonEmptyReadonlyArray<Sample>) => Effect.Effect<void, E>
    readonly event: (event: RunEvent) => Effect.Effect<void, E>
  },
  batch: ReadonlyArray<Sample | RunEvent>,
  onAccepted: (samples: number) => void
): Effect.Effect<void, E> => {
  const write = (samples: ReadonlyArray<Sample>) =>
    Array.isReadonlyArrayNonEmpty(samples)
      ? Effect.map(sink.write(samples), () => onAccepted(samples.length))
      : Effect.void
  if (batch.every(isSample)) return write(batch)
  const at = batch.findIndex((item) => !isSample(item))
  return write(batch.slice(0, at) as Array<Sample>).pipe(
    Effect.andThen(Effect.suspend(() => sink.event(batch[at] as RunEvent))),
    Effect.andThen(Effect.suspend(() => writeInOrder(sink, batch.slice(at + 1), onAccepted)))
  )
}

/** Batches in a piece: smaller pieces cost more than what is copied. */
const PIECE = 16

const isSample = (item: Sample | RunEvent): item is Sample => item instanceof Sample

const validate = Effect.fnUntraced(function*({ batchSize = 64, flushInterval = "1 second" }: PipeOptions) {
  return {
    batchSize: yield* positiveInt("batchSize", batchSize, "samples"),
    flushInterval: yield* positiveDuration("flushInterval", flushInterval)
  }
})
