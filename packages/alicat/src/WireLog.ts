/**
 * What goes over the wire of a port, in the log at the level DEBUG.
 */
import { Effect, LogLevel } from "effect"

/** Logs a line, as things happen, outside of any fiber. The text is made only if it is logged. */
export type LogWire = (text: () => string) => void

/** `given` is the name in the annotations, as the user wrote it. */
export const wireLog = Effect.fnUntraced(function*(path: string, given: string): Effect.fn.Return<LogWire> {
  if (!(yield* LogLevel.isEnabled("Debug"))) return () => {}
  const run = Effect.runSyncWith(yield* Effect.context())
  return (text) => run(Effect.annotateLogs(Effect.logDebug(`${path} ${text()}`), { port: given }))
})
