/**
 * What went wrong with an SQLite file, from SQLite's result codes (sqlite.org/rescode.html). Where a code has several causes,
 * the system is asked: node:sqlite does not give the system's own code.
 */
import { SinkOpenError, SinkWriteError } from "@sampleline/core"
import type { SqliteFailure } from "@sampleline/sqlite"
import { Duration, Predicate } from "effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { fileOpenError, fileWriteError, openFailure, type Writer } from "./FileFailure.ts"

const NOT_SQLITE = -1
const BUSY = 5
const READONLY = 8
/** The file was moved or replaced. */
const READONLY_DBMOVED = 1032
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const CONSTRAINT = 19
const NOTADB = 26
/** The disk is damaged, the file has reached a size limit or, on some file systems, the disk is full. */
const IOERR = 10

export const sqliteOpenError = (writer: Writer, cause: SqliteFailure): SinkOpenError => {
  const exhausted = openFilesExhausted(cause)
  if (exhausted !== undefined) return fileOpenError(writer, exhausted)
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
  [READONLY]: ["PermissionDenied", "it cannot be written to; change the permissions of the file and of its folder"],
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
  // Forcing it to disk is no call of SQLite.
  if (cause.code === NOT_SQLITE) return fileWriteError(writer, samples, cause.cause)
  const exhausted = openFilesExhausted(cause)
  if (exhausted !== undefined) return fileWriteError(writer, samples, exhausted)
  if (cause.primaryCode === FULL || (cause.primaryCode === IOERR && !hasRoom(writer.target))) {
    return fail("DiskFull", "the disk is full; what was accepted before is complete")
  }
  switch (cause.primaryCode) {
    case BUSY:
      return fail(
        "Timeout",
        `another process has had it locked for ${
          Duration.format(busyTimeout)
        }; end that process. If it only reads, set `
          + "PRAGMA journal_mode = WAL on the database: then readers do not hold up the recording"
      )
    case READONLY:
      return cause.code === READONLY_DBMOVED || isForbidden(writer.target)
        ? fail("PermissionDenied", cause.message)
        : fileWriteError(writer, samples, { code: "EROFS", message: cause.message })
    case IOERR:
    case CANTOPEN:
      return fail("ConnectionLost", `its disk does not work; check the disk and its connection: ${cause.message}`)
    case CONSTRAINT:
      return fail("Constraint", cause.message)
    default:
      return fail("Unknown", cause.message)
  }
}

/** The system's error if this process cannot open another file. */
const openFilesExhausted = ({ primaryCode }: SqliteFailure): unknown =>
  primaryCode === CANTOPEN || primaryCode === IOERR ? openFailure() : undefined

/**
 * Whether the user may not write to the file, or beside it. If the user may, the disk can only be read, or could when the connection
 * was opened. `access` does not tell: it finds nothing wrong with a disk that the kernel has stopped writing to after an error.
 */
const isForbidden = (path: string): boolean => {
  try {
    for (const place of [path, nodePath.dirname(path)]) fs.accessSync(place, fs.constants.W_OK)
    return false
  } catch (error) {
    return !(Predicate.hasProperty(error, "code") && error.code === "EROFS")
  }
}

const ROOM_BYTES = 1 << 16

/** Whether a file beside the database can grow beyond the database and its logs. */
const hasRoom = (path: string): boolean => {
  const sizes = ["", "-wal", "-journal"].map((suffix) =>
    fs.statSync(`${path}${suffix}`, { throwIfNoEntry: false })?.size ?? 0
  )
  const probe = `${path}.room`
  let fd: number | undefined
  try {
    fd = fs.openSync(probe, "wx", 0o600)
    fs.unlinkSync(probe)
    return fs.writeSync(fd, randomBytes(ROOM_BYTES), 0, ROOM_BYTES, Math.max(...sizes)) === ROOM_BYTES
  } catch (error) {
    const isFull = Predicate.hasProperty(error, "code") && ["ENOSPC", "EDQUOT", "EFBIG"].includes(String(error.code))
    return !isFull
  } finally {
    if (fd !== undefined) fs.closeSync(fd)
  }
}

/** Whether a read-only connection was refused because only a writer can finish what a crash left half done. */
export const isUnreadable = ({ primaryCode }: SqliteFailure): boolean =>
  primaryCode === CANTOPEN || primaryCode === READONLY
