/**
 * The points at which a recorder is killed, by the calls that it makes there.
 */

/** A call of `node:fs` or `node:sqlite`, and where in it the process ends. */
export interface KillPoint {
  readonly call: "writeSync" | "fdatasync" | "renameSync" | "rmSync" | "exec" | "run"
  /** What the call works on. */
  readonly on: "output" | "segment" | "ledger" | "journal"
  /** How the SQL of `exec` or `run` begins. */
  readonly sql?: string
  /** `half`: when half of the bytes are written. */
  readonly when: "before" | "half" | "after"
}

/** While samples are recorded and written. They all come again in a resume. */
export const writing: { readonly [name: string]: KillPoint } = {
  "before a text file is written": { call: "writeSync", on: "output", when: "before" },
  "when a text file is half written": { call: "writeSync", on: "output", when: "half" },
  "when a text file is written, before its place is kept": { call: "writeSync", on: "output", when: "after" },
  "before an output is synced": { call: "fdatasync", on: "output", when: "before" },
  "after an output's BEGIN": { call: "exec", on: "output", sql: "BEGIN", when: "after" },
  "among the rows of an output's transaction": { call: "run", on: "output", sql: "INSERT", when: "after" },
  "before an output's COMMIT": { call: "exec", on: "output", sql: "COMMIT", when: "before" },
  "after an output's COMMIT": { call: "exec", on: "output", sql: "COMMIT", when: "after" },
  "before a place is kept": { call: "run", on: "ledger", sql: "INSERT OR REPLACE", when: "before" },
  "after a place is kept": { call: "run", on: "ledger", sql: "INSERT OR REPLACE", when: "after" }
}

/** While samples are appended to the journal: an append is a statement, and so its own transaction. */
export const appending: { readonly [name: string]: KillPoint } = {
  "before an append": { call: "run", on: "segment", sql: "INSERT INTO appends", when: "before" },
  "after an append": { call: "run", on: "segment", sql: "INSERT INTO appends", when: "after" }
}

/** Between two segments. */
export const rotating: { readonly [name: string]: KillPoint } = {
  "when the next segment is opened": { call: "exec", on: "segment", sql: "PRAGMA page_size", when: "before" },
  "before the next segment has tables": { call: "exec", on: "segment", sql: "CREATE TABLE", when: "before" },
  "before the first COMMIT in the next segment": { call: "exec", on: "segment", sql: "COMMIT", when: "before" },
  "when the next segment has tables": { call: "exec", on: "segment", sql: "CREATE TABLE", when: "after" }
}

/** When an old segment goes, some seconds after the start. */
export const forgetting: { readonly [name: string]: KillPoint } = {
  "before an old segment is removed": { call: "rmSync", on: "segment", when: "before" },
  "when an old segment is removed, and its log is not": { call: "rmSync", on: "segment", when: "after" }
}

/** When all outputs have everything. */
export const finishing: { readonly [name: string]: KillPoint } = {
  "before the description of a text file is replaced": { call: "renameSync", on: "output", when: "before" },
  "before the journal is removed": { call: "renameSync", on: "journal", when: "before" },
  "when the journal has lost its name": { call: "renameSync", on: "journal", when: "after" },
  "when the journal is removed": { call: "rmSync", on: "journal", when: "after" },
  "before a position is removed": { call: "exec", on: "output", sql: "BEGIN", when: "before" }
}

/** While a journal is made, before anything is accepted. */
export const making: { readonly [name: string]: KillPoint } = {
  "before its owner has it": { call: "exec", on: "journal", when: "before" },
  "before its ledger is made": { call: "exec", on: "ledger", when: "before" },
  "before its ledger has tables": { call: "exec", on: "ledger", sql: "CREATE", when: "before" },
  "before the COMMIT of its ledger": { call: "exec", on: "ledger", sql: "COMMIT", when: "before" },
  "after the COMMIT of its ledger": { call: "exec", on: "ledger", sql: "COMMIT", when: "after" },
  "before its outputs are in it": { call: "run", on: "ledger", sql: "INSERT OR REPLACE", when: "before" },
  "before its first segment is made": { call: "exec", on: "segment", when: "before" },
  "before its first append": { call: "run", on: "segment", sql: "INSERT INTO appends", when: "before" }
}

/** Where and when: at the `nth` such call after `accepted` samples. */
export interface KillAt extends KillPoint {
  readonly folder: string
  readonly accepted: number
  readonly nth: number
}
