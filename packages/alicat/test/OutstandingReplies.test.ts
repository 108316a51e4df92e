import { assert, describe, it } from "@effect/vitest"
import { isTableRow, OutstandingReplies } from "../src/OutstandingReplies.ts"

const READING = "A +014.62 +021.89"
const TABLE = ["A M00 Alicat Scientific", "A M01 www.example.com"]
const SILENCE_NANOS = 1000

describe("a device with an outstanding reply", () => {
  const requested = () => {
    const outstanding = new OutstandingReplies(SILENCE_NANOS)
    outstanding.requested("A", 0)
    return outstanding
  }
  const hear = (outstanding: OutstandingReplies, lines: ReadonlyArray<string>, at: number) => {
    for (const line of lines) outstanding.heard(line, at)
  }

  it("that was off is resynchronised by the first table, however many tables were requested", () => {
    const outstanding = requested()
    for (const at of [10, 20, 30]) assert.isTrue(outstanding.requestsTable("A", at))
    assert.isFalse(outstanding.isResynchronised("A"))
    hear(outstanding, TABLE, 40)
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("that is slow is resynchronised when every table has come, and no more tables are requested until then", () => {
    const outstanding = requested()
    assert.isTrue(outstanding.requestsTable("A", 10))
    assert.isTrue(outstanding.requestsTable("A", 20))
    hear(outstanding, [READING], 30)
    assert.isFalse(outstanding.requestsTable("A", 40))
    hear(outstanding, TABLE, 50)
    assert.isFalse(outstanding.isResynchronised("A"))
    hear(outstanding, TABLE, 60)
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("that falls silent before its tables have come starts again after the longest silence", () => {
    const outstanding = requested()
    assert.isTrue(outstanding.requestsTable("A", 10))
    assert.isTrue(outstanding.requestsTable("A", 20))
    hear(outstanding, [READING], 30)
    assert.isFalse(outstanding.requestsTable("A", 30 + SILENCE_NANOS))
    assert.isTrue(outstanding.requestsTable("A", 31 + SILENCE_NANOS))
    hear(outstanding, TABLE, 1040)
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("that rejects a request for a table has answered it", () => {
    const outstanding = requested()
    assert.isTrue(outstanding.requestsTable("A", 10))
    assert.isTrue(outstanding.requestsTable("A", 20))
    hear(outstanding, [READING], 30)
    outstanding.rejectedTable("A")
    assert.isFalse(outstanding.isResynchronised("A"))
    outstanding.rejectedTable("A")
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("is quiet after the longest silence", () => {
    const outstanding = requested()
    hear(outstanding, [READING], 30)
    assert.isFalse(outstanding.isQuiet("A", 30 + SILENCE_NANOS))
    assert.isTrue(outstanding.isQuiet("A", 31 + SILENCE_NANOS))
  })

  it("has none after its reply, and lines of other units change nothing", () => {
    const outstanding = requested()
    hear(outstanding, ["B +014.62", "B M00 Alicat Scientific", "", "?", "AB"], 10)
    assert.isTrue(outstanding.requestsTable("A", 20))
    assert.isFalse(outstanding.isResynchronised("A"))
    outstanding.clear("A")
    assert.isFalse(outstanding.has("A"))
    assert.isFalse(outstanding.requestsTable("A", 30))
    assert.isTrue(outstanding.isResynchronised("A"))
  })
})

describe("a row of a table", () => {
  it("may be blank, and is never a reading", () => {
    for (const row of ["A M1", "A M1 ", "A  M00 ALICAT SCIENTIFIC", "A D02 002 Abs Press"]) {
      assert.isTrue(isTableRow(row), row)
    }
    for (const line of ["A", READING, "A +1 D2", "A D2O", "A M1x"]) assert.isFalse(isTableRow(line), line)
  })
})
