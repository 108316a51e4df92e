/**
 * What went wrong with a file or a pipe, from the error code of the operating system.
 */
import { messageOf, SinkOpenError, SinkWriteError } from "@sampleline/core"
import * as fs from "node:fs"
import * as os from "node:os"

/** The sink and its target, for messages. */
export interface Writer {
  readonly sink: string
  readonly target: string
}

export const fileOpenError = (writer: Writer, cause: unknown): SinkOpenError => {
  const fail = (reason: SinkOpenError["reason"], detail: string) =>
    new SinkOpenError({ ...writer, reason, detail, cause })
  switch (codeOf(cause)) {
    case "EEXIST":
      return fail(
        "AlreadyExists",
        "it already exists; choose another name, or use mode \"append\" (--append) to add to it or \"overwrite\" (--overwrite) to replace it"
      )
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return fail(
        "PermissionDenied",
        "permission denied; choose a folder that you may write to, or change its permissions"
      )
    case "ENOSPC":
    case "EDQUOT":
      return fail("DiskFull", "the disk is full; make room or choose another disk")
    case "EISDIR":
      return fail("Unknown", "it is a folder; give the name of a file")
    case "ENOENT":
      return fail("Unknown", "its folder cannot be made; choose another folder")
    case "ENOTDIR":
      return fail("Unknown", "a part of its path is a file, not a folder; choose another path")
    case "ENAMETOOLONG":
      return fail("Unknown", NAME_TOO_LONG)
    case "EMFILE":
    case "ENFILE":
      return fail("Unknown", TOO_MANY_FILES)
    case "ENXIO":
      return fail("ConnectionRefused", "this pipe has no reader; start the reader first")
    default:
      return fail("Unknown", messageOf(cause))
  }
}

export const fileWriteError = (writer: Writer, samples: number, cause: unknown): SinkWriteError => {
  const fail = (reason: SinkWriteError["reason"], detail: string) =>
    new SinkWriteError({ ...writer, samples, reason, detail, cause })
  switch (codeOf(cause)) {
    case "ENOSPC":
    case "EDQUOT":
      return fail("DiskFull", "the disk is full; what was accepted before is complete")
    case "EFBIG":
      return fail("DiskFull", "the file has reached its size limit; what was accepted before is complete")
    case "ENAMETOOLONG":
      return fail("Unknown", NAME_TOO_LONG)
    case "EMFILE":
    case "ENFILE":
      return fail("Unknown", TOO_MANY_FILES)
    case "EPIPE":
    case "ECONNRESET":
      return fail("ConnectionLost", "its reader closed the pipe")
    case "EAGAIN":
      return fail("Timeout", `the system is busy: ${messageOf(cause)}`)
    case "EACCES":
    case "EPERM":
      return fail("PermissionDenied", messageOf(cause))
    case "EROFS":
      return fail(
        "ConnectionLost",
        `its disk can only be read now; check the disk, and mount it again: ${messageOf(cause)}`
      )
    default:
      return DISK_LOST.has(codeOf(cause))
        ? fail("ConnectionLost", `its disk does not work; check the disk and its connection: ${messageOf(cause)}`)
        : fail("Unknown", messageOf(cause))
  }
}

/** A disk that has failed, was unplugged, or is a network share whose server is away. It may come back. */
const DISK_LOST: ReadonlySet<string> = new Set([
  "EIO",
  "ENXIO",
  "ENODEV",
  "ENOTCONN",
  "EREMOTEIO",
  "ESTALE",
  "ETIMEDOUT",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH"
])

/** The same error for other samples. */
export const withSamples = (
  { cause, detail, reason, sink, target }: SinkWriteError,
  samples: number
): SinkWriteError => new SinkWriteError({ sink, target, samples, reason, detail, cause })

const NAME_TOO_LONG = "its name is too long, or that of a file beside it; choose a shorter name"

export const TOO_MANY_FILES = "there are too many open files; close some, or raise the limit (ulimit -n)"

/** The system's error if this process cannot open any more files; undefined if it can. */
export const openFailure = (): unknown => {
  try {
    fs.closeSync(fs.openSync(os.devNull, "r"))
    return undefined
  } catch (error) {
    return error
  }
}

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""
