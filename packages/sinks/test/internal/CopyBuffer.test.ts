import { assert, it } from "@effect/vitest"
import { FrameFormat, SchemaLock } from "@sampleline/core"
import { CopyBuffer } from "../../src/internal/CopyBuffer.ts"
import type { PostgresKind } from "../../src/internal/PostgresTypes.ts"
import { sampleOf } from "../samples.ts"

const HEADER = "5047434f50590aff0d0a000000000000000000"
const TRAILER = "ffff"

/** The bytes of one cell in a batch of one row with one column, without header, number of columns and trailer. */
const bytesOf = (kind: PostgresKind, value: number | string | null): string => {
  const format = FrameFormat.make([{ name: "Value", kind: typeof value === "string" ? "text" : "float" }])
  const column = { name: "Value", type: typeof value === "string" ? "text" : "float", nullable: true } as const
  const sample = sampleOf(format, [value])
  const lock = SchemaLock.fromTable([column], [sample])
  const bytes = new CopyBuffer([kind]).encode(lock, [sample]).toString("hex")
  assert.strictEqual(bytes.slice(0, HEADER.length + 4), `${HEADER}0001`)
  assert.strictEqual(bytes.slice(-TRAILER.length), TRAILER)
  return bytes.slice(HEADER.length + 4, -TRAILER.length)
}

it.each(
  [
    ["float8", 1.5, "00000008 3ff8000000000000"],
    ["float4", 1.5, "00000004 3fc00000"],
    ["float8", Number.NaN, "00000008 7ff8000000000000"],
    ["float4", Number.NEGATIVE_INFINITY, "00000004 ff800000"],
    ["int2", -3, "00000002 fffd"],
    ["int4", 65_536, "00000004 00010000"],
    ["int8", -1, "00000008 ffffffffffffffff"],
    ["int8", 9e15, "00000008 001ff973cafa8000"],
    ["bool", 1, "00000001 01"],
    ["numeric", 0, "00000008 0000000000000000"],
    ["numeric", -12_345.0625, "0000000e 0003 0001 4000 0004 0001 0929 0271"],
    ["text", "µ\0", "00000005 c2b5efbfbd"],
    ["json", "1", "00000001 31"],
    ["jsonb", "1", "00000002 0131"],
    ["uuid", "019a0000-0000-7000-8000-000000000000", "00000010 019a0000000070008000000000000000"],
    ["float8", null, "ffffffff"]
  ] as const
)("writes %s %o as %s", (kind, value, bytes) => {
  assert.strictEqual(bytesOf(kind, value), bytes.replaceAll(" ", ""))
})

it("writes times in microseconds since 2000", () => {
  const format = FrameFormat.make([])
  const sample = sampleOf(format, [])
  const lock = SchemaLock.fromTable([{ name: "requested_at", type: "timestamp", nullable: true }], [sample])
  const bytes = new CopyBuffer(["timestamptz"]).encode(lock, [sample])
  assert.strictEqual(bytes.readBigInt64BE(19 + 2 + 4), BigInt(sample.requestedAt) - 946_684_800_000_000n)
})

it("is reused for the next batch", () => {
  const format = FrameFormat.make([{ name: "Value" }])
  const batch = [sampleOf(format, [1]), sampleOf(format, [2])]
  const lock = SchemaLock.fromTable([{ name: "Value", type: "float", nullable: true }], batch)
  const buffer = new CopyBuffer(["float8"])
  const first = buffer.encode(lock, batch).toString("hex")
  assert.strictEqual(buffer.encode(lock, batch).toString("hex"), first)
})
