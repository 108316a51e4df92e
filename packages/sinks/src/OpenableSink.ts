/**
 * What each sink of this package offers to a program that opens outputs by their options, such as the command line.
 */
import type { Device, SampleSink } from "@sampleline/core"
import type { Config, Effect, Layer } from "effect"

/**
 * A sink that can be opened and checked. `Options` are the sink's own, `E` is what opening and checking can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export interface OpenableSink<Options, E, R = never> {
  /** Opens the sink; its scope closes it. */
  readonly layer: (options: Options) => Layer.Layer<SampleSink, E, R>
  /** The same, with options from the configuration. */
  readonly layerConfig: (options: Config.Wrap<Options>) => Layer.Layer<SampleSink, E | Config.ConfigError, R>
  /**
   * Fails as opening would, and changes nothing. With the run's devices it also fails as their first batch would. A device
   * whose format is not known yet decides nothing.
   */
  readonly check: (options: Options, devices?: ReadonlyArray<Device>) => Effect.Effect<void, E, R>
}
