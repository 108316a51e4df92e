/**
 * Blocks of levels in an SQLite database of their own. It is a cache: nothing is lost if it goes, so it is never forced to disk.
 */
import { SqliteDatabase, type SqliteFailure } from "@sampleline/sqlite"
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { BlockStore } from "./Levels.ts"

export interface LevelFile {
  readonly store: BlockStore
  /** What is kept beside the blocks, as JSON; null if nothing. */
  readonly note: () => string | null
  readonly setNote: (json: string | null) => void
  /** Removes all of it. */
  readonly clear: () => void
  /** Writes to the file what was put. Where it is larger than its bound, the oldest blocks of the finest level go. */
  readonly commit: () => void
  /** The last block of the finest level that has gone; -1 if none has. */
  readonly forgotten: () => number
}

const VERSION = 1
/** What SQLite keeps of the file in memory, in KiB. */
const CACHE_KIB = 4096

/** Opens a file of levels, or makes it. One of another version is emptied. All of it throws SQLite's errors. */
export const open = Effect.fnUntraced(function*(
  file: string,
  maxBytes: number
): Effect.fn.Return<LevelFile, SqliteFailure, Scope.Scope> {
  const database = yield* SqliteDatabase.open(file)
  return yield* SqliteDatabase.attempt((): LevelFile => {
    database.exec(
      `PRAGMA page_size = 16384; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -${CACHE_KIB}`
    )
    if (database.prepare("PRAGMA user_version").all([])[0]?.["user_version"] !== VERSION) {
      database.exec(
        "DROP TABLE IF EXISTS blocks; DROP TABLE IF EXISTS notes; CREATE TABLE notes (json TEXT NOT NULL);"
          + "CREATE TABLE blocks (series INTEGER, level INTEGER, block INTEGER, data BLOB NOT NULL,"
          + ` PRIMARY KEY (series, level, block)) WITHOUT ROWID; PRAGMA user_version = ${VERSION}`
      )
    }
    const get = database.prepare("SELECT data FROM blocks WHERE series = ? AND level = ? AND block = ?")
    const range = database.prepare(
      "SELECT block, data FROM blocks WHERE series = ? AND level = ? AND block BETWEEN ? AND ? ORDER BY block"
    )
    const put = database.prepare("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?)")
    const pageBytes = Number(database.prepare("PRAGMA page_size").all([])[0]?.["page_size"])
    const pages = database.prepare(
      "SELECT page_count - freelist_count AS pages FROM pragma_page_count, pragma_freelist_count"
    )
    const oldest = database.prepare(
      "SELECT min(block) AS oldest, max(block) AS latest FROM blocks WHERE level = 0"
    )
    const forget = database.prepare("DELETE FROM blocks WHERE level = 0 AND block <= ?")
    const begin = () => {
      if (!database.isInTransaction()) database.exec("BEGIN")
    }
    let forgotten = -1
    const trim = () => {
      if (Number(pages.all([])[0]?.["pages"]) * pageBytes <= maxBytes) return
      const [found] = oldest.all([])
      if (typeof found?.["oldest"] !== "number" || typeof found["latest"] !== "number") return
      forgotten = found["oldest"] + Math.floor((found["latest"] - found["oldest"]) * FORGOTTEN)
      forget.run([forgotten])
    }
    return {
      store: {
        get: (series, level, block) => bytesOf(get.all([series, level, block])[0]?.["data"]),
        range: (series, level, from, until) =>
          range.all([series, level, from, until]).map((row) =>
            [Number(row["block"]), row["data"] as Uint8Array] as const
          ),
        put: (series, level, block, bytes) => {
          begin()
          put.run([series, level, block, bytes])
        }
      },
      note: () => textOf(database.prepare("SELECT json FROM notes").all([])[0]?.["json"]),
      forgotten: () => forgotten,
      setNote: (json) => {
        begin()
        database.exec("DELETE FROM notes")
        if (json !== null) database.prepare("INSERT INTO notes VALUES (?)").run([json])
      },
      clear: () => {
        begin()
        database.exec("DELETE FROM blocks; DELETE FROM notes")
      },
      commit: () => {
        if (!database.isInTransaction()) return
        trim()
        database.exec("COMMIT")
      }
    }
  })
})

/** How much of the time that the finest level covers goes at once. */
const FORGOTTEN = 0.1

const bytesOf = (data: unknown): Uint8Array | undefined => data instanceof Uint8Array ? data : undefined

const textOf = (json: unknown): string | null => typeof json === "string" ? json : null

/** Removes a file of levels that cannot be read, because its last writer was killed, and makes another. */
export const openAnew = (file: string, maxBytes: number): Effect.Effect<LevelFile, SqliteFailure, Scope.Scope> =>
  Effect.andThen(SqliteDatabase.remove(file), open(file, maxBytes))

/** A file that goes with this process, however that ends. */
export const temporary = Effect.fnUntraced(function*(
  maxBytes: number
): Effect.fn.Return<LevelFile, SqliteFailure, Scope.Scope> {
  // Some keep the system's temporary folder in memory; this one is for what is large.
  const parent = ["/var/tmp", os.tmpdir()].find(isWritable) ?? os.tmpdir()
  const folder = yield* Effect.acquireRelease(
    SqliteDatabase.attempt(() => fs.mkdtempSync(path.join(parent, "sampleline-view-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )
  const file = yield* open(path.join(folder, "levels.db"), maxBytes)
  // On Windows an open file cannot be removed.
  if (process.platform !== "win32") yield* Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  return file
})

const isWritable = (folder: string): boolean => {
  try {
    fs.accessSync(folder, fs.constants.W_OK)
    return true
  } catch {
    return false
  }
}
