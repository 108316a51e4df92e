import { assert, it } from "@effect/vitest"
import { SchemaLock } from "@sampleline/core"
import { Effect, Result, Schema } from "effect"
import * as fs from "node:fs"
import { CsvSink } from "../../src/CsvSink.ts"
import { inspectCsv } from "../../src/internal/CsvContent.ts"
import { END_BYTES } from "../../src/internal/TextContent.ts"
import { flow, sampleOf } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
import { readCsv } from "../textReaders.ts"
import { writeTo } from "../writing.ts"

it.effect.prop("finds the end of the last complete record wherever a file was cut", [
  Schema.Array(Schema.String).check(Schema.isMaxLength(4)),
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 }))
], ([texts, at]) =>
  Effect.scoped(Effect.gen(function*() {
    const path = yield* tempFile("run.csv")
    const samples = texts.map((text, n) => sampleOf(flow, [n, text], n))
    if (samples.length > 0) yield* writeTo(CsvSink.layer({ path }), samples)
    else fs.writeFileSync(path, "")
    const whole = fs.readFileSync(path)
    fs.writeFileSync(path, whole.subarray(0, at % (whole.length + 1)))
    yield* writeTo(CsvSink.layer({ path, mode: "append" }), [sampleOf(flow, [99, "last"])])
    const rows = readCsv(path, SchemaLock.fromFormats([flow]).columns)
    assert.strictEqual(rows.at(-1)?.["Gas"], "last")
    assert.isTrue(
      whole.toString().startsWith(fs.readFileSync(path, "utf8").split("fuel,A").slice(0, -1).join("fuel,A")) ||
        rows.length === 1
    )
  })))

it.effect.each([
  { text: "", found: { bytes: 0, header: null } },
  { text: "devi", found: { bytes: 0, header: null } },
  { text: "device,unit_id,requested_at,received_at,midpoint_at,latency_s,\"Fl", found: { bytes: 0, header: null } },
  { text: "device,unit_id\0\0", found: { bytes: 0, header: null } },
  { text: "\0\0\0", found: { bytes: 0, header: null } },
  { text: "a,b", found: "it has no complete record and does not begin like a file of this sink" },
  { text: "\"a\nb\n", found: "it has no complete record and does not begin like a file of this sink" },
  { text: "a,\"b,\"\"c\"\"\"\r\n1,2\n3", found: { bytes: 17, header: ["a", "b,\"c\""] } },
  { text: "a,b\n1\n", found: "record 1 does not have the 2 fields of the header" },
  { text: "a,b\n1,2\0\n", found: "record 1 does not have the 2 fields of the header" }
])("reads %j", ({ found, text }) =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.csv")
    fs.writeFileSync(path, text)
    const fd = fs.openSync(path, "r")
    assert.deepStrictEqual(
      Result.match(inspectCsv(fd, text.length), {
        onFailure: (problem): typeof found => problem,
        onSuccess: ({ bytes, header }): typeof found => ({ bytes, header }) as typeof found
      }),
      found
    )
    fs.closeSync(fd)
  }))

it.effect("reads the records at both ends of a long file, and looks for damage between them", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.csv")
    const header = "a,b\n"
    // Most of each record is within quotes, and so are most places where a part of the file begins.
    const record = `1,"${"x\n,\"\"".repeat(20)}"\n`
    const records = Math.ceil(4 * END_BYTES / record.length)
    const text = header + record.repeat(records)
    const startOf = (record_: number) => header.length + (record_ - 1) * record.length
    const inspected = (change: (bytes: Buffer) => void, before = "") => {
      const bytes = Buffer.from(header + before + text.slice(header.length))
      change(bytes)
      fs.writeFileSync(path, bytes)
      const fd = fs.openSync(path, "r")
      const result = inspectCsv(fd, bytes.length)
      fs.closeSync(fd)
      return Result.match(result, {
        onFailure: (problem): string | number => problem,
        onSuccess: ({ bytes }): string | number => bytes
      })
    }
    for (let n = 0; n < 5; n++) {
      const before = `${"7".repeat(17 * n)},2\n`
      assert.strictEqual(inspected(() => {}, before), text.length + before.length)
    }
    assert.strictEqual(inspected((bytes) => bytes.fill("x", text.length - 9)), text.length - record.length)
    const problem = "does not have the 2 fields of the header"
    const middle = Math.floor(records / 2)
    const [from, end] = [startOf(middle), startOf(records)]
    assert.strictEqual(inspected((bytes) => bytes.fill(0, from, from + 1)), `record ${middle} ${problem}`)
    assert.strictEqual(inspected((bytes) => bytes.fill("x", startOf(2) + 1, startOf(2) + 2)), `record 2 ${problem}`)
    assert.strictEqual(
      inspected((bytes) => bytes.fill("x", end + 1, end + 2)),
      `the record that ends at byte ${text.length - 1} ${problem}`
    )
  }))
