/**
 * Where a text sink's bytes go, and what the ways of getting them there have in common.
 */
import { SinkOpenError, SinkWriteError } from "@sampleline/core"
import type { Effect } from "effect"

/**
 * Takes the bytes of whole batches; all of a batch or nothing of it. They are made when they are taken, without anything in
 * between, so that all batches can be made in the same memory.
 */
export interface ByteOutput {
  readonly write: (encode: () => Uint8Array, samples: number) => Effect.Effect<void, SinkWriteError>
  /** What was accepted and then lost; only a pipe accepts before it has delivered. */
  readonly lost: () => SinkWriteError | undefined
}

/** Who writes, for messages. */
export interface Writer {
  readonly sink: string
  readonly target: string
}

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""

export const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

export const toOpenError = ({ sink, target }: Writer, cause: unknown): SinkOpenError => {
  const fail = (reason: SinkOpenError["reason"], detail: string) =>
    new SinkOpenError({ sink, target, reason, detail, cause })
  switch (codeOf(cause)) {
    case "EEXIST":
      return fail(
        "AlreadyExists",
        "it exists already; choose another name, or say mode \"append\" (--append) to add to it or \"overwrite\" (--overwrite) to replace it"
      )
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return fail("PermissionDenied", "permission denied; choose a folder you may write to, or change its permissions")
    case "ENOSPC":
    case "EDQUOT":
      return fail("DiskFull", "the disk is full; make room or choose another disk")
    case "EISDIR":
      return fail("Unknown", "it is a folder; give the name of a file")
    case "ENOENT":
      return fail("Unknown", "no such folder can be made there; choose another one")
    case "ENOTDIR":
      return fail("Unknown", "a part of its path is a file, not a folder")
    case "ENXIO":
      return fail("ConnectionRefused", "nobody reads from this pipe; start its reader first")
    default:
      return fail("Unknown", messageOf(cause))
  }
}

export const toWriteError = ({ sink, target }: Writer, samples: number, cause: unknown): SinkWriteError => {
  const fail = (reason: SinkWriteError["reason"], detail: string) =>
    new SinkWriteError({ sink, target, samples, reason, detail, cause })
  switch (codeOf(cause)) {
    case "ENOSPC":
    case "EDQUOT":
      return fail("DiskFull", "the disk is full; what was accepted before is complete")
    case "EFBIG":
      return fail("DiskFull", "the file may not grow any further; what was accepted before is complete")
    case "EPIPE":
    case "ECONNRESET":
      return fail("ConnectionLost", "its reader closed the pipe")
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return fail("PermissionDenied", messageOf(cause))
    default:
      return fail("Unknown", messageOf(cause))
  }
}
