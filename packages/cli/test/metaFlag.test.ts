import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import type { EventRow } from "@sampleline/core"
import { Effect } from "effect"
import * as fs from "node:fs"
import { metadataOf, parseMeta } from "../src/metaFlag.ts"
import { sampleline, tempFolder } from "./process.ts"
import { linesOf } from "./recordings.ts"

it.effect("--meta takes keys and texts", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* parseMeta(["operator=Ada", "a.b=x=y", "empty="]), {
      operator: "Ada",
      "a.b": "x=y",
      empty: ""
    })
    for (const refused of ["operator", "=Ada", ""]) {
      assert.include((yield* Effect.flip(parseMeta([refused]))).message, "write KEY=TEXT")
    }
    assert.include((yield* Effect.flip(parseMeta(["a=1", "a=2"]))).message, "a is given twice")
    assert.include((yield* Effect.flip(metadataOf({ "1a": "x" }, undefined))).message, "--meta \"1a\": expected keys")
    assert.include((yield* Effect.flip(metadataOf({ notes: "x" }, "y"))).message, "give one of them")
  }))

it.layer(NodeServices.layer, { excludeTestServices: true, concurrent: true })("the command", (it) => {
  it.effect("keeps what is said of a run, from flags and from the settings file", () =>
    Effect.gen(function*() {
      const cwd = yield* tempFolder
      fs.writeFileSync(
        `${cwd}/bench.yaml`,
        "simulate: 1\nduration: 200ms\nmeta: { operator: Ada, sample: \"17\" }\nout: a.csv\n"
      )
      const args = ["record", "--config", "bench.yaml", "--meta", "sample=B-17", "--note", "first try"]
      const { code, stderr } = yield* sampleline(args, { cwd })
      assert.strictEqual(code, 0, stderr)
      const [start, end] = linesOf(fs.readFileSync(`${cwd}/a.csv-events.jsonl`, "utf8")) as unknown as ReadonlyArray<
        EventRow
      >
      assert.deepInclude(start!.data, { metadata: { operator: "Ada", sample: "B-17", notes: "first try" } })
      assert.isString(start!.data!["host"])
      assert.deepInclude(end, { event: "RunEnded", reason: "completed" })
      fs.writeFileSync(`${cwd}/bench.yaml`, "simulate: 1\nmeta: { sample: 17 }\nout: b.csv\n")
      const refused = yield* sampleline(["record", "--config", "bench.yaml"], { cwd })
      assert.strictEqual(refused.code, 2)
      assert.include(refused.stderr, "meta.sample: Expected a text; a number or a date needs quotes")
    }))
})
