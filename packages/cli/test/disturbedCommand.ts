/**
 * The command from its sources, in a process that takes messages: a text to mark the run with, or how far the system clock jumps.
 *
 * A test may not set the clock of its machine. `Date.now` is all that the command sees of that clock, so the jump is made there.
 * The monotonic clock goes on, as it does when a system clock is set.
 */
/* oxlint-disable no-restricted-properties -- the clock is moved here, not read */
import { Recorder } from "@sampleline/core"
import { Effect } from "effect"
import { main } from "../src/main.ts"

export type Disturbance = { readonly mark: string } | { readonly jumpMillis: number }

const systemClock = Date.now

process.on("message", (message: Disturbance) => {
  if ("mark" in message) Effect.runFork(Recorder.mark(message.mark))
  else Date.now = () => systemClock() + message.jumpMillis
})

main(process.argv.slice(2), "0.0.0")
