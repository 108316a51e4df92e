/**
 * A recorder that a supervisor starts again after each kill. `npm run restart-test` does it at random moments.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { tempFolder } from "./process.ts"
import { files, hasRecorded, restarts } from "./restarts.ts"

it.layer(NodeServices.layer, { excludeTestServices: true })("a recorder", (it) => {
  it.effect("that is killed, also while it finishes what the one before has left, loses nothing and needs no one", () =>
    Effect.gen(function*() {
      const { killed, problems, samples } = yield* restarts({
        folder: yield* tempFolder,
        outputs: [files["csv"]!, files["db"]!, files["parquet"]!],
        kills: [hasRecorded, ({ printed }) => printed("finishing run.csv.journal first"), hasRecorded]
      })
      assert.deepStrictEqual(problems, [])
      assert.strictEqual(killed, 2)
      assert.isAbove(samples, 100)
    }))
})
