import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { checkIdentifiers, quoted } from "../../src/internal/identifiers.ts"

it.effect("refuses the first option that is not an identifier", () =>
  Effect.gen(function*() {
    yield* checkIdentifiers({ schema: "public", table: `_${"a".repeat(62)}` })
    for (const table of ["", "1st", "a b", "a;b", "sämples", "a".repeat(64)]) {
      const error = yield* Effect.flip(checkIdentifiers({ schema: "public", table }))
      assert.deepInclude(error, { option: "table", value: JSON.stringify(table) })
    }
  }))

it("quotes names", () => assert.strictEqual(quoted("a \"b\""), "\"a \"\"b\"\"\""))
