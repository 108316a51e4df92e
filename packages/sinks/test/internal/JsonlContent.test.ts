import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fs from "node:fs"
import { inspectJsonl } from "../../src/internal/JsonlContent.ts"
import { tempFile } from "../tempFile.ts"

const LINE = "{\"device\":\"fuel\",\"requested_at\":\"2026-03-01T12:00:00.000000Z\"}\n"

it.effect.each(
  [
    ["", 0],
    [LINE, LINE.length],
    [`${LINE}${LINE.slice(0, 10)}`, LINE.length],
    [`${LINE}{}\n`, "line 2 is not a sample written by this sink"],
    [`${LINE}\n`, "line 2 is not a sample written by this sink"],
    ["{\"dev", 0],
    ["{\"device\":\"a\\\"b\\", 0],
    ["{\"device\":\"fuel\",\"unit_id\":\"A\",\"requested_at\":\"2026-03-01T12:00:00.000000Z\",\"Fl\0\0", 0],
    ["\0\0\0", 0],
    ["{\"my\":\"config\"}", "it has no complete record and does not begin like a file of this sink"],
    ["{\"device\":\"fuel\",\"my\":1}", "it has no complete record and does not begin like a file of this sink"],
    ["[1]\n", "line 1 is not a sample written by this sink"]
  ] as const
)("reads %j", ([text, found]) =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.jsonl")
    fs.writeFileSync(path, text)
    const fd = fs.openSync(path, "r")
    const result = Result.match(inspectJsonl(fd, text.length), {
      onFailure: (problem): string | number => problem,
      onSuccess: ({ bytes }): string | number => bytes
    })
    fs.closeSync(fd)
    assert.strictEqual(result, found)
  }))
