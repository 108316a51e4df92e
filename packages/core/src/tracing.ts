/**
 * Spans that cost nothing without a tracer.
 */
import { Effect, Tracer } from "effect"

/**
 * A span, if a tracer is set. Without a tracer a span would cost as much as the rest of a small batch.
 */
export const spanned =
  (name: string, attributes: { readonly [name: string]: unknown } = {}) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(
      Tracer.Tracer,
      (tracer) =>
        tracer === Tracer.nativeTracer ? self : Effect.withSpan(self, name, { attributes, captureStackTrace: false })
    )
