import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { recordFlags } from "../src/recordFlags.ts"
import { sampleline, tempFolder } from "./process.ts"

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("help", (it) => {
  it.effect("has examples", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const help = yield* sampleline(["record", "--help"], { cwd })
      assert.strictEqual(help.code, 0)
      assert.include(help.stdout, "EXAMPLES")
      assert.include(help.stdout, "sampleline record --simulate 2")
      assert.include(help.stdout, "the key m marks this moment")
      const version = yield* sampleline(["--version"], { cwd })
      assert.match(version.stdout, /^sampleline v\d+\.\d+\.\d+\n$/)
    }))

  it.effect.each(["", "record", "watch", "resume", "status", "mark", "stop", "check", "discover", "simulate"])(
    "of sampleline %s fits 80 columns",
    (command) =>
      Effect.gen(function*() {
        const cwd = yield* tempFolder
        const { code, stdout } = yield* sampleline([...command.split(" "), "--help"].filter((arg) => arg !== ""), {
          cwd
        })
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(stdout.split("\n").filter((line) => line.length > 80), [])
        assert.include(stdout, "USAGE\n  sampleline")
      })
  )

  it.effect("lists every flag of record but the old name of one", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      const { stdout } = yield* sampleline(["record", "--help"], { cwd })
      const listed = [...stdout.split("GLOBAL FLAGS")[0]!.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, name]) => name)
      assert.deepStrictEqual(listed, Object.keys(recordFlags).filter((name) => name !== "identity"))
    }))
})
