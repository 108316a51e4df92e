/**
 * Where samples go. You write one method, `write`, and `SampleSink.make` adds the rest. The scope of the layer opens and closes
 * the target, so nobody can write too early or forget to close.
 */
import { type Array, Cause, Clock, Context, Effect, Layer, Metric, References, type Scope } from "effect"
import { type DroppedMark, type DroppedValues, NOTHING_DROPPED } from "./DroppedValues.ts"
import { type Joined, joinLayers, type Layers } from "./joinLayers.ts"
import { messageOf } from "./messageOf.ts"
import * as Metrics from "./Metrics.ts"
import type { RunEvent } from "./RunEvent.ts"
import { Sample } from "./Sample.ts"
import { current as currentClock } from "./SampleClock.ts"
import { type SinkBatchError, SinkSchemaError, SinkWriteError } from "./SinkError.ts"
import { spanned } from "./tracing.ts"

/**
 * What a sink has done so far.
 *
 * @since 0.1.0
 * @category models
 */
export interface SinkReport {
  readonly sink: string
  /** The path, table or address where the samples are. It holds no password. */
  readonly target: string
  /** Samples accepted, without those that were left out because a column is NOT NULL and they have no value for it. */
  readonly rows: number
  /** Values dropped because the target has no column for them or cannot hold them, by column. */
  readonly columnsDropped: { readonly [column: string]: number }
  /** Why the sink stopped, or null. */
  readonly error: SinkBatchError | null
}

/**
 * How far an output is. `through` is the position behind the last item that it holds. `token` is what the sink needs to find that
 * place again; only the sink reads it.
 *
 * @since 0.1.0
 * @category models
 */
export interface SinkPlace {
  readonly through: number
  readonly token: string
}

/**
 * What a journal asks of a sink, so that each item gets into its output once, whatever happens between. An item is a sample or an
 * event; its position is its number in the journal, from 0.
 *
 * @since 0.1.0
 * @category models
 */
