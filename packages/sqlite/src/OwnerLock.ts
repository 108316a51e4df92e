/**
 * One owner at a time, across processes: the owner holds BEGIN EXCLUSIVE on a small database that has no other use.
 *
 * The operating system frees the lock when the owner's process ends, however it ends. The file of the lock stays: if it were
 * removed, two processes could lock two files of the same name. `<path>.owner` names the owner, for messages only.
 */
import { Effect, Schema, type Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import { removeFile } from "./removeFile.ts"
import { attempt, open } from "./SqliteDatabase.ts"
import type { SqliteFailure } from "./SqliteFailure.ts"

const Owner = Schema.Struct({ pid: Schema.Int, host: Schema.String })

/**
 * Someone else owns the lock.
 *
 * @since 0.1.0
 * @category errors
 */
export class OwnedError extends Schema.TaggedError<OwnedError>()("OwnedError", {
  /** The lock's file. */
  path: Schema.String,
  /** The owner's process, or null if it is not known. */
  owner: Schema.NullOr(Owner)
}) {
  override get message() {
    const owner = this.owner === null ? "another process" : `process ${this.owner.pid} on ${this.owner.host}`
    return `${this.path} is locked by ${owner}: end that process, or wait until it has ended`
  }
}

/**
 * Owns the lock until the scope closes. Fails at once if another process, or another scope of this one, owns it. Its folder must
 * exist.
 *
 * @since 0.1.0
 * @category constructors
 */
export const acquire = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<void, OwnedError | SqliteFailure, Scope.Scope> {
  const database = yield* open(path)
  const ownerFile = ownerFileOf(path)
  yield* Effect.acquireRelease(
    attempt(() => {
      // Nothing is ever written to it, so it needs no journal beside it.
      database.exec("PRAGMA journal_mode = MEMORY")
      database.exec("BEGIN EXCLUSIVE")
      writeOwner(ownerFile)
    }),
    () =>
      Effect.sync(() => {
        removeOwner(ownerFile)
        database.exec("ROLLBACK")
      })
  ).pipe(ownedIfBusy(path))
})

/**
 * Fails if someone owns the lock. Changes nothing, and takes nothing that could keep the next owner from it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const check = Effect.fnUntraced(
  function*(path: string): Effect.fn.Return<void, OwnedError | SqliteFailure, Scope.Scope> {
    if (!fs.existsSync(path)) return
    const database = yield* open(path)
    yield* attempt(() => database.prepare("SELECT 1 FROM sqlite_schema").all([])).pipe(ownedIfBusy(path))
  },
  Effect.scoped
)

const ownerFileOf = (path: string): string => `${path}.owner`

const ownedIfBusy = (path: string) =>
  Effect.mapError((failure: SqliteFailure) =>
    failure.isBusy ? new OwnedError({ path, owner: readOwner(ownerFileOf(path)) }) : failure
  )

/** The lock works without this file: a full disk must not refuse an owner. */
const writeOwner = (file: string): void => {
  try {
    fs.writeFileSync(file, JSON.stringify({ pid: process.pid, host: os.hostname() }))
  } catch {
    removeOwner(file)
  }
}

/** It stays, as that of a killed owner does, where the folder can no longer be written to. */
const removeOwner = (file: string): void => {
  try {
    removeFile(file)
  } catch {
    // Nobody relies on it.
  }
}

/** The owner that the file names; null if that process is gone: a killed owner leaves its file behind. */
const readOwner = (file: string): typeof Owner.Type | null => {
  try {
    const owner = Schema.decodeUnknownSync(Owner)(JSON.parse(fs.readFileSync(file, "utf8")))
    return owner.host === os.hostname() && !isRunning(owner.pid) ? null : owner
  } catch {
    return null
  }
}

/**
 * Whether a process of this machine runs, also another user's.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}
