import { assert, it } from "@effect/vitest"
import { run } from "./run.ts"

it("the cadence benchmark accounts for every slot, and begins none early", () => {
  const rows: ReadonlyArray<{ readonly [figure: string]: number | string }> = JSON.parse(
    run("cadence", ["--seconds", "1", "--json"])
  )
  assert.deepStrictEqual(rows.map(({ early }) => early), [0, 0, 0, 0])
  assert.deepStrictEqual(rows.map(({ skipped, ticks }) => Number(ticks) + Number(skipped)), [100, 100, 100, 500])
  assert.isTrue(rows.every(({ cpuPercent, p50Ms, p99Ms }) => Number(cpuPercent) > 0 && Number(p50Ms) <= Number(p99Ms)))
})
