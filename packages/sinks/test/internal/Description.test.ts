import { assert, it } from "@effect/vitest"
import { FrameFormat, type Run, SchemaLock } from "@sampleline/core"
import { describeDevices, runJson, unitsOf } from "../../src/internal/Description.ts"
import { deviceOf, sampleOf } from "../samples.ts"

const flowIn = (unit: string) => FrameFormat.make([{ name: "Mass_Flow", unit }])
const fuel = flowIn("SCCM")
const air = flowIn("SLPM")
const run: Run = {
  id: "run-1",
  startedAt: 0,
  devices: [deviceOf(fuel, "fuel"), deviceOf(air, "air"), deviceOf(null, "unknown")]
}
const batch = [sampleOf(fuel, [1], 0, run)]

it("gives each device's columns with their units; none for a format that is not known", () => {
  const devices = describeDevices(batch, SchemaLock.fromBatch(batch))
  assert.deepStrictEqual(devices.map(({ columns, device }) => [device, columns.map(({ unit }) => unit)]), [
    ["fuel", ["SCCM"]],
    ["air", ["SLPM"]],
    ["unknown", []]
  ])
  assert.deepInclude(runJson(batch, devices), { run_id: "run-1", started_at: "1970-01-01T00:00:00.000000Z" })
})

it("gives one unit for a column, or the unit of each device if they differ", () => {
  const devices = describeDevices(batch, undefined)
  assert.strictEqual(unitsOf("Mass_Flow", devices), "fuel: SCCM, air: SLPM")
  assert.strictEqual(unitsOf("Mass_Flow", devices.slice(0, 1)), "SCCM")
  assert.strictEqual(unitsOf("status", devices), "")
})

it("describes the devices of the batch if the run names none", () => {
  const alone = [sampleOf(fuel, [1])]
  assert.deepStrictEqual(describeDevices(alone, undefined).map(({ device }) => device), ["fuel"])
})
