import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { throttled } from "../../src/transport/throttled.ts"

it.live("a source that sends without end is paused again and again, and no chunk of it is lost", () =>
  Effect.callback<void>((resume) => {
    let [taken, pauses] = [0, 0]
    const source = {
      pause: () => pauses++,
      resume: () => {
        if (pauses < 3) return send()
        assert.deepStrictEqual([taken, pauses], [3 * 70_000, 3])
        resume(Effect.void)
      }
    }
    const onData = throttled(source, (chunk) => taken += chunk.length)
    const send = () => {
      for (let n = 0; n < 7; n++) onData(new Uint8Array(10_000))
    }
    send()
  }))

it.live("a source that sends as much as a serial line carries is never paused", () => {
  const fail = () => assert.fail("paused or resumed")
  const onData = throttled({ pause: fail, resume: fail }, () => {})
  return Effect.repeat(Effect.andThen(Effect.sync(() => onData(new Uint8Array(5000))), Effect.sleep("10 millis")), {
    times: 12
  })
})
