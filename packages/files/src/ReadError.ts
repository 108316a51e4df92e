import { Schema } from "effect"

/**
 * What was recorded cannot be read. `NotFound`: it is not there. `NotARecording`: something else is there. `Damaged`: a part of it is
 * not as it was written. `Dependency`: a package is missing that reads it. `Unreachable`: the database does not answer, or does not
 * let the user in. `Unreadable`: the system or the database refuses to read it.
 *
 * @since 0.1.0
 * @category errors
 */
export class ReadError extends Schema.TaggedError<ReadError>()("ReadError", {
  place: Schema.String,
  reason: Schema.Literals(["NotFound", "NotARecording", "Damaged", "Dependency", "Unreachable", "Unreadable"]),
  detail: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `${this.place}: ${this.detail}`
  }
}