export interface Resumable<E = SinkBatchError> {
  /**
   * Finds the place where the output goes on: at the beginning, again after a failed `writeAt`, and after a crash. Fails, and
   * changes nothing, if the output is not as the sink left it.
   */
  readonly open: (options: {
    /** The journal's own id: an output can hold several. */
    readonly journal: string
    /** The last place that was kept; null if the output holds nothing of this journal yet. */
    readonly place: SinkPlace | null
    /** Samples with the formats of the first batch, which fixed the columns; null if there was none. */
    readonly first: Array.NonEmptyReadonlyArray<Sample> | null
    /** The position of that batch. An output that is behind it has had samples. */
    readonly firstAt?: number | undefined
  }) => Effect.Effect<SinkPlace, E>
  /**
   * Writes items that follow those of the last place. All of them are accepted, or none that a later `open` would count. `keep`
   * stores a place in the journal before the output is changed for good; few sinks need it.
   */
  readonly writeAt: (
    items: Array.NonEmptyReadonlyArray<Sample | RunEvent>,
    through: number,
    keep: (place: SinkPlace) => Effect.Effect<void>
  ) => Effect.Effect<SinkPlace, E>
  /** Forces what was written to disk. */
  readonly sync: Effect.Effect<void, E>
  /** Called when all items of the journal are written. Gives the last place. Fails if the output holds more than those items. */
  readonly finish: (through: number) => Effect.Effect<SinkPlace, E>
  /** Called when the journal is gone: its place is needed no more. */
  readonly forget: Effect.Effect<void, E>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface SinkShape {
  /** The name in messages, e.g. `CsvSink`. */
  readonly name: string
  /** The path, table or address. It holds no password. */
  readonly target: string
  /** Success means that the batch is accepted: from then on the durability that the sink states holds for it. */
  readonly write: (batch: Array.NonEmptyReadonlyArray<Sample>) => Effect.Effect<void, SinkBatchError>
  /** Takes an event of the run, in its order among the batches. */
  readonly event: (event: RunEvent) => Effect.Effect<void, SinkBatchError>
  /** Called once or more when a run has begun: a tick came, or the ticks ended without a failure. The sink then keeps its output. */
  readonly began: () => void
  /** One report for each sink behind this one. */
  readonly report: () => ReadonlyArray<SinkReport>
  /** The sinks behind this one; itself if it is one sink. */
  readonly parts: () => ReadonlyArray<SinkShape>
  /** Absent: after a crash or a failed write, a journal may write samples again that the output holds already. */
  readonly resumable?: Resumable | undefined
  /** Whether it is gone with the run, as a pipe is. A journal keeps nothing for it. */
  readonly isTransient?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category services
 */
export class SampleSink extends Context.Service<SampleSink, SinkShape>()("@sampleline/core/SampleSink") {
  /**
   * A sink from its one method. Counts accepted samples, measures writes, and turns any failure of `write` into a
   * `SinkWriteError`.
   */
  static readonly make = <E>(options: {
    readonly name: string
    /** Default: empty. */
    readonly target?: string | undefined
    /** For a sink whose samples may go elsewhere than to `target`: where they go. It is in the report. */
    readonly writesTo?: (() => string) | undefined
    readonly write: (batch: Array.NonEmptyReadonlyArray<Sample>) => Effect.Effect<unknown, E>
    /** Keeps an event of the run. Default: events are not kept. */
    readonly event?: ((event: RunEvent) => Effect.Effect<unknown, E>) | undefined
    /** The values that `write` has dropped so far. They are in the report, with one warning per column. */
    readonly dropped?: (() => DroppedValues | undefined) | undefined
    /** For a sink that accepts before it delivers: the samples that were accepted and then lost. */
    readonly lost?: (() => SinkWriteError | undefined) | undefined
    /** Called once or more when a run has begun. A sink that removes its output after a failed start needs this. */
    readonly began?: (() => void) | undefined
    /** How a journal writes to the output, each item once. Default: by `write` and `event`, each item at least once. */
    readonly resumable?: Resumable<E> | undefined
    /** Whether the output is gone with the run, as a pipe is. Default: false. */
    readonly isTransient?: boolean | undefined
  }): SinkShape => {
    const { name, target = "" } = options
    const written = Metric.withAttributes(Metrics.samplesWritten, { sink: name })
    const duration = Metric.withAttributes(Metrics.writeDurationMs, { sink: name })
    const annotated = annotateLogs({ sink: name, target })
    let rows = 0
    let error: SinkBatchError | null = null

    const warnOfDropped = (): Effect.Effect<void> => {
      const dropped = options.dropped?.()?.takeUnreported() ?? []
      return dropped.length === 0 ? Effect.void : Effect.forEach(
        dropped,
        ({ column, why }) =>
          Effect.logWarning(`${name} ${target}: dropping values of ${JSON.stringify(column)}: ${why}`),
        { discard: true }
      )
    }
    const droppedSoFar = (): DroppedMark => options.dropped?.()?.mark() ?? NOTHING_DROPPED
    const refuse = (samples: number) => (cause: Cause.Cause<unknown>) => {
      error = toBatchError(name, target, samples, Cause.squash(cause))
      return Effect.fail(error)
    }
    // Small batches are common, so this adds only one step before and one after the sink's own.
    const write = <A>(samples: number, run: () => Effect.Effect<A, E>): Effect.Effect<A, SinkBatchError> =>
      Effect.contextWith((context: Context.Context<never>) => {
        const clock = Context.get(context, Clock.Clock)
        const startedAt = clock.monotonicTimeNanosUnsafe()
        const before = droppedSoFar()
        // A write that interrupts itself has failed. If this fiber is interrupted, no handler runs.
        return Effect.matchCauseEffect(Effect.suspend(run), {
          onFailure: (cause) => {
            options.dropped?.()?.goBackTo(before)
            return refuse(samples)(cause)
          },
          onSuccess: (value) => {
            const dropped = options.dropped?.()
            const accepted = samples - (dropped?.takeRows() ?? 0)
            rows += accepted
            // A caller may write a refused batch again.
            error = null
            written.updateUnsafe(accepted, context)
            duration.updateUnsafe(Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1_000_000, context)
            return Effect.as(warnOfDropped(), value)
          }
        })
      })
    const traced = <A>(samples: number, run: () => Effect.Effect<A, E>) =>
      spanned("sampleline.write", { sink: name, target, samples })(annotated(write(samples, run)))

    const event = (event: RunEvent): Effect.Effect<void, SinkBatchError> =>
      options.event === undefined
        ? Effect.void
        : Effect.matchCauseEffect(Effect.suspend(() => options.event!(event)), {
          onFailure: refuse(0),
          onSuccess: warnOfDropped
        })

    const { resumable } = options
    // What a journal writes again is not counted again.
    let counted: Array<{ readonly through: number; readonly rows: number; readonly dropped: DroppedMark }> = []
    let lastPlace = 0
    const writtenUpTo = (through: number, place: SinkPlace) => {
      counted.push({ through, rows, dropped: droppedSoFar() })
      lastPlace = place.through
    }
    const opened = (place: SinkPlace) => {
      const before = counted.findLast(({ through }) => through <= place.through)
      if (before !== undefined) {
        rows = before.rows
        options.dropped?.()?.goBackTo(before.dropped)
      }
      counted = []
      writtenUpTo(place.through, place)
    }
    /** What is forced to disk is never written again. */
    const sync = (run: Effect.Effect<void, E>) =>
      Effect.suspend(() => {
        const safe = lastPlace
        return Effect.map(run, () => {
          counted = counted.filter(({ through }) => through >= safe)
        })
      })
    const sink: SinkShape = {
      name,
      target,
      event: (item) => annotated(event(item)),
      began: options.began ?? (() => {}),
      write: (batch) => Effect.asVoid(traced(batch.length, () => options.write(batch))),
      parts: () => [sink],
      isTransient: options.isTransient,
      resumable: resumable && {
        open: (options) =>
          annotated(Effect.catchCause(Effect.suspend(() => resumable.open(options)), refuse(0))).pipe(
            Effect.tap((place) => Effect.sync(() => opened(place)))
          ),
        writeAt: (items, through, keep) =>
          Effect.tap(
            traced(samplesIn(items), () => resumable.writeAt(items, through, keep)),
            (place) => Effect.sync(() => writtenUpTo(through, place))
          ),
        sync: Effect.catchCause(sync(resumable.sync), refuse(0)),
        finish: (through) => Effect.catchCause(Effect.suspend(() => resumable.finish(through)), refuse(0)),
        forget: Effect.catchCause(resumable.forget, refuse(0))
      },
      report: () => {
        const lost = options.lost?.()
        return [{
          sink: name,
          target: options.writesTo?.() ?? target,
          rows: rows - (lost?.samples ?? 0),
          columnsDropped: options.dropped?.()?.byColumn ?? {},
          error: error ?? lost ?? null
        }]
      }
    }
    return sink
  }

  /** `make` as a layer. */
  static readonly layer = <E>(options: Parameters<typeof SampleSink.make<E>>[0]): Layer.Layer<SampleSink> =>
    Layer.sync(SampleSink, () => SampleSink.make(options))

  /** A layer that provides a sink both under its own tag and as the `SampleSink`. */
  static readonly layerOf = <Self, Shape extends SinkShape, E, R>(
    tag: Context.Service<Self, Shape>,
    make: Effect.Effect<Shape, E, R>
  ): Layer.Layer<Self | SampleSink, E, Exclude<R, Scope.Scope>> =>
    Layer.effectContext(Effect.map(make, (sink) => Context.add(Context.make(tag, sink), SampleSink, sink)))

  /**
   * Writes each batch to all sinks at the same time. The next batch waits for all of them. A sink that fails gets no more
   * batches, and the others go on. Its error is logged at once, stands in the summary, and fails a run that would have
   * succeeded, at its end. If no sink is left, the run fails at once.
   *
   * The other services of the layers are provided too. If two layers provide the same service, the last one is used.
   */
  static readonly layerAll = <const L extends Layers<SampleSink>>(layers: L): Joined<SampleSink, L> =>
    joinLayers(SampleSink, layers, (sinks) => Effect.succeed(combine(sinks)))
}

/**
 * `Effect.annotateLogs`, but the context that it makes is kept for the next batch, which mostly comes from the same context. That
 * costs a third of a microsecond a batch instead of one.
 */
const annotateLogs = (annotations: { readonly [name: string]: string }) => {
  let outer: Context.Context<any> | undefined
  let inner: Context.Context<any> | undefined
  const annotated = (context: Context.Context<any>) => {
    if (inner === undefined || context !== outer) {
      outer = context
      const others = Context.get(context, References.CurrentLogAnnotations)
      inner = Context.add(context, References.CurrentLogAnnotations, { ...others, ...annotations })
    }
    return inner
  }
  return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => Effect.updateContext(self, annotated)
}

const combine = (sinks: ReadonlyArray<SinkShape>): SinkShape => {
  const working = new Set(sinks)
  const name = sinks.map((sink) => sink.name).join(", ")
  const toAll: (
    run: { readonly id: string; readonly samples: number },
    give: (sink: SinkShape) => Effect.Effect<void, SinkBatchError>
  ) => Effect.Effect<void, SinkBatchError> = Effect.fnUntraced(function*(run, give) {
    let last: SinkBatchError | undefined
    const failed: Array<SinkBatchError> = []
    yield* Effect.forEach(working, (sink) =>
      Effect.catch(give(sink), (error) => {
        working.delete(sink)
        last = error
        failed.push(error)
        return working.size === 0
          ? Effect.void
          : Effect.logError(`${error.message}; the other outputs go on without it`).pipe(
            Effect.annotateLogs({ sink: error.sink, target: error.target })
          )
      }), { concurrency: "unbounded", discard: true })
    if (working.size === 0) {
      return yield* last ?? new SinkWriteError({
        sink: name,
        target: "",
        samples: run.samples,
        reason: "Unknown",
        detail: "all outputs have failed"
      })
    }
    const { epochMicros } = yield* currentClock
    for (const { detail, sink, target } of failed) {
      const event = { _tag: "OutputFailing", runId: run.id, at: epochMicros(), sink, target, detail } as const
      yield* toAll({ ...run, samples: 0 }, (sink) => sink.event(event))
    }
  })
  return {
    name,
    target: sinks.map((sink) => sink.target || sink.name).join(", "),
    began: () => sinks.forEach((sink) => sink.began()),
    report: () => sinks.flatMap((sink) => sink.report()),
    parts: () => sinks.flatMap((sink) => sink.parts()),
    write: (batch) => toAll({ id: batch[0].run.id, samples: batch.length }, (sink) => sink.write(batch)),
    event: (event) => toAll({ id: event.runId, samples: 0 }, (sink) => sink.event(event))
  }
}

/**
 * How many of the items are samples.
 *
 * @since 0.1.0
 * @category conversions
 */
export const samplesIn = (items: ReadonlyArray<Sample | RunEvent>): number =>
  items.reduce((samples, item) => item instanceof Sample ? samples + 1 : samples, 0)

const toBatchError = (sink: string, target: string, samples: number, error: unknown): SinkBatchError =>
  error instanceof SinkWriteError || error instanceof SinkSchemaError
    ? error
    : new SinkWriteError({
      sink,
      target,
      samples,
      reason: "Unknown",
      detail: messageOf(error),
      cause: error
    })
