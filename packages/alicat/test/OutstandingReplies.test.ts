import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { isTableRow, OutstandingReplies } from "../src/OutstandingReplies.ts"

const READING = "A +014.62 +021.89"
const TABLE = ["A M00 Alicat Scientific", "A M01 www.example.com"]
const FRAME_TABLE = ["A D00 ID_ NAME", "A D01 700 Unit ID"]
const TIMEOUT = Duration.millis(1)
const MS = 1_000_000
const SILENCE = 6 * MS

const requested = () => {
  const outstanding = new OutstandingReplies(TIMEOUT)
  outstanding.requested("A", "line", 0)
  return outstanding
}

const hear = (outstanding: OutstandingReplies, lines: ReadonlyArray<string>, at: number) => {
  for (const line of lines) outstanding.heard(line, at)
}

describe("a device with an outstanding line", () => {
  it("is resynchronised by a table, whatever comes before it", () => {
    const outstanding = requested()
    assert.isTrue(outstanding.requestsTable("A", 10))
    hear(outstanding, [READING, "A   10v20", "?"], 20)
    assert.isFalse(outstanding.isResynchronised("A"))
    hear(outstanding, TABLE, 30)
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("is asked for another table only after the longest silence, when none that was requested before can come", () => {
    const outstanding = requested()
    assert.isTrue(outstanding.requestsTable("A", 10))
    assert.isFalse(outstanding.requestsTable("A", 10 + SILENCE))
    hear(outstanding, [READING], 30)
    assert.isFalse(outstanding.requestsTable("A", 30 + SILENCE))
    assert.isTrue(outstanding.requestsTable("A", 31 + SILENCE))
    hear(outstanding, TABLE, 40 + SILENCE)
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it.each([[["A M00", "A M01 x"]], [["A M05 Serial Number 77"]], [["A M01", "A M05 77", "A M09"]]])(
    "is resynchronised by tables without a first row or with a blank one: %j",
    (table) => {
      const outstanding = requested()
      outstanding.requested("A", "table", 5)
      assert.isFalse(outstanding.requestsTable("A", 10))
      hear(outstanding, [READING, ...table], 30)
      assert.isTrue(outstanding.requestsTable("A", 35))
      assert.isFalse(outstanding.isResynchronised("A"))
      hear(outstanding, table, 40)
      assert.isTrue(outstanding.isResynchronised("A"))
    }
  )

  it("is resynchronised when every table has come, of either kind", () => {
    const outstanding = requested()
    assert.isTrue(outstanding.requestsTable("A", 10))
    outstanding.requested("A", "table", 20)
    hear(outstanding, TABLE, 30)
    assert.isFalse(outstanding.isResynchronised("A"))
    hear(outstanding, FRAME_TABLE, 40)
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("is quiet after the longest silence since it was last asked or heard, or since any rejection", () => {
    const outstanding = requested()
    const isQuietSince = (at: number) => {
      assert.isFalse(outstanding.isQuiet("A", at + SILENCE))
      assert.isTrue(outstanding.isQuiet("A", at + 1 + SILENCE))
    }
    hear(outstanding, [READING], 30)
    isQuietSince(30)
    outstanding.requested("A", "line", 40)
    isQuietSince(40)
    hear(outstanding, ["?"], 50)
    isQuietSince(50)
  })

  it("has none after its reply, and lines of other units change nothing", () => {
    const outstanding = requested()
    hear(outstanding, ["B +014.62", "B M00 Alicat Scientific", "", "AB"], 10)
    assert.isTrue(outstanding.requestsTable("A", 20))
    assert.isFalse(outstanding.isResynchronised("A"))
    outstanding.answered("A", "line")
    assert.isFalse(outstanding.has("A"))
    assert.isFalse(outstanding.requestsTable("A", 30))
    assert.isTrue(outstanding.isResynchronised("A"))
  })

  it("has one still if two were requested, because the reply may be to the first", () => {
    for (const answer of ["line", "table"] as const) {
      const outstanding = requested()
      outstanding.requested("A", answer, 10)
      outstanding.answered("A", answer)
      assert.isTrue(outstanding.hasLine("A"))
    }
  })
})

describe("a rejection", () => {
  it("is the reply if nothing else is outstanding", () => {
    const outstanding = requested()
    outstanding.rejected("A", 10)
    assert.isFalse(outstanding.has("A"))
  })

  it("may be the reply to an earlier request", () => {
    const outstanding = requested()
    outstanding.requested("A", "table", 10)
    outstanding.rejected("A", 20)
    assert.isTrue(outstanding.hasLine("A"))
  })

  it("may be the reply of another unit, unless that one has been silent for long", () => {
    const outstanding = requested()
    outstanding.requested("B", "line", 10)
    outstanding.rejected("B", 20)
    assert.isTrue(outstanding.hasLine("B"))
    outstanding.requested("B", "line", SILENCE)
    outstanding.clear("B")
    outstanding.requested("B", "line", SILENCE)
    outstanding.rejected("B", 1 + SILENCE)
    assert.isFalse(outstanding.has("B"))
  })
})

describe("an outstanding table", () => {
  it("is no outstanding line, and is over when a line is answered", () => {
    const outstanding = new OutstandingReplies(TIMEOUT)
    outstanding.requested("A", "table", 0)
    assert.deepStrictEqual([outstanding.has("A"), outstanding.hasLine("A")], [true, false])
    outstanding.requested("A", "line", 10)
    assert.isTrue(outstanding.hasLine("A"))
    outstanding.answered("A", "line")
    assert.isFalse(outstanding.has("A"))
  })

  it("is on its way until its first row is late, or its rows are followed by silence", () => {
    const outstanding = new OutstandingReplies(TIMEOUT)
    outstanding.requested("A", "table", 0)
    assert.isTrue(outstanding.isSendingTable("A", 2 * MS - 1))
    assert.isFalse(outstanding.isSendingTable("A", 2 * MS))
    hear(outstanding, FRAME_TABLE, MS)
    assert.isTrue(outstanding.isSendingTable("A", 101 * MS - 1))
    assert.isFalse(outstanding.isSendingTable("A", 101 * MS))
    outstanding.answered("A", "table")
    assert.isFalse(outstanding.has("A"))
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
