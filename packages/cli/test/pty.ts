import { spawn } from "@lydell/node-pty"
import { Deferred, Effect } from "effect"
import { BIN } from "./process.ts"

/** Starts the command line on a terminal of 80 columns. The scope kills it. */
export const startOnTerminal = Effect.fnUntraced(function*(args: ReadonlyArray<string>, cwd: string) {
  const exited = yield* Deferred.make<number>()
  const listeners = new Set<() => void>()
  let text = ""
  const terminal = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [BIN, ...args], { cwd, cols: 80, rows: 24 })),
    (terminal) => Effect.sync(() => terminal.kill("SIGKILL"))
  )
  terminal.onData((chunk) => {
    text += chunk
    for (const listener of listeners) listener()
  })
  terminal.onExit(({ exitCode, signal }) =>
    Deferred.doneUnsafe(exited, Effect.succeed(signal === undefined || signal === 0 ? exitCode : -signal))
  )
  return {
    /** Everything that the command printed. */
    text: () => text,
    kill: (signal: string) => terminal.kill(signal),
    /** Takes the terminal away, as a closed window or a lost connection does. */
    close: () => (terminal as typeof terminal & { readonly destroy: () => void }).destroy(),
    printed: (wanted: string) =>
      Effect.callback<void>((resume) => {
        const look = () => {
          if (text.includes(wanted)) resume(Effect.void)
        }
        listeners.add(look)
        look()
        return Effect.sync(() => listeners.delete(look))
      }),
    /** The exit code; negative if a signal ended the process. */
    exit: Deferred.await(exited)
  }
})
