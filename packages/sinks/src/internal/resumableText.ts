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
  /** The position behind what was written. */
  let at = 0
  const tokenOf = (place: TextPlace) => JSON.stringify(place)
  const writeRows: SinkShape["write"] = (batch) =>
    resumable.isMoved() ? Effect.forEach(batch, (sample) => write([sample]), { discard: true }) : write(batch)
  return {
    open: Effect.fnUntraced(function*({ first, place }) {
      if (first !== null) yield* lock(first)
      const found = yield* resumable.open(place === null ? null : JSON.parse(place.token) as TextPlace)
      at = place?.through ?? 0
      return { through: at, token: tokenOf(found) }
    }),
    writeAt: Effect.fnUntraced(function*(items, through, keep) {
      // The place of a new file is kept before anything is in it. Else it would look like someone's change after a crash.
      const begin = (next: "rows" | "event") =>
        Effect.flatMap(
          resumable.place(next),
          ({ isNew, place }) => isNew ? keep({ through: at, token: tokenOf(place) }) : Effect.void
        )
      const passed = (count: number) => () => {
        at += count
      }
      yield* writeInOrder(
        {
          write: (batch) => Effect.map(Effect.andThen(begin("rows"), writeRows(batch)), passed(batch.length)),
          event: (event) => Effect.map(Effect.andThen(begin("event"), resumable.event(event)), passed(1))
        },
        items,
        () => {}
      )
      const { place } = yield* resumable.place("rows")
      return { through, token: tokenOf(place) }
    }),
    sync: resumable.sync,
    finish: (through) =>
      Effect.map(
        Effect.andThen(resumable.finish, resumable.place("rows")),
        ({ place }) => ({ through, token: tokenOf(place) })
      ),
    forget: Effect.void
  }
}
