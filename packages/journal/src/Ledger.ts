/**
 * What a journal knows of itself: its id, and how far each output is. A small database beside the segments.
 *
 * The methods are synchronous and throw.
 */
import type { SinkPlace } from "@sampleline/core"
import { runTransaction, SqliteDatabase, type SqliteFailure } from "@sampleline/sqlite"
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { JournalError } from "./JournalError.ts"
import { checksum } from "./Packing.ts"
import { firstOf, LAYOUT, otherVersion, type SourceJson } from "./Segment.ts"

/** What is kept of an output. */
export interface Kept {
  /** How far it is; null if it has nothing yet. */
  readonly place: SinkPlace | null
  /** The sources of its first batch, which fixed its columns; null before that batch. */
  readonly first: ReadonlyArray<SourceJson> | null
  /** The position of that batch. */
  readonly firstAt?: number
  /** Whether it was finished at that place. Since then others may have written to it. */
  readonly isFinished?: boolean
}

export interface Ledger {
  readonly id: string
  /** What the journal's maker keeps with it. */
  readonly settings: string | null
  /** The outputs as they were when the ledger was opened. */
  readonly outputs: ReadonlyMap<string, Kept>
  readonly keep: (name: string, kept: Kept) => void
}

/** What a journal is made with. */
export interface Made {
  readonly id: string
  readonly settings: string | null
}

export const fileOf = (folder: string): string => path.join(folder, "journal.db")

/** Opens the ledger of a journal. `made` is given to make it. */
export const open = Effect.fnUntraced(function*(
  folder: string,
  made?: Made
): Effect.fn.Return<Ledger, JournalError | SqliteFailure, Scope.Scope> {
  const database = yield* SqliteDatabase.open(fileOf(folder))
  yield* SqliteDatabase.attempt(() => {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    if (made !== undefined) make(database, made)
    // Of the places, an older one serves as well.
    database.exec("PRAGMA synchronous = NORMAL")
  })

  const refuse = (reason: "Damaged" | "Missing", detail: string) => new JournalError({ path: folder, reason, detail })
  const [version] = yield* SqliteDatabase.attempt(() => database.prepare("PRAGMA user_version").all([]))
  if (version?.["user_version"] === 0) {
    const names = yield* SqliteDatabase.attempt(() => fs.readdirSync(folder))
    return yield* names.some((name) => firstOf(name) !== null)
      ? refuse("Damaged", "its file journal.db is empty")
      : refuse("Missing", "there is no journal")
  }
  if (version?.["user_version"] !== LAYOUT) {
    return yield* otherVersion(folder, version?.["user_version"])
  }
  const [journal] = yield* SqliteDatabase.attempt(() => database.prepare("SELECT * FROM journals").all([]))
  const id = String(journal?.["id"])
  const settings = typeof journal?.["settings"] === "string" ? journal["settings"] : null
  if (checksum(id + (settings ?? ""), 0) !== journal?.["sum"]) {
    return yield* refuse("Damaged", "its own description does not match its checksum")
  }
  const outputs = new Map<string, Kept>()
  const rows = yield* SqliteDatabase.attempt(() => database.prepare("SELECT * FROM outputs").all([]))
  for (const { json, name, sum } of rows) {
    const output = String(name)
    if (sumOf(output, String(json)) !== sum) {
      return yield* refuse("Damaged", `what it knows of the output ${output} is damaged`)
    }
    outputs.set(output, JSON.parse(String(json)))
  }
  const upsert = database.prepare("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)")
  return {
    id,
    settings,
    outputs,
    keep: (name, kept) => {
      const json = JSON.stringify(kept)
      upsert.run([name, json, sumOf(name, json)])
    }
  }
})

/** Forced to disk at once: without it, samples that are on disk cannot be read. */
const make = (database: SqliteDatabase.SqliteDatabase, { id, settings }: Made): void =>
  runTransaction(database, () => {
    database.exec(
      "CREATE TABLE journals (id TEXT NOT NULL, settings TEXT, sum INTEGER NOT NULL);"
        + "CREATE TABLE outputs (name TEXT PRIMARY KEY, json TEXT NOT NULL, sum INTEGER NOT NULL);"
        + `PRAGMA user_version = ${LAYOUT}`
    )
    database.prepare("INSERT INTO journals VALUES (?, ?, ?)").run([id, settings, checksum(id + (settings ?? ""), 0)])
  })

const sumOf = (name: string, json: string): number => checksum(name + json, 0)
