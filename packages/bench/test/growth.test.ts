import { assert, it } from "@effect/vitest"
import { run } from "./run.ts"

it.each([
  ["devices, CSV", ["1", "10", "100", "1,000"]],
  ["fields, CSV", ["7", "50", "500"]],
  ["tenths of a run, journal and CSV", ["2", "3", "4", "5", "6", "7", "8", "9", "10"]]
])("the benchmark of growth with %s has a cost at each size", (name, sizes) => {
  const costs = JSON.parse(run("growth", ["--only", name, "--scale", "0.001", "--json"]))
  assert.deepStrictEqual(costs.map(({ at }: { readonly at: string }) => at), sizes)
  for (const { micros } of costs) assert.isAbove(micros, 0)
})
