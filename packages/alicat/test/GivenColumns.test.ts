import { assert, describe, it } from "@effect/vitest"

import { InvalidOptionError } from "@sampleline/core"
import { Effect, Result, Schema } from "effect"
import { givenLayout } from "../src/GivenColumns.ts"

describe("given columns", () => {
  const read = (columns: ReadonlyArray<string>) => Effect.result(givenLayout("fuel.columns", columns))

  it.effect.each(
    [
      ["Temp:°C", ["Temp", "float", "°C"]],
      ["Temp:C", ["Temp", "float", "°C"]],
      ["Mass Flow : SCCM ", ["Mass_Flow", "float", "SCCM"]],
      ["Total", ["Total", "float", null]],
      ["Valve:%", ["Valve", "float", "%"]],
      ["Ratio:a:b", ["Ratio", "float", "a:b"]],
      ["Gas:text", ["Gas", "text", null]]
    ] as const
  )("read `%s` as a name, a kind and a unit", ([column, expected]) =>
    Effect.gen(function*() {
      const { format } = yield* givenLayout("fuel.columns", [column])
      assert.deepStrictEqual(format.fields.map(({ kind, name, unit }) => [name, kind, unit]), [[...expected]])
    }))

  it.effect("stay in their order, and get distinct names", () =>
    Effect.gen(function*() {
      const { format } = yield* givenLayout("fuel.columns", ["B", "A", "B"])
      assert.deepStrictEqual(format.fields.map(({ name }) => name), ["B", "A", "B_2"])
    }))

  it.effect.each(["unit=A", "Flow=SCCM", "[Temp:C", "Gas:text]", "", ":C", "Flow:"])(
    "are refused as `%s`",
    (column) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(givenLayout("fuel.columns", ["Temp:C", column]))
        assert.include(
          error.message,
          "expected NAME, NAME:UNIT or NAME:text, such as Flow:SCCM, without brackets and ="
        )
      })
  )

  it.effect.prop(
    "of any text are read or refused",
    [Schema.Array(Schema.String)],
    ([columns]) =>
      Effect.gen(function*() {
        const result = yield* read(columns)
        assert.isTrue(
          Result.isSuccess(result)
            ? result.success.format.fields.length === columns.length
            : result.failure instanceof InvalidOptionError
        )
      })
  )
})
