import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { sampleline, tempFolder } from "./process.ts"

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("help", (it) => {
  it.effect("has examples", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const help = yield* sampleline(["record", "--help"], { cwd })
      assert.strictEqual(help.code, 0)
      assert.include(help.stdout, "EXAMPLES")
      assert.include(help.stdout, "sampleline record --simulate 2")
      const version = yield* sampleline(["--version"], { cwd })
      assert.match(version.stdout, /^sampleline v\d+\.\d+\.\d+\n$/)
    }))
})
