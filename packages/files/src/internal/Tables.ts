/**
 * What reading tables of databases has in common.
 */
import type { EventRow } from "@sampleline/core"
import { checkIdentifiers, EVENT_COLUMNS, type UnitsOfDevice } from "@sampleline/sinks/Reading"
import { Effect } from "effect"
import { ReadError } from "../ReadError.ts"
import type { SampleBatch } from "../Recorded.ts"
import { ColumnBuilder } from "./ColumnBuilder.ts"
import type { TypedColumn } from "./Columns.ts"

/** Fails if a name cannot become a part of a statement. */
export const checkTable = (place: string, table: string): Effect.Effect<void, ReadError> =>
  Effect.mapError(
    checkIdentifiers({ table }),
    ({ message }) => new ReadError({ place, reason: "NotFound", detail: message })
  )

/** A row of a query. */
export type Cells = ReadonlyArray<unknown>

/** A batch of rows. The first cell of each is its place, and the others are the columns. */
export const batchOf = (
  columns: ReadonlyArray<TypedColumn>,
  rows: ReadonlyArray<Cells>,
  position: (place: unknown) => number
): SampleBatch => ({
  from: position(rows[0]![0]),
  to: position(rows.at(-1)![0]) + 1,
  rows: rows.length,
  columns: new Map(columns.map(({ name, type }, at) => {
    const builder = new ColumnBuilder(type, rows.length)
    for (let row = 0; row < rows.length; row++) builder.value(row, rows[row]![at + 1])
    return [name, builder.values(rows.length)]
  }))
})

/** The names of the columns of events, in the order of their cells. */
export const EVENT_NAMES = Object.keys(EVENT_COLUMNS) as ReadonlyArray<keyof EventRow>

/** The event of a row of the events table, whose times and data are text. */
export const eventOf = (cells: Cells): EventRow => {
  const row = Object.fromEntries(EVENT_NAMES.map((name, at) => [name, cells[at] ?? null]))
  return { ...row, data: parseData(row["data"]) } as unknown as EventRow
}

/** Data that are not JSON are none: someone has changed them. */
const parseData = (data: unknown): unknown => {
  try {
    return typeof data === "string" ? JSON.parse(data) : null
  } catch {
    return null
  }
}

/** What is read of the table that says what columns mean. */
export const DESCRIPTION_NAMES = ["device", "column_name", "unit"]

/** The unit of a column of a device, from a row of those. */
export const unitOf = ([device, column, unit]: Cells): UnitsOfDevice => ({
  device: String(device),
  columns: [{ column: String(column), unit: typeof unit === "string" ? unit : null }]
})
