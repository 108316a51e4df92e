/**
 * The errors of a journal. Each message names the journal and the next step.
 */
import { Schema } from "effect"

/**
 * Why a journal cannot be used.
 *
 * @since 0.1.0
 * @category models
 */
export const JournalReason = Schema.Literals([
  "AlreadyExists",
  "Missing",
  "Busy",
  "Version",
  "Damaged",
  "DiskFull",
  "Full",
  "Unknown"
])

/**
 * A journal cannot be opened, read or written.
 *
 * @since 0.1.0
 * @category errors
 */
export class JournalError extends Schema.TaggedError<JournalError>()("JournalError", {
  /** The journal's folder. */
  path: Schema.String,
  reason: JournalReason,
  /** What was found, and what to do. */
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `journal ${this.path}: ${this.detail}`
  }
}
