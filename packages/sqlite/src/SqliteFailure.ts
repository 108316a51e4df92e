/**
 * The one error of this package's databases: what SQLite said, and its result code.
 */
import { Data } from "effect"

const BUSY = 5

/**
 * A call to SQLite failed, or its driver could not be loaded.
 *
 * @since 0.1.0
 * @category errors
 */
export class SqliteFailure extends Data.TaggedError("SqliteFailure")<{
  readonly message: string
  /** The extended result code, as listed on sqlite.org/rescode.html; -1 if the error is not SQLite's. */
  readonly code: number
  readonly cause: unknown
}> {
  /** From whatever the driver threw. */
  static readonly from = (cause: unknown): SqliteFailure => {
    if (cause instanceof SqliteFailure) return cause
    return new SqliteFailure({
      message: cause instanceof Error ? cause.message : String(cause),
      code: typeof cause === "object" && cause !== null && "errcode" in cause ? Number(cause.errcode) : -1,
      cause
    })
  }

  /** A lock is in the way. */
  static readonly busy = (message: string): SqliteFailure =>
    new SqliteFailure({ message, code: BUSY, cause: undefined })

  /** The kind of failure: the lowest eight bits of the code. */
  get primaryCode(): number {
    return this.code < 0 ? -1 : this.code & 0xff
  }

  /** Whether another connection holds a lock. */
  get isBusy(): boolean {
    return this.primaryCode === BUSY
  }
}
