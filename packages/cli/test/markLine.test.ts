import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import { endOf, MarkLine } from "../src/markLine.ts"
import { TypedText } from "../src/typed.ts"

/** What the line says of each key. */
const typed = (keys: string) => {
  const line = new MarkLine(1)
  return new TypedText().read(keys).map((key) => line.press(key)).filter((answer) => answer !== undefined)
}

it("gives its text, without blanks around it, at Enter", () => {
  assert.deepStrictEqual(typed("  valve opened \r"), ["valve opened"])
  assert.deepStrictEqual(typed("valve opened\n"), ["valve opened"])
})

it("is called mark without a text", () => {
  assert.deepStrictEqual(typed("\r"), ["mark"])
  assert.deepStrictEqual(typed(" \r"), ["mark"])
})

it("is cancelled by Escape, but not by keys that begin with its byte", () => {
  assert.deepStrictEqual(typed("valve\u001b"), [null])
  assert.deepStrictEqual(typed("\u001b[Aup\u001bOB\u001b[1;5C\u001b[3~\r"), ["up"])
})

it("loses its last character by backspace, and all of them by Ctrl-U", () => {
  assert.deepStrictEqual(typed("\u007fvalvess\u007f\b\r"), ["valve"])
  assert.deepStrictEqual(typed("gas 👩‍🔬e\u0301\u007f\u007f\r"), ["gas"])
  assert.deepStrictEqual(typed("valve\u0015gas\r"), ["gas"])
})

it("takes pasted text as text: line ends become spaces, and nothing in it is a key", () => {
  assert.deepStrictEqual(
    typed("gas: \u001b[200~one\r\u001b[A\u007f\u0015 two\nthree\u001b[201~.\r"),
    ["gas: one  two three."]
  )
})

it("takes no control characters, and not more than 500 characters", () => {
  assert.deepStrictEqual(typed("a\tb\u0000c\u009bd\r"), ["abcd"])
  assert.deepStrictEqual(typed(`${"x".repeat(501)}\r`), ["x".repeat(500)])
})

it.prop("takes every text as it is", [Schema.String.check(Schema.isMaxLength(200))], ([text]) => {
  const printable = text.toWellFormed().replace(/\p{Cc}/gu, "")
  assert.deepStrictEqual(typed(`${printable}\r`), [printable.trim() || "mark"])
})

it("shows the end of a text that is too long", () => {
  assert.strictEqual(endOf("valve opened", 20), "valve opened")
  assert.strictEqual(endOf("valve opened", 6), "opened")
  assert.strictEqual(endOf("バルブ", 5), "ルブ")
  assert.strictEqual(endOf("valve", 0), "")
  assert.strictEqual(endOf("valve", -3), "")
})
