/**
 * How sampleline's packages use SQLite. Not for users.
 */
export * as OwnerLock from "./OwnerLock.ts"
export { removeFile } from "./removeFile.ts"
export * as SqliteDatabase from "./SqliteDatabase.ts"
export { SqliteFailure } from "./SqliteFailure.ts"
export { syncFile, syncFolder } from "./sync.ts"
export { inTransaction, retryWhileLocked, runTransaction } from "./transaction.ts"
