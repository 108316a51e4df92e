/**
 * What a command prints on stderr: log lines, errors, and on a terminal a status line that is overwritten in place.
 */
import { messageOf } from "@sampleline/core"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { withoutSecrets } from "./secrets.ts"

let statusShown = false

/** Replaces the status line. Only for terminals. */
export const showStatus = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`)
    statusShown = true
  })

/** Prints lines; they replace the status line. */
export const say = (text: string): void => {
  process.stderr.write(`${statusShown ? "\r\u001b[K" : ""}${text}\n`)
  statusShown = false
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
