/**
 * The options of `SqliteSink`, checked and with their defaults.
 */
import { InvalidOptionError, millisOf } from "@sampleline/core"
import { Duration, Effect } from "effect"
import type { SqliteSinkOptions } from "../SqliteSink.ts"
import { checkIdentifiers } from "./identifiers.ts"
import type { FileMode } from "./OutputFile.ts"

export interface SqliteSettings {
  readonly path: string
  readonly mode: FileMode
  readonly table: string
  readonly createTable: boolean
  /** Null: WAL for a new database, and no change to one that exists. */
  readonly journalMode: string | null
  readonly synchronous: string
  /** How a new table stores times. */
  readonly timeType: "TEXT" | "INTEGER"
  readonly busyTimeout: Duration.Duration
}

const JOURNAL_MODES: ReadonlySet<string> = new Set(["WAL", "DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF"])
const SYNCHRONOUS: ReadonlySet<string> = new Set(["NORMAL", "FULL", "EXTRA", "OFF"])

export const sqliteSettings = Effect.fnUntraced(
  function*(options: SqliteSinkOptions): Effect.fn.Return<SqliteSettings, InvalidOptionError> {
    const { createTable = true, journalMode = null, mode = "create", path, synchronous = "NORMAL" } = options
    const { busyTimeout = "5 seconds", table = "samples", timestamps = "text" } = options
    yield* checkIdentifiers({ table })
    if (/^sqlite_/i.test(table)) {
      return yield* InvalidOptionError.of(
        "table",
        table,
        "a name that does not begin with sqlite_, which SQLite reserves"
      )
    }
    // These two become part of a statement.
    if (journalMode !== null && !JOURNAL_MODES.has(journalMode)) {
      return yield* InvalidOptionError.of("journalMode", journalMode, [...JOURNAL_MODES].join(", "))
    }
    if (!SYNCHRONOUS.has(synchronous)) {
      return yield* InvalidOptionError.of("synchronous", synchronous, [...SYNCHRONOUS].join(", "))
    }
    const busyMillis = millisOf(busyTimeout)
    if (!(busyMillis >= 0)) {
      return yield* InvalidOptionError.of("busyTimeout", busyTimeout, "a time such as \"5 seconds\", or 0 not to wait")
    }
    return {
      path,
      mode,
      table,
      createTable,
      journalMode,
      synchronous,
      timeType: timestamps === "integer" ? "INTEGER" : "TEXT",
      busyTimeout: Duration.millis(busyMillis)
    }
  }
)
