/**
 * The keys that are pressed on the terminal while a command runs.
 *
 * The kernel stops a process that reads a terminal from the background or changes its mode, and its whole process group. That must
 * never happen to a recording. So no read waits for a key: the keyboard is looked at now and then, and only if the terminal is ours
 * at that moment.
 *
 * `stty` turns off line editing and echo. Ctrl-C and Ctrl-Z stay with the kernel, which signals every program of a pipeline. Node's
 * raw mode would take them away, and Node ends it at its exit without a look at who has the terminal.
 *
 * The terminal is asked to say what is pasted, because pasted text is no keys.
 *
 * Keys are read on Linux only. macOS has no file that says who has the terminal. Windows has no `stty`.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawnSync, type SpawnSyncOptionsWithStringEncoding } from "node:child_process"
import * as fs from "node:fs"
import { StringDecoder } from "node:string_decoder"
import * as tty from "node:tty"
import { beforeAbruptSignals } from "./abruptSignals.ts"
import { isInBackground } from "./jobControl.ts"
import { isShared, markPastes } from "./terminal.ts"
import { type Typed, TypedText } from "./typed.ts"

export interface Keyboard {
  /** Whether keys were read when it was last looked at. */
  readonly isOn: () => boolean
  /** What was typed since the last call. Nothing in the background. */
  readonly read: () => ReadonlyArray<Typed>
}

/** Opens the keyboard; the scope puts the terminal back. Null if there are no keys to read. */
export const openKeyboard: Effect.Effect<Keyboard | null, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => isInBackground() === null || !hasKeys() ? null : TerminalKeyboard.open()),
  (keyboard) => Effect.sync(() => keyboard?.close())
)

const hasKeys = (): boolean => tty.isatty(0) && tty.isatty(2) && !isShared()

class TerminalKeyboard implements Keyboard {
  private readonly terminal: number
  private readonly decoder = new StringDecoder("utf8")
  private typed = new TypedText()
  private readonly buffer = Buffer.alloc(4096)
  /** The mode before ours, as `stty -g` prints it. */
  private before: string | null = null
  private hasMode = false
  private isLost = false
  private readonly forgetAbrupt: () => void

  /** Null if there is no terminal. */
  static open(): TerminalKeyboard | null {
    try {
      // Opened anew: a terminal that another program shares must not become non-blocking.
      return new TerminalKeyboard(fs.openSync("/dev/tty", fs.constants.O_RDONLY | fs.constants.O_NONBLOCK))
    } catch {
      return null
    }
  }

  private constructor(terminal: number) {
    this.terminal = terminal
    process.on("SIGCONT", this.onContinued)
    process.on("exit", this.putBack)
    this.forgetAbrupt = beforeAbruptSignals(this.putBack)
    this.look()
  }

  close(): void {
    this.putBack()
    process.off("SIGCONT", this.onContinued)
    process.off("exit", this.putBack)
    this.forgetAbrupt()
    fs.closeSync(this.terminal)
  }

  isOn(): boolean {
    return this.hasMode
  }

  read(): ReadonlyArray<Typed> {
    this.look()
    return this.hasMode ? this.typed.read(this.readText()) : []
  }

  private readText(): string {
    try {
      const bytes = fs.readSync(this.terminal, this.buffer)
      // A terminal that was closed has an end.
      if (bytes === 0) this.lose()
      return this.decoder.write(this.buffer.subarray(0, bytes))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") this.lose()
      return ""
    }
  }

  /** Sets our mode if the terminal is ours again. */
  private look(): void {
    if (isInBackground() !== false) this.hasMode = false
    else if (!this.hasMode && !this.isLost) {
      this.before ??= this.stty("-g")
      if (this.before !== null && this.stty("-icanon", "-echo", "min", "1", "time", "0") !== null) {
        this.hasMode = true
        this.typed = new TypedText()
        markPastes(true)
      } else this.lose()
    }
  }

  private lose(): void {
    this.hasMode = false
    this.isLost = true
  }

  private readonly putBack = (): void => {
    if (this.hasMode && this.before !== null && isInBackground() === false) {
      markPastes(false)
      this.stty(this.before)
    }
    this.hasMode = false
  }

  /** The shell has set a mode of its own if the process was stopped by a signal that nobody can hear. */
  private readonly onContinued = (): void => {
    this.hasMode = false
  }

  /**
   * What `stty` prints; null if it fails. It is waited for. So it has a session of its own: no key stops or ends it, and it stops nobody
   * if the terminal goes to another group in this moment.
   */
  private stty(...args: ReadonlyArray<string>): string | null {
    // Its terminal is stdin, which Node leaves as it is. Node would make our descriptor blocking, for us too.
    const options: SpawnSyncOptionsWithStringEncoding & { readonly detached: true } = {
      stdio: [0, "pipe", "ignore"],
      detached: true,
      encoding: "utf8"
    }
    const { status, stdout } = spawnSync("stty", args, options)
    return status === 0 ? stdout.trim() : null
  }
}
