/**
 * The one error for an option whose value cannot be used, and the checks that several packages share. An option is
 * checked before anything is opened or polled.
 */
import { Duration, Effect, Formatter, Option, Schema } from "effect"

/**
 * The value of an option was refused. `message` names the option, the value and what is accepted.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOptionError extends Schema.TaggedError<InvalidOptionError>()("InvalidOptionError", {
  /** The option as the user wrote it, e.g. `rateHz`. */
  option: Schema.String,
  /** The refused value, as text. */
  value: Schema.String,
  /** What is accepted, e.g. `a number above 0`. */
  expected: Schema.String
}) {
  /** The error for any value: it is formatted for the message. */
  static of(option: string, value: unknown, expected: string): InvalidOptionError {
    return new InvalidOptionError({ option, value: Formatter.format(value), expected })
  }

  override get message() {
    return `${this.option} is ${this.value}: expected ${this.expected}`
  }
}

/**
 * A duration in milliseconds; NaN if the input is not a duration.
 *
 * @since 0.1.0
 * @category conversions
 */
export const millisOf = (input: Duration.Input): number =>
  Option.match(Duration.fromInput(input), { onNone: () => Number.NaN, onSome: Duration.toMillis })

/**
 * A finite duration above 0.
 *
 * @since 0.1.0
 * @category validation
 */
export const positiveDuration = (
  option: string,
  input: Duration.Input,
  /** What the message gives as an example. */
  example = "1 second"
): Effect.Effect<Duration.Duration, InvalidOptionError> => {
  const millis = millisOf(input)
  return Number.isFinite(millis) && millis > 0
    ? Effect.succeed(Duration.millis(millis))
    : Effect.fail(InvalidOptionError.of(option, input, `a finite time above 0, such as ${JSON.stringify(example)}`))
}

/**
 * A whole number above 0. `unit` is what is counted, e.g. `samples`.
 *
 * @since 0.1.0
 * @category validation
 */
export const positiveInt = (option: string, value: number, unit: string): Effect.Effect<number, InvalidOptionError> =>
  Number.isSafeInteger(value) && value > 0
    ? Effect.succeed(value)
    : Effect.fail(InvalidOptionError.of(option, value, `a whole number of ${unit} above 0`))
