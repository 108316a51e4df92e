/**
 * Writes to the terminal of stderr and never waits for it.
 *
 * A terminal takes nothing while Ctrl-S stops it, or while the connection to it hangs. Node waits for it then, and a recording would
 * wait too. So the terminal is opened anew, because other programs that share the first opening must not become non-blocking. What
 * it does not take is kept, up to a limit, and tried again.
 *
 * This is for Linux. Elsewhere `open` gives null.
 */
import * as fs from "node:fs"
import * as tty from "node:tty"

const RETRY_MS = 100
/** Some thousands of lines. */
const MOST_PENDING = 1_000_000

export class TerminalOutput {
  private readonly terminal: number
  /** What the terminal has not taken yet. */
  private pending: Buffer = Buffer.alloc(0)
  private retry: NodeJS.Timeout | undefined

  /** Null if stderr is no terminal, or it cannot be opened anew. */
  static open(): TerminalOutput | null {
    if (process.platform !== "linux" || !tty.isatty(2)) return null
    const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = fs.constants
    for (const path of ["/proc/self/fd/2", "/dev/tty"]) {
      try {
        return new TerminalOutput(fs.openSync(path, O_WRONLY | O_NONBLOCK | O_NOCTTY))
      } catch {
        // After `su` the terminal belongs to another user. It can still be opened by its other name.
      }
    }
    return null
  }

  private constructor(terminal: number) {
    this.terminal = terminal
  }

  /** Whether the terminal has taken everything. */
  get isFree(): boolean {
    return this.pending.length === 0
  }

  /** What is too much is lost. */
  write(text: string): void {
    if (this.pending.length < MOST_PENDING) this.pending = Buffer.concat([this.pending, Buffer.from(text)])
    this.flush()
  }

  /** Forgets what the terminal has not taken. */
  discard(): void {
    this.pending = Buffer.alloc(0)
  }

  /** Waits until the terminal has taken everything, but no longer than this. Blocks the process. */
  flushWithin(millis: number): void {
    const pause = new Int32Array(new SharedArrayBuffer(4))
    for (let waited = 0; !this.flush() && waited < millis; waited += RETRY_MS) Atomics.wait(pause, 0, 0, RETRY_MS)
  }

  private readonly flush = (): boolean => {
    clearTimeout(this.retry)
    try {
      while (!this.isFree) this.pending = this.pending.subarray(fs.writeSync(this.terminal, this.pending))
    } catch (error) {
      // A terminal that was closed takes nothing any more.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") this.discard()
      else this.retry = setTimeout(this.flush, RETRY_MS).unref()
    }
    return this.isFree
  }
}
