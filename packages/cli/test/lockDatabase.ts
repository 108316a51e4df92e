import { Effect } from "effect"
import { DatabaseSync } from "node:sqlite"

/** Another program that has a transaction open in a database. The scope ends it. */
export const lockDatabase = (file: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const database = new DatabaseSync(file, { timeout: 5000 })
      database.exec("BEGIN IMMEDIATE")
      return database
    }),
    (database) => Effect.sync(() => database.close())
  )
