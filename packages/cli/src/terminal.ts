/**
 * What a command prints: results on stdout, log lines and errors on stderr. On a terminal, stderr also has a status line that is
 * overwritten in place.
 */
import { messageOf } from "@sampleline/core"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { withoutSecrets } from "./secrets.ts"

let statusShown = false

/** Replaces the status line. Only for terminals. */
export const showStatus = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns || 80) - 1)}`)
    statusShown = true
  })

/** Removes the status line, so that something else can be printed in its place. */
export const clearStatus = (): void => {
  if (statusShown) process.stderr.write("\r\u001b[K")
  statusShown = false
}

/** Prints lines. */
export const say = (text: string): void => {
  clearStatus()
  process.stderr.write(`${text}\n`)
}

/** Prints a result on stdout. */
export const print = (text: string): void => {
  clearStatus()
  process.stdout.write(`${text}\n`)
}

/** Prints an error: one line for a typed one, the stack for a bug. */
export const complain = (error: unknown): void =>
  say(
    error instanceof Error && "_tag" in error
      ? `sampleline: ${withoutSecrets(messageOf(error))}`
      : `sampleline: internal error: ${error instanceof Error ? error.stack : messageOf(error)}`
  )

/** Log lines with the time of day: `16:04:07 WARN fuel: no reply within 500 ms`. */
export const stderrLogger = Logger.layer([
  Logger.make(({ date, logLevel, message }) => {
    const text = withoutSecrets([message].flat().map(messageOf).join(" "))
    say(`${date.toTimeString().slice(0, 8)} ${logLevel.toUpperCase()} ${text}`)
  })
])
