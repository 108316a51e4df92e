/**
 * The points at which a recorder is killed, by the calls that it makes there.
 */

/** A call, and where in it the process ends. */
export interface KillPoint {
  /** A function of `node:fs` or `node:sqlite`, a message to a server, or a server's answer. */
  readonly call:
    | "writeSync"
    | "fsyncSync"
    | "fdatasync"
    | "renameSync"
    | "unlinkSync"
    | "rm"
    | "exec"
    | "run"
    | "send"
    | "answer"
  /** What the call works on. */
  readonly on: "text" | "sqlite" | "parquet" | "groups" | "postgres" | "segment" | "ledger" | "journal"
  /** How the SQL begins, or the name of a message that has none. */
  readonly sql?: string
  /** `half`: when half of the bytes are written. */
  readonly when: "before" | "half" | "after"
}

/** Where and when: at the `nth` such call after `accepted` samples. */
export interface KillAt extends KillPoint {
  readonly folder: string
  readonly accepted: number
  readonly nth: number
}

export type Named = { readonly [name: string]: KillPoint }

/** The points of an output, or of a journal. */
export interface Points {
  /** While samples are recorded and written. They all come again in a resume. */
  readonly writing: Named
  /** Only while a killed recording is resumed, most of them when it has everything. */
  readonly resuming: Named
}

export const text: Points = {
  writing: {
    "before a text file is written": { call: "writeSync", on: "text", when: "before" },
    "when a text file is half written": { call: "writeSync", on: "text", when: "half" },
    "when a text file is written, before its place is kept": { call: "writeSync", on: "text", when: "after" },
    "before a text file is synced": { call: "fdatasync", on: "text", when: "before" }
  },
  resuming: {
    "before the description of a text file is replaced": { call: "renameSync", on: "text", when: "before" }
  }
}

export const sqlite: Points = {
  writing: {
    "after BEGIN in SQLite": { call: "exec", on: "sqlite", sql: "BEGIN", when: "after" },
    "among the rows of a transaction in SQLite": { call: "run", on: "sqlite", sql: "INSERT", when: "after" },
    "before COMMIT in SQLite": { call: "exec", on: "sqlite", sql: "COMMIT", when: "before" },
    "after COMMIT in SQLite": { call: "exec", on: "sqlite", sql: "COMMIT", when: "after" },
    "before SQLite is synced": { call: "fdatasync", on: "sqlite", when: "before" }
  },
  resuming: {
    "before a position is removed in SQLite": { call: "exec", on: "sqlite", sql: "BEGIN", when: "before" }
  }
}

export const parquet: Points = {
  writing: {
    "when a row group is half written": { call: "writeSync", on: "parquet", when: "half" },
    "before the record of a row group": { call: "writeSync", on: "groups", when: "before" },
    "when the record of a row group is half written": { call: "writeSync", on: "groups", when: "half" },
    "after the record of a row group": { call: "writeSync", on: "groups", when: "after" },
    "before a Parquet file is synced": { call: "fdatasync", on: "parquet", when: "before" }
  },
  resuming: {
    "when a killed recorder's groups file is replaced": { call: "renameSync", on: "groups", when: "after" },
    "when a Parquet file has its footer, before that is synced": { call: "fsyncSync", on: "parquet", when: "before" },
    "before the record of a Parquet file's footer": { call: "fsyncSync", on: "parquet", when: "after" },
    "before a complete Parquet file gets its name": { call: "renameSync", on: "parquet", when: "before" },
    "when a Parquet file has its name, before that is synced": { call: "renameSync", on: "parquet", when: "after" },
    "before a Parquet file's groups file is removed": { call: "unlinkSync", on: "groups", when: "before" }
  }
}

/** What is sent between the beginning and the end of a COPY. */
export const COPIED = "the bytes of a COPY"

export const postgres: Points = {
  writing: {
    "before BEGIN in Postgres": { call: "send", on: "postgres", sql: "BEGIN", when: "before" },
    "when the bytes of a COPY are half sent": { call: "send", on: "postgres", sql: COPIED, when: "half" },
    "before COMMIT in Postgres": { call: "send", on: "postgres", sql: "COMMIT", when: "before" },
    "when COMMIT is sent to Postgres, before its answer": {
      call: "send",
      on: "postgres",
      sql: "COMMIT",
      when: "after"
    },
    "when Postgres has answered COMMIT, before the place is kept": {
      call: "answer",
      on: "postgres",
      sql: "COMMIT",
      when: "before"
    }
  },
  resuming: {}
}

/** While a journal is made, before anything is accepted. */
export const making: Named = {
  "before its owner has it": { call: "exec", on: "journal", when: "before" },
  "before its ledger is made": { call: "exec", on: "ledger", when: "before" },
  "before its ledger has tables": { call: "exec", on: "ledger", sql: "CREATE", when: "before" },
  "before the COMMIT of its ledger": { call: "exec", on: "ledger", sql: "COMMIT", when: "before" },
  "after the COMMIT of its ledger": { call: "exec", on: "ledger", sql: "COMMIT", when: "after" },
  "before its outputs are in it": { call: "run", on: "ledger", sql: "INSERT OR REPLACE", when: "before" },
  "before its first segment is made": { call: "exec", on: "segment", when: "before" },
  "before its first append": { call: "run", on: "segment", sql: "INSERT INTO appends", when: "before" }
}

/** While samples are appended to the journal: an append is a statement, and so its own transaction. */
export const appending: Named = {
  "before an append": { call: "run", on: "segment", sql: "INSERT INTO appends", when: "before" },
  "after an append": { call: "run", on: "segment", sql: "INSERT INTO appends", when: "after" }
}

/** Between two segments. */
export const rotating: Named = {
  "when the next segment is opened": { call: "exec", on: "segment", sql: "PRAGMA page_size", when: "before" },
  "before the next segment has tables": { call: "exec", on: "segment", sql: "CREATE TABLE", when: "before" },
  "before the first COMMIT in the next segment": { call: "exec", on: "segment", sql: "COMMIT", when: "before" },
  "when the next segment has tables": { call: "exec", on: "segment", sql: "CREATE TABLE", when: "after" }
}

/** When an old segment goes, some seconds after the start. */
export const forgetting: Named = {
  "before an old segment is removed": { call: "unlinkSync", on: "segment", when: "before" },
  "when an old segment is removed": { call: "unlinkSync", on: "segment", when: "after" }
}

/** While a journal keeps the places of its outputs, and goes when they have everything. */
export const journal: Points = {
  writing: {
    "before a place is kept": { call: "run", on: "ledger", sql: "INSERT OR REPLACE", when: "before" },
    "after a place is kept": { call: "run", on: "ledger", sql: "INSERT OR REPLACE", when: "after" }
  },
  resuming: {
    "before the journal is removed": { call: "renameSync", on: "journal", when: "before" },
    "when the journal has lost its name": { call: "renameSync", on: "journal", when: "after" },
    "when the journal is removed": { call: "rm", on: "journal", when: "after" }
  }
}
