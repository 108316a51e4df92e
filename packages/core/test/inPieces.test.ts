import { assert, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { inPieces } from "../src/inPieces.ts"

const Size = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 }))

it.effect.prop("keeps the elements and their order, in arrays that are not longer than the size", [
  Schema.Array(Schema.Array(Schema.Int)),
  Size
], ([arrays, size]) =>
  Effect.gen(function*() {
    const given = Stream.flattenIterable(Stream.fromIterable(arrays))
    const pieces = yield* given.pipe(
      Stream.rechunk(40),
      inPieces(size),
      Stream.chunks,
      Stream.runCollect
    )
    assert.deepStrictEqual(pieces.flat(), arrays.flat())
    assert.isTrue(pieces.every(({ length }) => length <= size))
  }))
