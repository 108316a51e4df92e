/**
 * What went wrong with a journal, from the codes of SQLite and of the operating system.
 */
import { messageOf } from "@sampleline/core"
import { OwnerLock, SqliteFailure } from "@sampleline/sqlite"
import { Predicate } from "effect"
import { JournalError } from "./JournalError.ts"

/** `folder` is the journal's. */
export const failureOf = (folder: string, cause: unknown): JournalError => {
  if (cause instanceof JournalError) return cause
  const refuse = (reason: JournalError["reason"], detail: string) =>
    new JournalError({ path: folder, reason, detail, cause })
  if (cause instanceof OwnerLock.OwnedError) {
    const { owner } = cause
    const other = owner === null ? "another process" : `process ${owner.pid} on ${owner.host}`
    return refuse("Busy", `${other} records or resumes it; end that process, or wait for it`)
  }
  const code = cause instanceof SqliteFailure && cause.code !== NOT_SQLITE ? cause.primaryCode : systemCodeOf(cause)
  if (FULL.includes(code)) return refuse("DiskFull", "the disk is full; free some space")
  const message = messageOf(cause)
  return DAMAGED.includes(code)
    ? refuse("Damaged", `it is damaged: ${message}`)
    : refuse("Unknown", DETAILS[code] ?? message)
}

/** Whether the same may succeed later. */
export const isPassing = (failure: SqliteFailure): boolean =>
  failure.isBusy || [DISK_IO, DISK_FULL, CANNOT_OPEN].includes(failure.primaryCode)

const NOT_SQLITE = -1

const systemCodeOf = (cause: unknown): string => {
  const error = cause instanceof SqliteFailure ? cause.cause : cause
  return Predicate.hasProperty(error, "code") ? String(error.code) : ""
}

/** As on sqlite.org/rescode.html. */
const [READONLY, DISK_IO, CORRUPT, DISK_FULL, CANNOT_OPEN, NOT_A_DATABASE] = [8, 10, 11, 13, 14, 26]
const FULL: ReadonlyArray<string | number> = [DISK_FULL, "ENOSPC", "EDQUOT"]
const DAMAGED: ReadonlyArray<string | number> = [CORRUPT, NOT_A_DATABASE]

const FORBIDDEN = "permission denied; use it as its owner, or change the permissions of its folder and files"

/** What was found, and what to do. */
const DETAILS: { readonly [code: string | number]: string } = {
  [READONLY]: FORBIDDEN,
  [CANNOT_OPEN]: "its files cannot be opened; check its disk, and the permissions of its folder and files",
  EACCES: FORBIDDEN,
  EPERM: FORBIDDEN,
  ENAMETOOLONG: "its name is too long; choose a shorter one",
  ENOTDIR: "it or a part of its path is a file, not a folder; choose another path",
  EROFS: "its disk can only be read; mount it for writing, or choose another path"
}
