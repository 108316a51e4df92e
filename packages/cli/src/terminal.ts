/**
 * What a command prints: results on stdout, log lines and errors on stderr. On a terminal, stderr also has a status line that is
 * overwritten in place.
 *
 * A reader that goes away, a full disk and a terminal that is closed must not end a recording. So no error of these streams
 * reaches the program. The first error of stdout is kept: a result that nobody could read is a failure of the command.
 */
import { messageOf } from "@sampleline/core"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as fs from "node:fs"
import * as tty from "node:tty"
import { UsageError } from "./errors.ts"
import { isInBackground } from "./jobControl.ts"
import { withoutSecrets } from "./secrets.ts"

/** What the status line shows; empty if there is none. */
let status = ""
let stdoutError: Error | undefined

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
    stream.write(text)
  } catch (error) {
    if (stream === process.stdout) stdoutError ??= error as Error
  }
}

const TERMINALS = [0, 1, 2].filter((fd) => tty.isatty(fd))

/**
 * Leaves no status line before the prompt. Node sets the terminal back at its end to what it was at its start. It must not do that
 * while another program has the terminal, and it aborts if the terminal has gone. Then these descriptors lead to /dev/null.
 */
export const leaveTerminals = (): void => {
  if (isInBackground() !== true) clearStatus()
  for (const fd of TERMINALS) {
    if (tty.isatty(fd) && isInBackground() !== true) continue
    fs.closeSync(fd)
    fs.openSync("/dev/null", "r+")
  }
}

/** The width of the status line. The last column stays free: some terminals begin a new line there. */
export const statusColumns = (): number => (process.stderr.columns || 80) - 1

const ERASED = "\r\u001b[K"

/** Replaces the status line. Only for terminals. */
export const showStatus = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    status = text.slice(0, statusColumns())
    write(process.stderr, `${ERASED}${status}`)
  })

/** Removes the status line, so that something else can be printed in its place. */
export const clearStatus = (): void => {
  if (status !== "") write(process.stderr, ERASED)
  status = ""
}

/** Prints lines, above the status line. */
export const say = (text: string): void =>
  write(process.stderr, status === "" ? `${text}\n` : `${ERASED}${text}\n${status}`)

/** Prints a result on stdout. */
export const print = (text: string): void => {
  clearStatus()
  write(process.stdout, `${text}\n`)
}

/** Prints an error: one line for a typed one, and the lines that show its place; the stack for a bug. */
export const complain = (error: unknown): void => {
  say(
    error instanceof Error && "_tag" in error
      ? `sampleline: ${withoutSecrets(messageOf(error))}`
      : `sampleline: internal error: ${error instanceof Error ? error.stack : messageOf(error)}`
  )
  if (error instanceof UsageError && error.below !== undefined) say(error.below)
}

/** Log lines with date and time of day: `2026-11-25 16:04:07 WARN fuel: no reply within 500 ms`. */
export const stderrLogger = Logger.layer([
  Logger.make(({ date, logLevel, message }) => {
    const text = withoutSecrets([message].flat().map(messageOf).join(" "))
    const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0"))
    say(`${day.join("-")} ${date.toTimeString().slice(0, 8)} ${logLevel.toUpperCase()} ${text}`)
  })
])
