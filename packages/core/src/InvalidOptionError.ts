/**
 * The one error for an option whose value cannot be used: raised before anything is opened or polled.
 */
import { Schema } from "effect"

/**
 * An option's value was refused. `message` names the option, the value and what would be accepted.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOptionError extends Schema.TaggedError<InvalidOptionError>()("InvalidOptionError", {
  /** The option as the user wrote it, e.g. `rateHz`. */
  option: Schema.String,
  /** The refused value, as text. */
  value: Schema.String,
  /** What would be accepted, e.g. `a number above 0`. */
  expected: Schema.String
}) {
  override get message() {
    return `${this.option} is ${this.value}: expected ${this.expected}`
  }
}
