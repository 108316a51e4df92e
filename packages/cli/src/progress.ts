/**
 * Progress on stderr while a run goes on.
 */
import { type Progress, SampleClock } from "@sampleline/core"
import * as Effect from "effect/Effect"
import { progressLine } from "./summary.ts"
import { say, showStatus } from "./terminal.ts"

const STATUS_INTERVAL = "500 millis"
const LINE_INTERVAL = "10 seconds"

/** Reports forever: a status line on a terminal, a new line every ten seconds elsewhere. */
export const reportProgress = Effect.fnUntraced(function*(progress: Progress): Effect.fn.Return<never> {
  const clock = yield* SampleClock.current
  const isTerminal = process.stderr.isTTY
  while (true) {
    yield* Effect.sleep(isTerminal ? STATUS_INTERVAL : LINE_INTERVAL)
    const summary = progress.current
    const text = progressLine(summary, (clock.epochMicros() - summary.startedAt) / 1_000_000)
    yield* isTerminal ? showStatus(text) : Effect.sync(() => say(text))
  }
})
