/**
 * How a command ends other than by success or by an error of a library.
 */
import * as Schema from "effect/Schema"

/** Flags, values or names that cannot be used. Exit code 2. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  message: Schema.String,
  /** Lines that show the place of the error, for a terminal. */
  below: Schema.optionalKey(Schema.String)
}) {}

/** A run that finished, but not as it should. Exit code 1. */
export class RunError extends Schema.TaggedError<RunError>()("RunError", {
  message: Schema.String
}) {}

/** Everything is said; only the exit code is left. */
export class Ended extends Schema.TaggedError<Ended>()("Ended", {
  exitCode: Schema.Int
}) {}
