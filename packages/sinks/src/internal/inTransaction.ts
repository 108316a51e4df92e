/**
 * A transaction of an `effect/sql` client whose failures are all typed.
 */
import { type Cause, Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

/**
 * `withTransaction` makes defects of a failure and of a ROLLBACK that fails after it, as after a lost connection. Then the failure
 * says why.
 */
export const inTransaction = <A, E, R>(
  sql: SqlClient,
  run: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError, R> =>
  Effect.suspend(() => {
    let failure: Cause.Cause<E> | undefined
    const remembered = Effect.onError(run, (cause) =>
      Effect.sync(() => {
        failure = cause
      }))
    const typed = (defect: unknown): Effect.Effect<never, E | SqlError> => {
      if (failure !== undefined) return Effect.failCause(failure)
      return isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)
    }
    return Effect.catchDefect(sql.withTransaction(remembered), typed)
  })
