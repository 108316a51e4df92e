/**
 * How a journal writes to a text file: rows and events up to a place, so that after a crash they go on where they were.
 */
import { type Resumable, type Sample, type SinkShape, writeInOrder } from "@sampleline/core"
import { type Array, Effect } from "effect"
import type { ByteOutput, TextPlace } from "./ByteOutput.ts"

/** `lock` fixes the columns by the samples of the first batch. */
export const resumableText = (
  output: ByteOutput,
  write: SinkShape["write"],
  lock: (first: Array.NonEmptyReadonlyArray<Sample>) => ReturnType<SinkShape["write"]>
): Resumable | undefined => {
  const { resumable } = output
  if (resumable === undefined) return undefined
  const placeAt = (through: number) => {
    const { isNew, place } = resumable.place()
    return { isNew, place: { through, token: JSON.stringify(place) } }
  }
  return {
    open: Effect.fnUntraced(function*({ first, place }) {
      if (first !== null) yield* lock(first)
      const found = yield* resumable.open(place === null ? null : JSON.parse(place.token) as TextPlace)
      return { through: place?.through ?? 0, token: JSON.stringify(found) }
    }),
    writeAt: Effect.fnUntraced(function*(items, through, keep) {
      yield* writeInOrder({ write, event: resumable.event }, items, () => {})
      const { isNew, place } = placeAt(through)
      // The file before has lost its name: its places lead nowhere.
      if (isNew) yield* Effect.andThen(resumable.sync, keep(place))
      return place
    }),
    sync: resumable.sync,
    finish: (through) => Effect.map(resumable.finish, () => placeAt(through).place),
    forget: Effect.void
  }
}
