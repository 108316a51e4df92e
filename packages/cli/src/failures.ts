/**
 * The ways in which a command ends other than by success or a library's error.
 */
import * as Schema from "effect/Schema"

/** Flags, values or names that make no sense together. Exit code 2. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  message: Schema.String
}) {}

/** The command did what it should and has said so; only its exit code is left. */
export class Ended extends Schema.TaggedError<Ended>()("Ended", {
  exitCode: Schema.Int
}) {}

/** A run that finished, but not as it should have. Exit code 1. */
export class RunError extends Schema.TaggedError<RunError>()("RunError", {
  message: Schema.String
}) {}
