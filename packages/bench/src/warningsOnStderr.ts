/**
 * Warnings of a measurement, such as skipped slots on a busy machine. Standard output is for the figures.
 */
import { Layer, Logger, References } from "effect"

export const warningsOnStderr = Layer.merge(
  Layer.succeed(References.MinimumLogLevel, "Warn"),
  Layer.succeed(Logger.LogToStderr, true)
)
