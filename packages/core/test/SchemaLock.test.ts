import { assert, describe, it } from "@effect/vitest"
import { FrameFormat } from "../src/Frame.ts"
import { SchemaLock } from "../src/SchemaLock.ts"
import { sample } from "./sample.ts"

describe("SchemaLock", () => {
  const names = (lock: SchemaLock) => lock.columns.slice(6).map((column) => `${column.name} ${column.type}`)

  it("widens where formats disagree and keeps first-seen order", () => {
    const a = FrameFormat.make([{ name: "n", kind: "int" }, { name: "m", kind: "int" }])
    const b = FrameFormat.make([{ name: "x" }, { name: "m", kind: "text" }, { name: "n" }])
    assert.deepStrictEqual(names(SchemaLock.fromFormats([a, b])), ["n float", "m text", "x float", "status text"])
  })

  it("knows the columns of devices that missed the first batch", () => {
    const flow = FrameFormat.fromRecord({ Flow: 0 })
    const oven = FrameFormat.fromRecord({ Temperature: 0 })
    const device = { unitId: "A", identity: null }
    const run = {
      id: "run",
      startedAt: 0,
      devices: [{ ...device, name: "oven", format: oven }, { ...device, name: "fuel", format: flow }]
    }
    const first = sample(flow, [1], [], run)
    assert.deepStrictEqual(names(SchemaLock.fromBatch([first])), ["Flow float", "Temperature float", "status text"])
  })

  it("makes values its columns cannot hold null, and counts them", () => {
    const locked = SchemaLock.fromFormats([FrameFormat.make([{ name: "n", kind: "int" }, { name: "f" }])])
    const texts = FrameFormat.make([{ name: "n" }, { name: "f", kind: "text" }])
    assert.deepStrictEqual(locked.row(sample(texts, [2.5, "off"])).slice(6), [null, null, ""])
    assert.deepStrictEqual(locked.row(sample(texts, [2, "1.5"])).slice(6), [2, 1.5, ""])
    assert.deepStrictEqual(locked.dropped, { n: 1, f: 1 })
    assert.deepStrictEqual(locked.takeUnreported(), ["n", "f"])
    assert.deepStrictEqual(locked.takeUnreported(), [])
  })

  it("to an existing table writes only what both have, converted to the table's types", () => {
    const first = sample(FrameFormat.fromRecord({ Flow: 0, Pressure: 0 }), [1.5, 2])
    const lock = SchemaLock.fromTable([
      { name: "id", type: "int", nullable: false },
      { name: "Flow", type: "text", nullable: true },
      { name: "device", type: "text", nullable: true }
    ], [first])
    assert.deepStrictEqual(lock.columns.map((column) => column.name), ["Flow", "device"])
    assert.deepStrictEqual(lock.row(first), ["1.5", "fuel"])
    assert.deepStrictEqual(lock.dropped, { Pressure: 1 })
  })

  it("does not count a conditional field that was not sent as dropped", () => {
    const lock = SchemaLock.fromFormats([FrameFormat.fromRecord({ Flow: 0 })])
    const later = FrameFormat.make([{ name: "Flow" }, { name: "Extra", conditional: true }])
    lock.row(sample(later, [1, undefined]))
    assert.deepStrictEqual(lock.dropped, {})
  })
})
