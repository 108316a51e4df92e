import { assert, describe, it } from "@effect/vitest"
import { Debts } from "../src/Debts.ts"

const READING = "A +014.62 +021.89"
const TABLE = ["A M00 Alicat Scientific", "A M01 www.example.com"]

describe("a debt", () => {
  const owing = () => {
    const debts = new Debts(1000)
    debts.asked("A", 0)
    return debts
  }
  const hear = (debts: Debts, lines: ReadonlyArray<string>, at: number) => {
    for (const line of lines) debts.heard(line, at)
  }

  it("of a device that was off is settled by the first table, however many fences were sent", () => {
    const debts = owing()
    for (const at of [10, 20, 30]) assert.isTrue(debts.sendsFence("A", at))
    assert.isFalse(debts.isSettled("A"))
    hear(debts, TABLE, 40)
    assert.isTrue(debts.isSettled("A"))
  })

  it("of a slow device is settled when every fence was answered, and no more are sent meanwhile", () => {
    const debts = owing()
    assert.isTrue(debts.sendsFence("A", 10))
    assert.isTrue(debts.sendsFence("A", 20))
    hear(debts, [READING], 30)
    assert.isFalse(debts.sendsFence("A", 40))
    hear(debts, TABLE, 50)
    assert.isFalse(debts.isSettled("A"))
    hear(debts, TABLE, 60)
    assert.isTrue(debts.isSettled("A"))
  })

  it("of a device that fell silent with fences unanswered begins anew after the patience", () => {
    const debts = owing()
    assert.isTrue(debts.sendsFence("A", 10))
    assert.isTrue(debts.sendsFence("A", 20))
    hear(debts, [READING], 30)
    assert.isFalse(debts.sendsFence("A", 1030))
    assert.isTrue(debts.sendsFence("A", 1031))
    hear(debts, TABLE, 1040)
    assert.isTrue(debts.isSettled("A"))
  })

  it("is paid by the reply, and nobody else's line touches it", () => {
    const debts = owing()
    hear(debts, ["B +014.62", "B M00 Alicat Scientific", "", "?", "AB"], 10)
    assert.isTrue(debts.sendsFence("A", 20))
    assert.isFalse(debts.isSettled("A"))
    debts.paid("A")
    assert.isFalse(debts.has("A"))
    assert.isFalse(debts.sendsFence("A", 30))
    assert.isTrue(debts.isSettled("A"))
  })
})
