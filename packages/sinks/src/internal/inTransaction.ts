/**
 * A transaction of an `effect/sql` client whose failures are all typed.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

/** `withTransaction` makes defects of a failure and of a ROLLBACK that fails after it, as after a lost connection. */
export const inTransaction = <A, E, R>(
  sql: SqlClient,
  run: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError, R> =>
  Effect.catchDefect(
    sql.withTransaction(run),
    (defect) => isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)
  )
