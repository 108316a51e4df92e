/**
 * Columns as a user gives them, for a device that does not declare its own: `Temp:°C`, `Flow:SCCM`, `Total`, `Gas:text`. They are in
 * the order in which the device sends them.
 */
import { FrameFormat, InvalidOptionError } from "@sampleline/core"
import { Effect } from "effect"
import { columnName, type FrameLayout, unitLabel } from "./wire/FrameTable.ts"

/** In place of a unit: the column holds text. */
const TEXT = "text"

/** The layout with these columns. `option` is named in the error. */
export const givenLayout = Effect.fnUntraced(function*(
  option: string,
  columns: ReadonlyArray<string>
): Effect.fn.Return<FrameLayout, InvalidOptionError> {
  if (columns.length === 0) return yield* InvalidOptionError.of(option, columns, "at least one column")
  const fields = yield* Effect.forEach(columns, (column) => {
    const colon = column.includes(":") ? column.indexOf(":") : column.length
    const name = column.slice(0, colon).trim()
    const unit = colon < column.length ? column.slice(colon + 1).trim() : null
    if (name === "" || unit === "" || /[=[\]]/.test(column)) {
      return Effect.fail(
        InvalidOptionError.of(option, column, "NAME, NAME:UNIT or NAME:text, such as Flow:SCCM, without brackets and =")
      )
    }
    return Effect.succeed(
      {
        name: columnName(name),
        kind: unit === TEXT ? "text" : "float",
        unit: unit === null || unit === TEXT ? null : unitLabel(unit)
      } as const
    )
  })
  return { format: FrameFormat.make(fields), flags: new Set(), unknownTypes: [] }
})
