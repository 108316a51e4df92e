import { spawn } from "@lydell/node-pty"
import { Deferred, Effect } from "effect"
import { BIN } from "./process.ts"

/** Starts a program on a terminal. The scope kills it. */
const startInPty = Effect.fnUntraced(function*(
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly cols: number; readonly env?: NodeJS.ProcessEnv }
) {
  const exited = yield* Deferred.make<number>()
  const listeners = new Set<() => void>()
  let text = ""
  const terminal = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(command, [...args], { ...options, rows: 24 })),
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
    /** Everything that was printed. */
    text: () => text,
    type: (keys: string) => Effect.sync(() => terminal.write(keys)),
    kill: (signal: string) => terminal.kill(signal),
    /** Takes the terminal away, as a closed window or a lost connection does. */
    close: () => (terminal as typeof terminal & { readonly destroy: () => void }).destroy(),
    /** Returns the text from `from` on that matches, when it has been printed. */
    matching: (wanted: RegExp, from: number) =>
      Effect.callback<RegExpExecArray>((resume) => {
        const look = () => {
          const found = wanted.exec(text.slice(from))
          if (found !== null) resume(Effect.succeed(found))
        }
        listeners.add(look)
        look()
        return Effect.sync(() => listeners.delete(look))
      }),
    /** The exit code; negative if a signal ended the process. */
    exit: Deferred.await(exited)
  }
})

/** Starts the command line on a terminal of 80 columns. The scope kills it. */
export const startOnTerminal = Effect.fnUntraced(function*(args: ReadonlyArray<string>, cwd: string) {
  const terminal = yield* startInPty(process.execPath, [BIN, ...args], { cwd, cols: 80 })
  return { ...terminal, printed: (wanted: RegExp) => terminal.matching(wanted, 0) }
})

/**
 * Starts bash with job control on a terminal. `$SAMPLELINE` is the command line there. What was printed is read like a conversation:
 * `expect` looks behind what it found before.
 */
export const startShell = Effect.fnUntraced(function*(cwd: string) {
  const terminal = yield* startInPty("bash", ["--norc", "--noprofile", "-i"], {
    cwd,
    cols: 300,
    env: { ...process.env, PS1: "$ ", TERM: "dumb", SAMPLELINE: `${process.execPath} ${BIN}` }
  })
  let read = 0
  const expect = Effect.fnUntraced(function*(wanted: RegExp) {
    const found = yield* terminal.matching(wanted, read)
    read += found.index + found[0].length
    return found
  })
  /** What a command prints. */
  const ask = Effect.fnUntraced(function*(command: string) {
    yield* terminal.type(`echo "<""$(${command})>"\n`)
    const [, answer] = yield* expect(/<([^"<>]*)>/)
    return answer!
  })
  return {
    type: terminal.type,
    text: terminal.text,
    expect,
    ask,
    /** The mode of the terminal. */
    mode: ask("stty -g")
  }
})

export type Shell = Effect.Success<ReturnType<typeof startShell>>
