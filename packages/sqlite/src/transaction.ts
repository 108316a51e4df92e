/**
 * Transactions, and waiting for another process's lock. SQLite's own busy timeout would block the event loop.
 */
import { Clock, Duration, Effect, Schedule } from "effect"
import { attempt, type SqliteDatabase } from "./SqliteDatabase.ts"
import type { SqliteFailure } from "./SqliteFailure.ts"

const RETRY_INTERVAL = Duration.millis(10)

/**
 * Runs `run`, and retries it while another connection has locked the database, for at most `timeout`. The event loop is free
 * between two tries. If `run` throws it must leave nothing behind, as `runTransaction` does.
 *
 * @since 0.1.0
 * @category transactions
 */
export const retryWhileLocked = <A>(run: () => A, timeout: Duration.Duration): Effect.Effect<A, SqliteFailure> =>
  Effect.catchIf(attempt(run), (failure) => failure.isBusy, () => retryUntil(run, timeout))

const retryUntil = <A>(run: () => A, timeout: Duration.Duration): Effect.Effect<A, SqliteFailure> =>
  Clock.clockWith((clock) => {
    const elapsedMillis = () => Number(clock.monotonicTimeNanosUnsafe() - start) / 1_000_000
    const start = clock.monotonicTimeNanosUnsafe()
    return Effect.retry(attempt(run), {
      while: (failure) => failure.isBusy && elapsedMillis() < Duration.toMillis(timeout),
      schedule: Schedule.spaced(RETRY_INTERVAL)
    })
  })

/**
 * Runs `run` between BEGIN IMMEDIATE and COMMIT. If anything throws it rolls back, and throws that error. Within a transaction it
 * is a part of that one.
 *
 * @since 0.1.0
 * @category transactions
 */
export const runTransaction = <A>(database: SqliteDatabase, run: () => A): A => {
  if (database.isInTransaction()) return run()
  try {
    database.exec("BEGIN IMMEDIATE")
    const result = run()
    database.exec("COMMIT")
    return result
  } catch (failure) {
    rollBack(database)
    throw failure
  }
}

/**
 * Runs effects between BEGIN IMMEDIATE and COMMIT, also those with transactions of their own. If they fail or are interrupted it
 * rolls back. Nothing else may use the database meanwhile.
 *
 * @since 0.1.0
 * @category transactions
 */
export const inTransaction = <A, E, R>(
  database: SqliteDatabase,
  timeout: Duration.Duration,
  run: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqliteFailure, R> =>
  Effect.acquireUseRelease(
    retryWhileLocked(() => database.exec("BEGIN IMMEDIATE"), timeout),
    () => Effect.tap(run, () => attempt(() => database.exec("COMMIT"))),
    () => Effect.sync(() => rollBack(database))
  )

/** On a disk that fails this may fail too. The first failure says why. */
const rollBack = (database: SqliteDatabase): void => {
  try {
    if (database.isInTransaction()) database.exec("ROLLBACK")
  } catch {
    // The transaction is rolled back when the database is opened again.
  }
}
