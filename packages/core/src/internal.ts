/**
 * What several modules of this package need and nobody else does.
 */
import { Effect, Formatter, Tracer } from "effect"

/**
 * What someone else's error says, in one line: of anything, since a third party may fail with anything.
 *
 * @internal
 */
export const messageOf = (error: unknown): string => {
  const text = error instanceof Error
    ? error.message || error.name
    : typeof error === "string"
    ? error
    : Formatter.format(error)
  return text.replaceAll(/\s*\n\s*/g, " ")
}

/**
 * A span, where a tracer has been set: without one nobody would ever see it, and it costs as much as all else about a small batch.
 *
 * @internal
 */
export const spanned =
  (name: string, attributes: { readonly [name: string]: unknown } = {}) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(
      Tracer.Tracer,
      (tracer) =>
        tracer === Tracer.nativeTracer ? self : Effect.withSpan(self, name, { attributes, captureStackTrace: false })
    )
