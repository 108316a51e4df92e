import { assert } from "@effect/vitest"
import { type IPty, spawn } from "@lydell/node-pty"
import { Deferred, Effect } from "effect"
import * as fs from "node:fs"
import { emulator } from "../../view/test/views.ts"
import { BIN } from "./process.ts"

/** Writes to a terminal until it takes no more. Returns how many bytes it took. */
const fill = (path: string): number => {
  const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = fs.constants
  const terminal = fs.openSync(path, O_WRONLY | O_NONBLOCK | O_NOCTTY)
  let written = 0
  try {
    for (;;) written += fs.writeSync(terminal, Buffer.alloc(4096))
  } catch (error) {
    assert.strictEqual((error as NodeJS.ErrnoException).code, "EAGAIN")
    return written
  } finally {
    fs.closeSync(terminal)
  }
}

/** What its types do not tell. */
interface UnixTerminal extends IPty {
  readonly ptsName: string
  readonly destroy: () => void
}

export interface TerminalOptions {
  readonly cols?: number
  readonly rows?: number
  readonly env?: NodeJS.ProcessEnv
}

/** Starts a program on a terminal. The scope kills it. */
const startInPty = Effect.fnUntraced(function*(
  command: string,
  args: ReadonlyArray<string>,
  options: TerminalOptions & { readonly cwd: string }
) {
  const exited = yield* Deferred.make<number>()
  const listeners = new Set<() => void>()
  let text = ""
  const screen = emulator(options.cols ?? 80, options.rows ?? 24)
  const terminal = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(command, [...args], { cols: 80, rows: 24, ...options }) as UnixTerminal),
    (terminal) => Effect.sync(() => terminal.kill("SIGKILL"))
  )
  terminal.onData((chunk) => {
    text += chunk
    screen.terminal.write(chunk)
    for (const listener of listeners) listener()
  })
  terminal.onExit(({ exitCode, signal }) =>
    Deferred.doneUnsafe(exited, Effect.succeed(signal === undefined || signal === 0 ? exitCode : -signal))
  )
  return {
    /** Everything that was printed. */
    text: () => text,
    /** What stands on the screen. */
    screen: screen.lines,
    /** Whether the screen is the one of the shell. */
    isOnNormalScreen: () => screen.terminal.buffer.active.type === "normal",
    resize: (cols: number, rows: number) => {
      screen.terminal.resize(cols, rows)
      terminal.resize(cols, rows)
    },
    /** Stops to read what the terminal gets, and fills it with characters that show nothing, until it takes no more. */
    stall: Effect.gen(function*() {
      terminal.pause()
      // The kernel makes some room again after it has refused a byte.
      yield* Effect.repeat(Effect.delay(Effect.sync(() => fill(terminal.ptsName)), "50 millis"), {
        until: (written) => written === 0
      })
    }),
    /** Reads again. */
    readOn: Effect.sync(() => terminal.resume()),
    type: (keys: string) => Effect.sync(() => terminal.write(keys)),
    kill: (signal: string) => terminal.kill(signal),
    /** Takes the terminal away, as a closed window or a lost connection does. */
    close: () => terminal.destroy(),
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
      }).pipe(
        Effect.timeoutOrElse({
          duration: "60 seconds",
          orElse: () =>
            Effect.sync(() => assert.fail(`${wanted} was not printed behind ${from}: ${JSON.stringify(text)}`))
        })
      ),
    /** The exit code; negative if a signal ended the process. */
    exit: Deferred.await(exited)
  }
})

/** Starts the command line on a terminal, of 80 columns and 24 rows if nothing else is said. The scope kills it. */
export const startOnTerminal = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  cwd: string,
  { env, ...size }: TerminalOptions = {}
) {
  const terminal = yield* startInPty(process.execPath, [BIN, ...args], {
    cwd,
    ...size,
    env: { ...process.env, TERM: "xterm-256color", LC_ALL: "C.UTF-8", NO_COLOR: "", ...env }
  })
  return { ...terminal, printed: (wanted: RegExp) => terminal.matching(wanted, 0) }
})

/**
 * Starts bash with job control on a terminal. `$SAMPLELINE` is the command line there. What was printed is read like a conversation:
 * `expect` looks behind what it found before.
 */
export const startShell = Effect.fnUntraced(function*(cwd: string, TERM = "dumb") {
  const terminal = yield* startInPty("bash", ["--norc", "--noprofile", "-i"], {
    cwd,
    cols: 300,
    env: { ...process.env, PS1: "$ ", TERM, LC_ALL: "C.UTF-8", SAMPLELINE: `${process.execPath} ${BIN}` }
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
    screen: terminal.screen,
    isOnNormalScreen: terminal.isOnNormalScreen,
    expect,
    ask,
    /** The mode of the terminal. */
    mode: ask("stty -g")
  }
})

export type Shell = Effect.Success<ReturnType<typeof startShell>>
