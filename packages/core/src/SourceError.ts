/**
 * The errors of instruments. A device that fails during a run is data (a `DeviceError` on a tick). Only opening can fail.
 */
import { Schema } from "effect"

/**
 * Why one device gave no reading.
 *
 * @since 0.1.0
 * @category models
 */
export const DeviceErrorReason = Schema.Literals([
  "Timeout",
  "Malformed",
  "Rejected",
  "Disconnected",
  "DeviceChanged",
  "Busy",
  "Unknown"
])

/**
 * One poll of one device failed. The error is on the tick, and the run goes on.
 *
 * @since 0.1.0
 * @category errors
 */
export class DeviceError extends Schema.TaggedError<DeviceError>()("DeviceError", {
  /** The name that the user gave it. */
  device: Schema.String,
  reason: DeviceErrorReason,
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `${this.device}: ${this.detail}`
  }
}

/**
 * Why a source could not be opened.
 *
 * @since 0.1.0
 * @category models
 */
export const SourceOpenReason = Schema.Literals(["NotFound", "PermissionDenied", "Busy", "NoReply", "Unknown"])

/**
 * An instrument, or the port it is on, could not be opened.
 *
 * @since 0.1.0
 * @category errors
 */
export class SourceOpenError extends Schema.TaggedError<SourceOpenError>()("SourceOpenError", {
  /** The port or address. */
  target: Schema.String,
  reason: SourceOpenReason,
  /** What was found, and what to do. */
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `cannot open ${this.target}: ${this.detail}`
  }
}

/**
 * A source needs a package that is not installed.
 *
 * @since 0.1.0
 * @category errors
 */
export class SourceDependencyError extends Schema.TaggedError<SourceDependencyError>()("SourceDependencyError", {
  /** What needs the package, e.g. `a serial port`. */
  needed: Schema.String,
  /** The missing package. */
  missing: Schema.String,
  /** The command that installs it. */
  install: Schema.String
}) {
  override get message() {
    return `${this.needed} needs the package ${this.missing}, which is not installed: run \`${this.install}\``
  }
}
