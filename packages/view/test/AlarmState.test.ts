import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import { AlarmState, type Change } from "../src/AlarmState.ts"

const Step = Schema.Struct({
  /** Seconds since the step before. */
  after: Schema.Literals([0, 0.1, 1, 30, 300]),
  holds: Schema.Boolean
})
const Steps = Schema.Union([
  Schema.Array(Step),
  // Many steps, of which few are quiet.
  Schema.Array(Step).check(Schema.isMinLength(200), Schema.isMaxLength(400))
])

it.prop("what is told is bounded, ends with how it is, and counts every time that the alarm was raised", [
  Steps,
  Schema.Literals([0, 1000])
], ([steps, forMillis]) => {
  const state = new AlarmState(forMillis, forMillis)
  const told: Array<Change> = []
  let now = 0
  let looked = 0
  let raised = 0
  const take = (change: Change | undefined) => {
    if (change !== undefined) told.push(change)
  }
  for (const { after, holds } of steps) {
    for (now += after * 1e9; looked + 1e9 <= now;) take(state.take(looked += 1e9))
    const was = state.isRaised
    take(state.observe(holds, null, { at: now / 1000, nanos: now }, now))
    if (state.isRaised && !was) raised++
  }
  take(state.take(now, true))

  assert.strictEqual(told.at(-1)?.isRaised ?? false, state.isRaised)
  assert.strictEqual(told.reduce((sum, { count }) => sum + count, 0), raised)
  // At most six at once and one for what was left out, in each minute.
  assert.isAtMost(told.length, 7 * (Math.floor(now / 60e9) + 2))
  for (const { isRaised, since, until } of told) {
    assert.strictEqual(until === null, isRaised)
    assert.isAtMost(since.nanos, until?.nanos ?? now)
  }
}, { arbitrary: { runs: 300 } })
