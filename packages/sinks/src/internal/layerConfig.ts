/**
 * Layers with options from the configuration.
 */
import { Config, Effect, Layer } from "effect"

export const layerConfigOf =
  <Options, A, E, R>(layer: (options: Options) => Layer.Layer<A, E, R>) =>
  (options: Config.Wrap<Options>): Layer.Layer<A, E | Config.ConfigError, R> =>
    Layer.unwrap(Effect.map(Config.unwrap<Options>(options), layer))
