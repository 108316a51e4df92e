/**
 * What a command prints: results on stdout, log lines and errors on stderr. On a terminal, stderr also has a status line that is
 * overwritten in place, or a table on a screen of its own. Log lines wait while the table stands, and are printed when it is gone.
 *
 * A reader that goes away, a full disk and a terminal that is closed must not end a recording. So no error of these streams
 * reaches the program. The first error of stdout is kept: a result that nobody could read is a failure of the command.
 *
 * A terminal that takes nothing must not hold up a recording either: see `terminalOutput.ts`. Only a result, and why a command
 * failed, are waited for.
 */
import { messageOf } from "@sampleline/core"
import { enterScreen, frameOf, leaveScreen, type LogLine } from "@sampleline/view"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as fs from "node:fs"
import * as tty from "node:tty"
import { UsageError } from "./errors.ts"
import { isInBackground } from "./jobControl.ts"
import { withoutSecrets } from "./secrets.ts"
import { TerminalOutput } from "./terminalOutput.ts"

/** What the status line shows; empty if there is none. */
let status = ""
/** The table that stands; null if there is none. */
let table: { readonly lines: ReadonlyArray<string>; readonly size: TableSize } | null = null
let stdoutError: Error | undefined

/** Null if stderr is no terminal, or one that must be waited for. */
const terminal = TerminalOutput.open()

/** Takes the errors of both streams from now on. */
export const ignoreBrokenStreams = (): void => {
  process.stdout.on("error", (error) => stdoutError ??= error)
  process.stderr.on("error", () => {})
}

/** Why results on stdout were lost, or undefined. */
export const resultsLost = (): Error | undefined => stdoutError

/** The streams throw, where they write to a file or a device, or emit the error. */
const write = (stream: NodeJS.WriteStream, text: string): void => {
  try {
    if (stream === process.stderr && terminal !== null) terminal.write(text)
    else stream.write(text)
  } catch (error) {
    if (stream === process.stdout) stdoutError ??= error as Error
  }
}

const TERMINALS = [0, 1, 2].filter((fd) => tty.isatty(fd))

/** How long the end of the process waits for a terminal that takes nothing. */
const PATIENCE_MS = 1000

/** Removes the status line or the table before something else happens on the terminal, unless another program has it. */
export const clearTerminal = (): void => {
  if (isInBackground() === true) forgetShown()
  else clearStatus()
  terminal?.flushWithin(PATIENCE_MS)
}

/**
 * Leaves no status line and no table before the prompt. Node sets the terminal back at its end to what it was at its start. It must
 * not do that while another program has the terminal, and it aborts if the terminal has gone. Then these descriptors lead to
 * /dev/null.
 */
export const leaveTerminals = (): void => {
  clearTerminal()
  for (const fd of TERMINALS) {
    if (tty.isatty(fd) && isInBackground() !== true) continue
    fs.closeSync(fd)
    fs.openSync("/dev/null", "r+")
  }
}

/** The width of the status line. The last column stays free: some terminals begin a new line there. */
export const statusColumns = (): number => (process.stderr.columns || 80) - 1

const ERASED = "\r\u001b[K"

/** Replaces the status line. Only for terminals. It is not shown while the terminal has not taken what came before. */
export const showStatus = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    if (table !== null) clearStatus()
    if (terminal?.isFree === false) return
    status = text.slice(0, statusColumns())
    write(process.stderr, `${ERASED}${status}`)
  })

/** Whether another program may use the terminal too: one that reads our output, such as `less`. */
export const isShared = (): boolean => {
  const output = fs.fstatSync(1)
  return output.isFIFO() || output.isSocket()
}

/** Whether a table can stand on stderr, if it is large enough. Where nobody can tell who has the terminal, none can. */
export const canShowTable = (): boolean => terminal !== null && isInBackground() !== null && !isShared() && !isDumb()

/** Whether the terminal says that it only prints. */
const isDumb = (): boolean => ["", "dumb"].includes(process.env["TERM"] ?? "")

/** What the terminal was last asked about pasted text. */
let pastes = ""

/** Asks the terminal to say where pasted text begins and ends, or no longer. */
export const markPastes = (isWanted: boolean): void => {
  if (terminal === null || isDumb()) return
  pastes = isWanted ? "\u001b[?2004h" : "\u001b[?2004l"
  terminal.write(pastes)
}

export interface TableSize {
  readonly columns: number
  readonly rows: number
}

const LEAST_COLUMNS = 80
const LEAST_ROWS = 12

