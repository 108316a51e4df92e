import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import { TypedText } from "../src/typed.ts"

/** Keys as they are, and what is pasted in parentheses, for what comes at once or one after the other. */
const read = (...comes: ReadonlyArray<string>) => {
  const typed = new TypedText()
  return comes.map((text) => typed.read(text).map(({ isPasted, text }) => isPasted ? `(${text})` : text).join("")).join(
    "|"
  )
}

it("tells keys from what the terminal says is pasted", () => {
  assert.strictEqual(read("mx\u001b[A\u001b"), "mx\u001b[A\u001b")
  assert.strictEqual(read("m\u001b[200~q\rp\u001b[201~p"), "m(q)(\r)(p)p")
  assert.strictEqual(read("\u001b[200~q", "", "q\u001b[201~", "q"), "(q)||(q)|q")
})

it.prop(
  "finds the end of pasted text wherever the text is cut in two",
  [Schema.String.check(Schema.isMaxLength(20)), Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))],
  ([pasted, at]) => {
    const text = `\u001b[200~${pasted.replaceAll("\u001b", "").toWellFormed()}\u001b[201~`
    const cut = Math.max(2, at)
    const typed = new TypedText()
    const found = [...typed.read(text.slice(0, cut)), ...typed.read(text.slice(cut)), ...typed.read("q")]
    assert.deepStrictEqual(found.filter(({ isPasted }) => !isPasted), [{ text: "q", isPasted: false }])
  }
)

it("leaves out what comes behind a line end that did not come alone, until nothing more comes", () => {
  assert.strictEqual(read("m", "one", "\r", "q"), "m|one|\r|q")
  assert.strictEqual(read("mone\r", "q", "", "q"), "mone\r|||q")
  assert.strictEqual(read("mone\rq\rq", "pq\r", "", "q"), "mone\r|||q")
  assert.strictEqual(read("one\n\u001b[200~two\u001b[201~"), "one\n(t)(w)(o)")
})
