/**
 * What the keys do while a recording goes on. Most are for the table. `m` marks wherever there is something to mark.
 */
import { Recorder, SampleClock } from "@sampleline/core"
import * as Effect from "effect/Effect"
import { keysOf, MarkLine } from "./markLine.ts"
import type { TableKeys } from "./tableScreen.ts"

export interface RunKeys {
  /** Does what the keys mean that were typed. False if there were none. */
  readonly press: (typed: string) => Effect.Effect<boolean>
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
  const press = Effect.fnUntraced(function*(key: string) {
    if (line === null) {
      if (marks && key === "m") line = new MarkLine(clock.epochMicros())
      return table()[key]?.()
    }
    const { at } = line
    const text = line.press(key)
    if (text === undefined) return
    line = null
    if (text === null) return
    yield* Recorder.mark(text, at)
    yield* Effect.logInfo(`marked ${JSON.stringify(text)}`)
  })
  return {
    press: (typed) => {
      const keys = keysOf(typed)
      return Effect.as(Effect.forEach(keys, press, { discard: true }), keys.length > 0)
    },
    line: () => line
  }
})