/** The size of a table on this terminal, which changes; null if there is no room for one. */
export const tableSize = (): TableSize | null => {
  // A process in the background did not hear of changes.
  if (table === null) process.emit("SIGWINCH", "SIGWINCH")
  const { columns, rows } = process.stderr
  return columns >= LEAST_COLUMNS && rows >= LEAST_ROWS ? { columns: columns - 1, rows } : null
}

/** Shows a table, on a screen of its own. It is not shown while the terminal has not taken what came before. */
export const showTable = (lines: ReadonlyArray<string>, size: TableSize): void => {
  if (terminal?.isFree !== true) return
  clearLine()
  const before = table?.size.columns === size.columns && table.size.rows === size.rows ? table.lines : null
  const frame = (table === null ? enterScreen : "") + frameOf(before, lines)
  table = { lines, size }
  if (frame !== "") terminal.write(frame)
}

/** Another program may have written on the table: the next one is drawn anew. */
export const redrawTable = (): void => {
  if (table !== null) table = { lines: [], size: { columns: 0, rows: 0 } }
}

/** Removes the status line or the table, so that something else can be printed in its place. */
export const clearStatus = (): void => {
  clearLine()
  if (table === null) return
  table = null
  // The rest of a frame would be drawn over what comes next.
  terminal?.discard()
  write(process.stderr, leaveScreen + pastes + takeHeld())
}

/** Removes the status line. */
export const clearLine = (): void => {
  if (status !== "") write(process.stderr, ERASED)
  status = ""
}

/** Another program has the terminal, with what was shown there. */
export const forgetShown = (): void => {
  status = ""
  if (table === null) return
  table = null
  terminal?.discard()
  write(process.stderr, takeHeld())
}

const MOST_HELD = 1000
const FIRST_HELD = 100

/** Lines that wait until the table is gone. If there are too many, those after the first ones are lost. */
let held: Array<string> = []
let notHeld = 0

const hold = (text: string): void => {
  held.push(text)
  if (held.length <= MOST_HELD) return
  held.splice(FIRST_HELD, 1)
  notHeld++
}

const takeHeld = (): string => {
  const lines = notHeld === 0 ? held : held.toSpliced(FIRST_HELD, 0, `(${notHeld} lines are left out here)`)
  held = []
  notHeld = 0
  return lines.map((line) => `${line}\n`).join("")
}

/** Prints lines, above the status line. While a table stands they wait. */
export const say = (text: string): void => {
  if (table !== null && isInBackground() !== true) hold(text)
  else write(process.stderr, status === "" ? `${text}\n` : `${ERASED}${text}\n${status}`)
}

/** Prints a result on stdout. A terminal is waited for. */
export const print = (text: string): void => {
  clearStatus()
  terminal?.flushWithin(Number.POSITIVE_INFINITY)
  write(process.stdout, `${text}\n`)
}

/**
 * Prints why a command failed: one line for a typed error, and the lines that show its place; the stack for a bug. A terminal is
 * waited for.
 */
export const complain = (error: unknown): void => {
  say(
    error instanceof Error && "_tag" in error
      ? `sampleline: ${withoutSecrets(messageOf(error))}`
      : `sampleline: internal error: ${error instanceof Error ? error.stack : messageOf(error)}`
  )
  if (error instanceof UsageError && error.below !== undefined) say(error.below)
  terminal?.flushWithin(Number.POSITIVE_INFINITY)
}

/** `2026-11-25 16:04:07`, the local time. */
export const timeText = (date: Date): string => {
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0"))
  return `${day.join("-")} ${date.toTimeString().slice(0, 8)}`
}

const MOST_LOGGED = 20
const logged: Array<LogLine & { readonly name: string; readonly time: string }> = []

/** The latest log lines, the last one last, with the time of day, and the name of the level where nothing else shows it. */
export const latestLog = ({ named = true } = {}): ReadonlyArray<LogLine> =>
  logged.map(({ level, name, text, time }) => ({ level, text: named ? `${time} ${name} ${text}` : `${time} ${text}` }))

const LEVELS: { readonly [level: string]: LogLine["level"] } = { Warn: "warning", Error: "error", Fatal: "error" }

/** Log lines with date and time of day: `2026-11-25 16:04:07 WARN fuel: no reply within 500 ms`. */
export const stderrLogger = Logger.layer([
  Logger.make(({ date, logLevel, message }) => {
    const text = withoutSecrets([message].flat().map(messageOf).join(" "))
    const [time, name] = [timeText(date), logLevel.toUpperCase()]
    logged.push({ level: LEVELS[logLevel] ?? "info", name, text, time: time.slice("2026-11-25 ".length) })
    if (logged.length > MOST_LOGGED) logged.shift()
    say(`${time} ${name} ${text}`)
  })
])
