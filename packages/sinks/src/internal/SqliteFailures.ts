/**
 * What went wrong with an SQLite file, from SQLite's result codes (sqlite.org/rescode.html).
 */
import { SinkOpenError, SinkWriteError } from "@sampleline/core"
import type { SqliteFailure } from "@sampleline/sqlite"
import { Duration } from "effect"
import type { Writer } from "./FileFailure.ts"

const BUSY = 5
const READONLY = 8
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const CONSTRAINT = 19
const NOTADB = 26
/** The system cut a write short: the file has reached a size limit or, on some file systems, the disk is full. */
const IOERR_WRITE = 778

export const sqliteOpenError = (writer: Writer, cause: SqliteFailure): SinkOpenError => {
  if (cause.primaryCode === CORRUPT || cause.primaryCode === NOTADB) return foreignError(writer, cause)
  const [reason, detail] = openReasons[cause.primaryCode] ?? ["Unknown", cause.message]
  return new SinkOpenError({ ...writer, reason, detail, cause })
}

export const foreignError = (writer: Writer, cause?: SqliteFailure): SinkOpenError =>
  new SinkOpenError({
    ...writer,
    reason: "Foreign",
    detail: "it is not an intact SQLite database. The file was not changed. Record to another file",
    cause
  })

const openReasons: { readonly [code: number]: readonly [SinkOpenError["reason"], string] } = {
  [BUSY]: ["Timeout", "another process has locked it; end that process or wait for it"],
  [READONLY]: ["PermissionDenied", "it cannot be written to; change its permissions"],
  [FULL]: ["DiskFull", "the disk is full; make room or choose another disk"],
  [CANTOPEN]: ["PermissionDenied", "SQLite cannot open it; check the permissions of the file and of its folder"]
}

export const sqliteWriteError = (
  writer: Writer,
  samples: number,
  busyTimeout: Duration.Duration,
  cause: SqliteFailure
): SinkWriteError => {
  const fail = (reason: SinkWriteError["reason"], detail: string) =>
    new SinkWriteError({ ...writer, samples, reason, detail, cause })
  if (cause.code === IOERR_WRITE || cause.primaryCode === FULL) {
    return fail("DiskFull", "the disk is full; what was accepted before is complete")
  }
  switch (cause.primaryCode) {
    case BUSY:
      return fail("Timeout", `another process has had it locked for ${Duration.format(busyTimeout)}`)
    case READONLY:
      return fail("PermissionDenied", cause.message)
    case CONSTRAINT:
      return fail("Constraint", cause.message)
    default:
      return fail("Unknown", cause.message)
  }
}

/** Whether a read-only connection was refused because only a writer can finish what a crash left half done. */
export const isUnreadable = ({ primaryCode }: SqliteFailure): boolean =>
  primaryCode === CANTOPEN || primaryCode === READONLY
