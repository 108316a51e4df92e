/**
 * Progress on stderr while a run goes on, and on a terminal the keys of the run.
 */
import { type Progress, SampleClock } from "@sampleline/core"
import type { Journal } from "@sampleline/journal"
import * as Effect from "effect/Effect"
import { isInBackground } from "./jobControl.ts"
import type { Keyboard } from "./keyboard.ts"
import { endOf, keysOf, type MarkLine } from "./markLine.ts"
import { HINT, makeRunKeys } from "./runKeys.ts"
import { count, formatSeconds, progressParts } from "./summary.ts"
import type { Target } from "./targets.ts"
import { clearStatus, say, showStatus, statusColumns } from "./terminal.ts"

const STATUS_INTERVAL = "500 millis"
const LINE_INTERVAL = "10 seconds"
const KEY_INTERVAL = "20 millis"
const GAP = "   "

/**
 * What outputs lack, such as `postgres 12,345 behind`. An output that keeps up lacks an open batch, and the one that is being
 * written.
 */
export const behindParts = (
  targets: ReadonlyArray<Pick<Target, "label">>,
  outputs: () => ReadonlyArray<Journal.OutputStatus>,
  batchSize: number
) =>
(): ReadonlyArray<string> =>
  outputs().flatMap(({ behind, state, target }, at) =>
    state === "writing" && behind <= 2 * batchSize
      ? []
      : [`${targets[at]?.label(target) ?? ""} ${count(behind)} behind`]
  )

/** Reports forever: a status line on a terminal, a new line every ten seconds elsewhere. */
export const reportProgress = Effect.fnUntraced(function*(
  progress: Progress,
  keyboard: Keyboard | null,
  behind: () => ReadonlyArray<string> = () => []
): Effect.fn.Return<never> {
  const clock = yield* SampleClock.current
  const secondsUntil = (at: number) => (at - progress.current.startedAt) / 1_000_000
  const parts = () => progressParts(progress.current, secondsUntil(clock.epochMicros()), behind())
  if (!process.stderr.isTTY) {
    const line = Effect.sync(() => say(parts().join(GAP)))
    return yield* Effect.forever(Effect.andThen(Effect.sleep(LINE_INTERVAL), line))
  }

  const keys = yield* makeRunKeys
  const showLine = (line: MarkLine) => {
    const prompt = `${parts()[0]}${GAP}mark at ${formatSeconds(secondsUntil(line.at))}: `
    return showStatus(prompt + endOf(line.text, statusColumns() - prompt.length))
  }
  /** In the background the terminal shows what another program writes. */
  const show = Effect.suspend(() => {
    const line = keys.line()
    if (isInBackground() === true) return Effect.sync(clearStatus)
    return line === null ? showStatus(statusOf(parts(), keyboard?.isOn() === true)) : showLine(line)
  })
  const pressKeys = Effect.suspend(() => {
    const pressed = keysOf(keyboard?.read() ?? "")
    return pressed.length === 0
      ? Effect.void
      : Effect.andThen(Effect.forEach(pressed, keys.press, { discard: true }), show)
  })
  const tellUnset = Effect.suspend(() => {
    const line = keys.line()
    return line === null
      ? Effect.void
      : Effect.logWarning(`the mark ${JSON.stringify(line.text)} was not set: the recording ended before Enter`)
  })
  return yield* Effect.raceFirst(
    Effect.forever(Effect.andThen(Effect.sleep(STATUS_INTERVAL), show)),
    Effect.forever(Effect.andThen(Effect.sleep(KEY_INTERVAL), pressKeys))
  ).pipe(Effect.ensuring(Effect.andThen(Effect.sync(clearStatus), tellUnset)))
})

/** As many parts as fit, and what the keys do. */
const statusOf = (parts: ReadonlyArray<string>, hasKeys: boolean): string => {
  const hint = hasKeys ? [HINT] : []
  const count = parts.findLastIndex((_, at) => [...parts.slice(0, at + 1), ...hint].join(GAP).length <= statusColumns())
  return [...parts.slice(0, count + 1), ...hint].join(GAP)
}
