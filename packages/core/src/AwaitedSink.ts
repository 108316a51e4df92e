/**
 * An output that may be missing when a recording begins: it is opened when it can be reached.
 *
 * It needs a journal, which keeps the samples meanwhile and tries again. Without one the output fails at the first batch.
 */
import { Context, Effect, Exit, Layer, Result, Scope } from "effect"
import { messageOf } from "./messageOf.ts"
import { writeInOrder } from "./pipeToSink.ts"
import { SampleSink, type SinkReport, type SinkShape } from "./SampleSink.ts"
import { type SinkBatchError, SinkOpenError, SinkSchemaError, SinkWriteError } from "./SinkError.ts"

/**
 * The sink of a layer. If it cannot be reached now (`isRetryable` of its `SinkOpenError`), it is opened later, when something is
 * written to it. Any other failure, such as a wrong password or a missing table, is that of the layer. If one comes later, the
 * output stops.
 *
 * It provides `SampleSink` alone: the layer's own service is not there yet.
 *
 * @example
 * Recorder.record({ rateHz: 10 }).pipe(
 *   Journal.pipeToSink(),
 *   Effect.provide(AwaitedSink.layer(PostgresSink.layer({ database: "lab" })))
 * )
 *
 * @since 0.1.0
 * @category sinks
 */
export const layer = <E, R>(sink: Layer.Layer<SampleSink, E, R>): Layer.Layer<SampleSink, E, R> =>
  Layer.effect(
    SampleSink,
    Effect.gen(function*() {
      const parent = yield* Effect.scope
      const context = yield* Effect.context<R>()
      // A failed attempt is not kept, and releases what it has acquired.
      const open = Effect.flatMap(Scope.fork(parent), (scope) =>
        Layer.buildWithScope(Layer.fresh(sink), scope).pipe(
          Effect.provideContext(context),
          Effect.map((built) => Context.get(built, SampleSink)),
          Effect.onExit((exit) => Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void)
        ))
      const opened = yield* Effect.result(open)
      if (Result.isSuccess(opened)) return opened.success
      const { failure } = opened
      if (!(failure instanceof SinkOpenError && failure.isRetryable)) return yield* Effect.fail(failure)
      return awaited(failure, open)
    })
  )

const awaited = <E>({ sink: name, target }: SinkOpenError, open: Effect.Effect<SinkShape, E>): SinkShape => {
  let sink: SinkShape | null = null
  let error: SinkBatchError | null = null
  let hasBegun = false

  const openNow: Effect.Effect<SinkShape, SinkBatchError> = Effect.matchEffect(open, {
    onFailure: (failure) => Effect.fail(error = toBatchError(name, target, failure)),
    onSuccess: (opened) => {
      if (hasBegun) opened.began()
      return Effect.succeed(sink = opened)
    }
  })
  const opened = Effect.suspend(() => sink === null ? openNow : Effect.succeed(sink))
  const report = (): SinkReport => ({ sink: name, target, rows: 0, columnsDropped: {}, error })

  const self: SinkShape = {
    name,
    target,
    write: (batch) => Effect.flatMap(opened, (sink) => sink.write(batch)),
    event: (event) => Effect.flatMap(opened, (sink) => sink.event(event)),
    began: () => {
      hasBegun = true
      sink?.began()
    },
    report: () => sink?.report() ?? [report()],
    parts: () => [self],
    // A sink that cannot resume is written to again from the last place that was kept.
    resumable: {
      open: (options) =>
        Effect.flatMap(
          opened,
          ({ resumable }) => resumable?.open(options) ?? Effect.succeed(options.place ?? { through: 0, token: "" })
        ),
      writeAt: (items, through, keep) =>
        Effect.flatMap(opened, (sink) =>
          sink.resumable?.writeAt(items, through, keep)
            ?? Effect.as(writeInOrder(sink, items, () => {}), { through, token: "" })),
      sync: Effect.suspend(() => sink?.resumable?.sync ?? Effect.void),
      finish: (through) =>
        Effect.flatMap(opened, ({ resumable }) => resumable?.finish(through) ?? Effect.succeed({ through, token: "" })),
      forget: Effect.suspend(() => sink?.resumable?.forget ?? Effect.void)
    }
  }
  return self
}

const toBatchError = (sink: string, target: string, failure: unknown): SinkBatchError => {
  if (failure instanceof SinkSchemaError) return failure
  const [reason, detail] = failure instanceof SinkOpenError
    ? [WRITE_REASONS[failure.reason] ?? "Unknown", failure.detail] as const
    : ["Unknown", messageOf(failure)] as const
  return new SinkWriteError({ sink, target, samples: 0, reason, detail, cause: failure })
}

const WRITE_REASONS: { readonly [reason in SinkOpenError["reason"]]?: SinkWriteError["reason"] } = {
  ConnectionRefused: "ConnectionLost",
  Timeout: "Timeout",
  PermissionDenied: "PermissionDenied",
  DiskFull: "DiskFull"
}
