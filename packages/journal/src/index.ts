/**
 * A journal between recorder and outputs.
 */
export * as Journal from "./Journal.ts"
export { JournalError } from "./JournalError.ts"
