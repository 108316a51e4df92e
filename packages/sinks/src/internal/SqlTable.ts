/**
 * What `SqlSink` needs of a table, whatever the dialect of its database.
 */
import type { RunEvent, Sample, SchemaLock } from "@sampleline/core"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { TableProblem } from "./TableFit.ts"

export interface SqlTable {
  /** What the table is called in messages. */
  readonly target: string
  readonly exists: Effect.Effect<boolean, SqlError>
  /** The columns that the first batch locked; undefined before it. */
  readonly lock: () => SchemaLock | undefined
  readonly write: (batch: ReadonlyArray<Sample>) => Effect.Effect<void, SqlError | TableProblem>
  /** Keeps an event of the run. Absent: events are not kept. */
  readonly event?: ((event: RunEvent) => Effect.Effect<void, SqlError>) | undefined
  /** Fails as `write` would for a first batch, as far as this can be known. Changes nothing. */
  readonly check: (batch: ReadonlyArray<Sample>) => Effect.Effect<void, SqlError | TableProblem>
}

/** Fails with the problem if there is one. */
export const orProblem = <A extends object>(result: A | TableProblem): Effect.Effect<A, TableProblem> =>
  "problem" in result ? Effect.fail(result) : Effect.succeed(result)
