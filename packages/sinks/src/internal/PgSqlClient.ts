/**
 * An `effect/sql` client on a connection of `pg`, so that statements and a COPY can share a transaction.
 *
 * It runs statements and gives their rows. Streams of rows and rows as arrays are left out.
 */
import { Effect, Stream } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import type { Compiler } from "effect/sql/Statement"
import type { PoolClient, QueryResult } from "pg"

/** `begin` begins a transaction. It may be several statements. */
export const sqlOn = (
  client: PoolClient,
  { begin, compiler }: { readonly begin: string; readonly compiler: Compiler }
): Effect.Effect<SqlClient.SqlClient> =>
  SqlClient.make({
    acquirer: Effect.succeed(connectionOf(client)),
    compiler,
    driver: "pg",
    spanAttributes: [],
    beginTransaction: begin,
    commit: (connection) => Effect.flatMap(connection.executeRaw("COMMIT", []), expectCommit),
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`
  }).pipe(Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make))

/** The server answers a COMMIT of a transaction that has failed with ROLLBACK. */
const expectCommit = (result: unknown): Effect.Effect<void, SqlError> =>
  (result as QueryResult).command === "COMMIT"
    ? Effect.void
    : Effect.fail(sqlError(new Error("the server rolled the transaction back")))

const connectionOf = (client: PoolClient): Connection => {
  const query = (text: string, values: ReadonlyArray<unknown>) =>
    Effect.callback<QueryResult, SqlError>((resume) => {
      client.query(text, [...values], (cause, result) => {
        // oxlint-disable-next-line typescript/no-unnecessary-condition -- null if there is none, whatever its type says
        resume(cause ? Effect.fail(sqlError(cause)) : Effect.succeed(result))
      })
    })
  const rows = (text: string, values: ReadonlyArray<unknown>) => Effect.map(query(text, values), ({ rows }) => rows)
  const leftOut = Effect.die("this client gives rows only")
  return {
    execute: rows,
    executeUnprepared: rows,
    executeRaw: query,
    executeStream: () => Stream.fromEffect(leftOut),
    executeValues: () => leftOut,
    executeValuesUnprepared: () => leftOut
  }
}

const sqlError = (cause: Error) => new SqlError({ reason: new UnknownError({ cause, message: cause.message }) })
