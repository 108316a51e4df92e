/**
 * One recorder at a time for a text file: two would write over each other's lines.
 *
 * The lock is `.<name>.lock` beside the file. The system frees it when the recorder's process ends, however it ends. The lock's
 * own file stays: if it were removed, two recorders could hold two locks of one name.
 */
import { SinkOpenError } from "@sampleline/core"
import { OwnerLock } from "@sampleline/sqlite"
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileOpenError, type Writer } from "./FileFailure.ts"

/** Holds the lock of a file until the scope closes. Where locks do not work there is a log line, and no lock. */
export const lockOutput = (writer: Writer, file: string): Effect.Effect<void, SinkOpenError, Scope.Scope> =>
  Effect.try({ try: () => lockOf(file), catch: (cause) => fileOpenError(writer, cause) }).pipe(
    Effect.flatMap(OwnerLock.acquire),
    Effect.catchTags({
      OwnedError: ({ owner }) => {
        const other = owner === null ? "another recorder" : `another recorder (process ${owner.pid} on ${owner.host})`
        return new SinkOpenError({
          ...writer,
          reason: "Busy",
          detail: `${other} writes to it; end that recorder, or record to another file`
        })
      },
      SqliteFailure: ({ message }) =>
        Effect.logInfo(`${writer.sink} ${writer.target}: other recorders cannot be kept away: ${message}`)
    })
  )

/** Fails if another recorder holds the lock. Makes no lock. */
export const checkLock = (writer: Writer, file: string): Effect.Effect<void, SinkOpenError> =>
  Effect.try({ try: () => fs.existsSync(lockOf(file)), catch: (cause) => fileOpenError(writer, cause) }).pipe(
    Effect.flatMap((exists) => exists ? Effect.scoped(lockOutput(writer, file)) : Effect.void)
  )

/** A link has the lock of the file that it leads to. */
const lockOf = (file: string): string => {
  const real = fs.existsSync(file)
    ? fs.realpathSync(file)
    : path.join(fs.realpathSync(path.dirname(file)), path.basename(file))
  return path.join(path.dirname(real), `.${path.basename(real)}.lock`)
}
