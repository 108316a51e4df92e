import type { Cell, ColumnType } from "@sampleline/core"
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { DatabaseSync } from "node:sqlite"

/** The rows of a query, read by a connection of its own. */
export const query = (path: string, sql: string) => {
  const database = new DatabaseSync(path, { readOnly: true })
  const rows = database.prepare(sql).all() as ReadonlyArray<{ readonly [column: string]: Cell }>
  database.close()
  return rows.map((row) => ({ ...row }))
}

/** Runs statements in a database, and makes it if it is missing. */
export const execute = (path: string, sql: string) => {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}

/** Whether a column keeps NaN or an infinity: SQLite stores NaN as NULL. */
export const keepsInSqlite = (type: ColumnType, value: number): boolean => type === "float" && !Number.isNaN(value)

export const countRows = (path: string, table = "samples") =>
  query(path, `SELECT count(*) AS n FROM ${table}`)[0]?.["n"]

export const tablesOf = (path: string) =>
  query(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").map((row) => row["name"])

/** Holds a write lock on a database in a process of its own, until it is released. */
export const lockElsewhere = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly release: () => void }>((resume) => {
      const program = `
        const { DatabaseSync } = require("node:sqlite")
        const database = new DatabaseSync(${JSON.stringify(path)})
        database.exec("BEGIN IMMEDIATE")
        process.stdout.write("locked")
        process.stdin.once("data", () => { database.exec("COMMIT"); process.exit() })
      `
      const child = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "inherit"] })
      child.stdin.on("error", () => {})
      child.stdout.once("data", () => resume(Effect.succeed({ release: () => child.stdin.write("go") })))
    }),
    (lock) => Effect.sync(lock.release)
  )

/** Whether a write lock of this process keeps another process out. */
export const isLockedForOthers = (path: string): boolean => {
  const program = `
    const { DatabaseSync } = require("node:sqlite")
    try {
      new DatabaseSync(${JSON.stringify(path)}).exec("BEGIN IMMEDIATE")
      process.stdout.write("free")
    } catch (error) {
      process.stdout.write(error.message)
    }
  `
  const output = spawnSync(process.execPath, ["-e", program]).stdout.toString()
  if (output !== "free" && !output.includes("locked")) throw new Error(output)
  return output !== "free"
}
