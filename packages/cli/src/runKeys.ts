/**
 * What the keys do while a recording goes on.
 */
import { Recorder, SampleClock } from "@sampleline/core"
import * as Effect from "effect/Effect"
import { MarkLine } from "./markLine.ts"

export interface RunKeys {
  /** Does what the key means. */
  readonly press: (key: string) => Effect.Effect<void>
  /** The mark that is being written, which takes all keys; null if there is none. */
  readonly line: () => MarkLine | null
}

/** What the status line says of the keys. */
export const HINT = "m marks"

export const makeRunKeys = Effect.gen(function*(): Effect.gen.Return<RunKeys> {
  const clock = yield* SampleClock.current
  let line: MarkLine | null = null
  const commands: { readonly [key: string]: () => void } = {
    m: () => {
      line = new MarkLine(clock.epochMicros())
    }
  }
  const press = Effect.fnUntraced(function*(key: string) {
    if (line === null) return commands[key]?.()
    const { at } = line
    const text = line.press(key)
    if (text === undefined) return
    line = null
    if (text === null) return
    yield* Recorder.mark(text, at)
    yield* Effect.logInfo(`marked ${JSON.stringify(text)}`)
  })
  return { press, line: () => line }
})
