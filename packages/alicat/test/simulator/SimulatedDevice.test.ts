import { assert, describe, it } from "@effect/vitest"

import { SimulatedDevice } from "../../src/simulator/SimulatedDevice.ts"

describe("a simulated device", () => {
  it("answers its own unit id only, and rejects commands that it does not know", () => {
    const device = new SimulatedDevice()
    assert.deepStrictEqual(device.respond("B", 0), [])
    assert.deepStrictEqual(device.respond("AXYZ", 0), ["?"])
    assert.deepStrictEqual(new SimulatedDevice({ firmware: "6v21" }).respond("AXYZ", 0), ["", "?"])
  })

  it("does not mind whether commands are in capitals", () => {
    const device = new SimulatedDevice()
    for (const command of ["ave", "a??m*", "A??d*", "a??G*", "als", "ags", "ar122", "a$$r46", "ancs", "av"]) {
      assert.notDeepInclude(device.respond(command, 0), "?", command)
    }
    assert.include(device.respond("as 12.5", 0)[0], "+012.50")
    device.respond("a@ @", 0)
    assert.isNotNull(device.pushesEveryMillis)
    device.respond("@@ a", 0)
    assert.isNull(device.pushesEveryMillis)
  })

  it("streams by the older commands too, at the interval in its register", () => {
    const device = new SimulatedDevice({ firmware: "6v21" })
    device.respond("AW91=20", 0)
    device.respond("A@=@", 0)
    assert.strictEqual(device.pushesEveryMillis, 20)
    device.respond("@@=A", 0)
    assert.isNull(device.pushesEveryMillis)
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
