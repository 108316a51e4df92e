/**
 * What the keys do while a recording goes on. Most are for the table. `m` marks wherever there is something to mark.
 */
import { Recorder, SampleClock } from "@sampleline/core"
import * as Effect from "effect/Effect"
import { MarkLine } from "./markLine.ts"
import type { TableKeys } from "./tableScreen.ts"
import type { Typed } from "./typed.ts"

export interface RunKeys {
  /** Does what the keys mean that were typed. */
  readonly press: (typed: ReadonlyArray<Typed>) => Effect.Effect<void>
  /** The mark that is being written, which takes all keys; null if there is none. */
  readonly line: () => MarkLine | null
}

/** What the status line says of the keys. */
export const HINT = "m marks"

export interface RunKeysOptions {
  /** Whether there is a recording to mark. */
  readonly marks: boolean
  /** The keys of the table; none while it does not stand. */
  readonly table: () => TableKeys
}

export const makeRunKeys = Effect.fnUntraced(function*(
  { marks, table }: RunKeysOptions
): Effect.fn.Return<RunKeys> {
  const clock = yield* SampleClock.current
  let line: MarkLine | null = null
  const press = Effect.fnUntraced(function*(typed: Typed) {
    if (line === null) {
      if (typed.isPasted) return
      if (marks && typed.text === "m") line = new MarkLine(clock.epochMicros())
      return table()[typed.text]?.()
    }
    const { at } = line
    const text = line.press(typed)
    if (text === undefined) return
    line = null
    if (text === null) return
    yield* Recorder.mark(text, at)
    yield* Effect.logInfo(`marked ${JSON.stringify(text)}`)
  })
  return {
    press: (typed) => Effect.forEach(typed, press, { discard: true }),
    line: () => line
  }
})
