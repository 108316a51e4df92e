/**
 * The errors of sinks. Each message names the sink, the target and the next step. None holds a password or a connection URL.
 */
import { Schema } from "effect"

/**
 * A sink needs a package that is not installed.
 *
 * @since 0.1.0
 * @category errors
 */
export class SinkDependencyError extends Schema.TaggedError<SinkDependencyError>()("SinkDependencyError", {
  /** E.g. `ParquetSink`. */
  sink: Schema.String,
  /** The missing package. */
  missing: Schema.String,
  /** The command that installs it. */
  install: Schema.String
}) {
  override get message() {
    return `${this.sink} needs the package ${this.missing}, which is not installed: run \`${this.install}\``
  }
}

/**
 * Why a sink could not be opened.
 *
 * @since 0.1.0
 * @category models
 */
export const SinkOpenReason = Schema.Literals([
  "AlreadyExists",
  "Busy",
  "ConnectionRefused",
  "AuthenticationFailed",
  "PermissionDenied",
  "Timeout",
  "Foreign",
  "DiskFull",
  "Unknown"
])

/**
 * A sink could not be opened. Nothing was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class SinkOpenError extends Schema.TaggedError<SinkOpenError>()("SinkOpenError", {
  sink: Schema.String,
  /** The path, table or address. It holds no password. */
  target: Schema.String,
  reason: SinkOpenReason,
  /** What was found, and what to do. */
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `${this.sink} cannot open ${this.target}: ${this.detail}`
  }

  /** Whether the same may be opened later: a server does not answer, or another program has locked a database. */
  get isRetryable(): boolean {
    return this.reason === "ConnectionRefused" || this.reason === "Timeout"
  }
}

/**
 * The target does not match the samples, e.g. the table is missing or the header differs.
 *
 * @since 0.1.0
 * @category errors
 */
export class SinkSchemaError extends Schema.TaggedError<SinkSchemaError>()("SinkSchemaError", {
  sink: Schema.String,
  target: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.sink} cannot write to ${this.target}: ${this.detail}`
  }
}

/**
 * Why a batch was not accepted.
 *
 * @since 0.1.0
 * @category models
 */
export const SinkWriteReason = Schema.Literals([
  "DiskFull",
  "ConnectionLost",
  "Timeout",
  "PermissionDenied",
  "Constraint",
  "Unknown"
])

/**
 * A batch was not accepted. Do not count on any of its samples. Batches that were accepted before are stored.
 *
 * @since 0.1.0
 * @category errors
 */
export class SinkWriteError extends Schema.TaggedError<SinkWriteError>()("SinkWriteError", {
  sink: Schema.String,
  /** Empty for a sink that names none. */
  target: Schema.String,
  /**
   * How many samples were not accepted: the batch, or after `stopTimeout` everything that was not written. 0 if the output has
   * failed and no sample is lost.
   */
  samples: Schema.Int,
  reason: SinkWriteReason,
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    const { detail, samples, sink, target } = this
    return samples === 0
      ? `${sink} failed${target === "" ? "" : ` on ${target}`}: ${detail}`
      : `${sink} did not accept ${samples} samples${target === "" ? "" : ` for ${target}`}: ${detail}`
  }

  /** Whether the same batch may be accepted later. */
  get isRetryable(): boolean {
    return this.reason === "DiskFull" || this.reason === "ConnectionLost" || this.reason === "Timeout"
  }
}

/**
 * The failures of a sink's `write`.
 *
 * @since 0.1.0
 * @category models
 */
export type SinkBatchError = SinkWriteError | SinkSchemaError
