import { assert, describe, it } from "@effect/vitest"

import { SimulatedDevice } from "../../src/simulator/SimulatedDevice.ts"

describe("a simulated device", () => {
  it("answers its own unit id only, and rejects commands that it does not know", () => {
    const device = new SimulatedDevice()
    assert.deepStrictEqual(device.respond("B", 0), [])
    assert.deepStrictEqual(device.respond("AXYZ", 0), ["A ?"])
  })

  it("has a flow that follows its setpoint with lag and noise", () => {
    const device = new SimulatedDevice()
    const flow = (seconds: number) => Number(device.respond("A", seconds)[0]!.split(/ +/)[4])
    device.respond("AS 300", 0)
    const flows = [0, 0.2, 0.5, 1, 2, 10, 10.1, 10.2].map(flow)
    assert.isTrue(flows.slice(1, 5).every((value, n) => value > flows[n]!))
    assert.approximately(flows[5]!, 300, 3)
    assert.notStrictEqual(flows[6], flows[7])
  })
})
