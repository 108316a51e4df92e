/**
 * Floats that a file has without a decimal point: an earlier version of its sink wrote 100 for 100.0.
 */
import type { Column } from "@sampleline/core"
import { Effect } from "effect"
import type { Writer } from "./FileFailure.ts"
import type { Content } from "./TextContent.ts"

/** Warns of the columns of floats that have such numbers. `content` is null for a new file. */
export const warnOfWholeNumbers = (
  { sink, target }: Writer,
  columns: ReadonlyArray<Column>,
  content: Content | null
): Effect.Effect<void> => {
  const names = columns
    .filter(({ name, type }) => type === "float" && content?.wholeNumbers.has(name) === true)
    .map(({ name }) => name)
  return names.length === 0
    ? Effect.void
    : Effect.logWarning(
      `${sink} ${target}: it has numbers without a decimal point in columns of floats (${
        names.join(", ")
      }). A reader that `
        + "infers types may take these columns for integers. Tell the reader their types, or record to another file"
    )
}
