import { assert, describe, it } from "@effect/vitest"
import { OutstandingReplies } from "../src/OutstandingReplies.ts"

const READING = "A +014.62 +021.89"
const TABLE = ["A M00 Alicat Scientific", "A M01 www.example.com"]

describe("OutstandingReplies", () => {
  const withOne = () => {
    const outstanding = new OutstandingReplies(1000)
    outstanding.requested("A", 0)
    return outstanding
  }
  const hear = (outstanding: OutstandingReplies, lines: ReadonlyArray<string>, at: number) => {
    for (const line of lines) outstanding.heard(line, at)
  }

  it("a device that was off is resynchronised by the first table, however many were requested", () => {
    const outstanding = withOne()
    for (const at of [10, 20, 30]) assert.isTrue(outstanding.requestsTable("A", at))
    assert.isFalse(outstanding.isResynchronised("A"))
    hear(outstanding, TABLE, 40)
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("a slow device is resynchronised when every requested table has come, and no more are requested before", () => {
    const outstanding = withOne()
    assert.isTrue(outstanding.requestsTable("A", 10))
    assert.isTrue(outstanding.requestsTable("A", 20))
    hear(outstanding, [READING], 30)
    assert.isFalse(outstanding.requestsTable("A", 40))
    hear(outstanding, TABLE, 50)
    assert.isFalse(outstanding.isResynchronised("A"))
    hear(outstanding, TABLE, 60)
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("a slow device that fell silent is asked afresh", () => {
    const outstanding = withOne()
    assert.isTrue(outstanding.requestsTable("A", 10))
    assert.isTrue(outstanding.requestsTable("A", 20))
    hear(outstanding, [READING], 30)
    assert.isFalse(outstanding.requestsTable("A", 1030))
    assert.isTrue(outstanding.requestsTable("A", 1031))
    hear(outstanding, TABLE, 1040)
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("only the device's own lines count, and its reply clears it", () => {
    const outstanding = withOne()
    hear(outstanding, ["B +014.62", "B M00 Alicat Scientific", "", "?", "AB"], 10)
    assert.isTrue(outstanding.requestsTable("A", 20))
    assert.isFalse(outstanding.isResynchronised("A"))
    outstanding.clear("A")
    assert.isFalse(outstanding.has("A"))
    assert.isFalse(outstanding.requestsTable("A", 30))
    assert.isTrue(outstanding.isResynchronised("A"))
  })
})
