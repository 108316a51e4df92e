/**
 * A batch into a table with NOT NULL columns. The database would refuse the whole batch for one sample without a value for one of
 * them. So such a sample is left out.
 */
import type { Cell, Sample } from "@sampleline/core"
import { Effect } from "effect"
import type { TableFit } from "./TableFit.ts"

/** Writes the samples that have a value for each NOT NULL column. The others are counted when these are written. */
export const writeComplete = <E, R>(
  { lock, notNull }: Pick<TableFit<unknown>, "lock" | "notNull">,
  batch: ReadonlyArray<Sample>,
  write: (complete: ReadonlyArray<Sample>) => Effect.Effect<void, E, R>
): Effect.Effect<void, E, R> => {
  if (notNull.names.length === 0) return write(batch)
  const leftOutFor: Array<string> = []
  const row: Array<Cell> = []
  const complete = batch.filter((sample) => {
    const missing = notNull.lock.row(sample, row).indexOf(null)
    if (missing >= 0) leftOutFor.push(notNull.names[missing]!)
    return missing < 0
  })
  return Effect.map(complete.length === 0 ? Effect.void : write(complete), () => {
    for (const column of leftOutFor) lock.dropped.countRow(column)
  })
}
