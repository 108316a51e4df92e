/**
 * Several layers of one service as one layer, for `layerAll`.
 */
import { Context, Effect, Layer, Scope } from "effect"

export type Layers<I> = readonly [Layer.Layer<I, any, any>, ...ReadonlyArray<Layer.Layer<I, any, any>>]

export type Joined<I, L extends Layers<I>, E = never> = Layer.Layer<
  I | Layer.Success<L[number]>,
  Layer.Error<L[number]> | E,
  Layer.Services<L[number]>
>

/** Provides what the layers provide, and as `tag` what `combine` makes of their services. */
export const joinLayers = <I, S, const L extends Layers<I>, E = never>(
  tag: Context.Service<I, S>,
  layers: L,
  combine: (services: ReadonlyArray<S>) => Effect.Effect<S, E>
): Joined<I, L, E> => {
  const joined = Effect.gen(function*() {
    // They close side by side: one that takes its full time-out must not make the others wait.
    const closing = yield* Effect.acquireRelease(Scope.make("parallel"), Scope.close)
    const contexts = yield* Effect.forEach(
      layers as ReadonlyArray<Layer.Layer<I, any, any>>,
      (layer) => Effect.flatMap(Scope.fork(closing), (scope) => Layer.buildWithScope(layer, scope))
    )
    const service = yield* combine(contexts.map((context) => Context.get(context, tag)))
    return Context.add(contexts.reduce((all, context) => Context.merge(all, context)), tag, service)
  })
  // The loop has lost which layer provides and needs what; `Joined` says it.
  return Layer.effectContext(joined) as Layer.Layer<any, any, any>
}
