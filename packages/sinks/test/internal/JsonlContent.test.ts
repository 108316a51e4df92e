import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fs from "node:fs"
import { inspectJsonl } from "../../src/internal/JsonlContent.ts"
import { END_BYTES } from "../../src/internal/TextContent.ts"
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

it.effect("reads the lines at both ends of a long file, and looks for damage between them", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.jsonl")
    const lines = Math.ceil(4 * END_BYTES / LINE.length)
    const text = LINE.repeat(lines)
    const inspected = (change: (bytes: Buffer) => void) => {
      const bytes = Buffer.from(text)
      change(bytes)
      fs.writeFileSync(path, bytes)
      const fd = fs.openSync(path, "r")
      const result = inspectJsonl(fd, bytes.length)
      fs.closeSync(fd)
      return Result.match(result, { onFailure: (problem): string | number => problem, onSuccess: ({ bytes }) => bytes })
    }
    assert.strictEqual(inspected(() => {}), text.length)
    assert.strictEqual(inspected((bytes) => bytes.fill("x", text.length - 5)), text.length - LINE.length)
    const middle = Math.floor(lines / 2)
    const problem = "is not a sample written by this sink"
    assert.strictEqual(
      inspected((bytes) => bytes.fill(0, middle * LINE.length + 3, middle * LINE.length + 9)),
      `line ${middle + 1} ${problem}`
    )
    assert.strictEqual(inspected((bytes) => bytes.fill("[", LINE.length, LINE.length + 1)), `line 2 ${problem}`)
    const end = (lines - 1) * LINE.length
    assert.strictEqual(
      inspected((bytes) => bytes.fill("[", end, end + 1)),
      `the line that ends at byte ${text.length - 1} ${problem}`
    )
  }))
