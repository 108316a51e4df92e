import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { writeJournal, writeParquet } from "./viewData.ts"
const n = 86_400_000
for (
  const [k, w] of [["journal", writeJournal("/var/tmp/vb86/run.journal", n)], [
    "parquet",
    writeParquet("/var/tmp/vb86/run.parquet", n)
  ]] as const
) {
  const t = performance.now()
  await Effect.runPromise(Effect.provide(w as any, NodeServices.layer) as any)
  console.log(k, ((performance.now() - t) * 1e6 / n).toFixed(0), "ns a sample")
}
