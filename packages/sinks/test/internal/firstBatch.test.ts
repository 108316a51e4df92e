import { assert, it } from "@effect/vitest"
import { FrameFormat, SchemaLock } from "@sampleline/core"
import { firstBatchOf } from "../../src/internal/firstBatch.ts"
import { deviceOf, flow } from "../samples.ts"

it("has the columns of all devices, like a real first batch", () => {
  const oven = FrameFormat.make([{ name: "Temperature" }])
  const devices = [deviceOf(flow, "fuel"), deviceOf(oven, "oven")]
  const batch = firstBatchOf(devices)!
  assert.deepStrictEqual(batch.map(({ device }) => device), ["fuel", "oven"])
  assert.deepStrictEqual(SchemaLock.fromBatch(batch).columns, SchemaLock.fromFormats([flow, oven]).columns)
  assert.strictEqual(batch[0].run.devices, devices)
})

it("is null without devices, and while a format is not known", () => {
  assert.isNull(firstBatchOf(undefined))
  assert.isNull(firstBatchOf([]))
  assert.isNull(firstBatchOf([deviceOf(flow), deviceOf(null, "unknown")]))
})
