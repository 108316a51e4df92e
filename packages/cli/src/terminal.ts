/**
 * What is said on stderr while a command runs: log lines, and on a terminal one line that is written over and over.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"

let statusShown = false

/** Shows `text` in place of the last status line; only for terminals. */
export const showStatus = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`)
    statusShown = true
  })

/** Writes lines to stderr, above the status line if there is one. */
export const say = (text: string): void => {
  process.stderr.write(`${statusShown ? "\r\u001b[K" : ""}${text}\n`)
  statusShown = false
}

export const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, " ")

/** Text with users and passwords left out, and the parameters of URLs: `postgres://host/database`. */
export const withoutSecrets = (text: string): string =>
  text
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/|postgres(?:ql)?:)(?:[^\s"'`]*@)?([^\s"'`?]*)(\?[^\s"'`]*)?/gi, "$1$2")
    .replaceAll(/[^\s"'`]*:[^\s"'`]*@/g, "...@")

/** Says what went wrong: a typed failure in one line, anything else with all there is to find the bug by. */
export const complain = (error: unknown): void =>
  say(
    error instanceof Error && "_tag" in error
      ? `sampleline: ${withoutSecrets(oneLine(error.message))}`
      : `sampleline: a bug: ${error instanceof Error ? error.stack : String(error)}`
  )

/** Log lines with the time of day: `16:04:07 WARN fuel: no reply within 500 ms`. */
export const stderrLogger = Logger.layer([
  Logger.make(({ date, logLevel, message }) => {
    const text = withoutSecrets([message].flat().map(String).join(" "))
    say(`${date.toTimeString().slice(0, 8)} ${logLevel.toUpperCase()} ${text}`)
  })
])
