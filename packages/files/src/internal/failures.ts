/**
 * Failures of reading as `ReadError`.
 */
import { messageOf } from "@sampleline/core"
import { Data } from "effect"
import { ReadError } from "../ReadError.ts"

/** What was found is not a recording. */
export class ForeignContent extends Data.TaggedError("ForeignContent")<{ readonly message: string }> {}

/** A part of a recording is not as it was written. */
export class DamagedContent extends Data.TaggedError("DamagedContent")<{ readonly message: string }> {}

/** From whatever reading threw. */
export const readError = (place: string) => (cause: unknown): ReadError => {
  if (cause instanceof ReadError) return cause
  const fail = (reason: ReadError["reason"], detail: string) => new ReadError({ place, reason, detail, cause })
  if (cause instanceof ForeignContent) return fail("NotARecording", cause.message)
  if (cause instanceof DamagedContent) return fail("Damaged", cause.message)
  switch (codeOf(cause)) {
    case "ENOENT":
    case "ENOTDIR":
      return fail("NotFound", "there is no such file; check its name")
    case "EACCES":
    case "EPERM":
      return fail("Unreadable", "this user may not read it; change its permissions")
    case "EISDIR":
      return fail("NotARecording", "it is a folder")
    default:
      return fail("Unreadable", messageOf(cause))
  }
}

const codeOf = (cause: unknown): unknown =>
  typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
