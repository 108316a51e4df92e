/**
 * What the columns of a recording are: their types, fields and units. Pure.
 */
import { type ColumnType, type EventRow, type FieldKind, FrameFormat, rowWriter, SchemaLock } from "@sampleline/core"
import type { TableDescription, UnitsOfDevice } from "@sampleline/sinks/Reading"
import type { RecordedColumn } from "../Recorded.ts"
import { runsOf } from "../Runs.ts"

/** A column of a file or table, and the type of its values. */
export interface TypedColumn {
  readonly name: string
  readonly type: RecordedColumn["type"]
}

/** The columns that are in every recording. */
const FIXED = new Map(
  rowWriter(FrameFormat.make([]), { rowIds: true }).columns.map(({ name, type }) => [name, type])
)

export const recordedType = (type: ColumnType): RecordedColumn["type"] =>
  type === "float" || type === "int" ? "number" : type

/** The type of a column that is in every recording; undefined for others. */
export const fixedType = (name: string): RecordedColumn["type"] | undefined => {
  const type = FIXED.get(name.toLowerCase())
  return type === undefined ? undefined : recordedType(type)
}

/** Whether a column has the time of each sample. */
export const isTime = (name: string): boolean => fixedType(name) === "timestamp"

/** Why a table with these columns was not recorded; null if it may have been. */
export const foreignProblem = (names: ReadonlyArray<string>): string | null =>
  names.some(isTime)
    ? null
    : `it is not a recording: of its columns (${names.slice(0, 8).join(", ")}) none is a time of a sample, `
      + "such as requested_at"

/** Columns with their fields and units. Of a device that had several units, the last counts. */
export const recordedColumns = (
  columns: ReadonlyArray<TypedColumn>,
  devices: ReadonlyArray<UnitsOfDevice>
): ReadonlyArray<RecordedColumn> => {
  const units = new Map<string, { [device: string]: string }>()
  for (const { columns, device } of devices) {
    for (const { column, unit } of columns) {
      if (unit !== null) units.set(column, { ...units.get(column), [device]: unit })
    }
  }
  return columns.map(({ name, type }) => ({ name, type, field: fieldOf(name), units: units.get(name) ?? {} }))
}

/** The field that a column holds. The column of a field that is named as one of the fixed columns has a prefix. */
const fieldOf = (column: string): string | null => {
  const name = column.startsWith(PREFIX) ? column.slice(PREFIX.length) : ""
  return FIXED.has(column.toLowerCase()) ? null : FIXED.has(name.toLowerCase()) ? name : column
}

const PREFIX = "frame_"

/** What the events of runs say of the columns, where no description does. */
export const describedByEvents = (events: Iterable<EventRow>): TableDescription => {
  const devices = runsOf(events).flatMap(({ devices }) =>
    devices.map(({ device, fields }) => ({
      device,
      format: FrameFormat.make(fields.map(({ kind, ...field }) => ({ ...field, kind: kindOf(kind) })))
    }))
  )
  const lock = SchemaLock.fromFormats(devices.map(({ format }) => format), { rowIds: true })
  return {
    columns: lock.columns,
    devices: devices.map(({ device, format }) => ({
      device,
      columns: lock.fields(format).map(({ column, field: { unit } }) => ({ column, unit }))
    }))
  }
}

const kindOf = (kind: string): FieldKind => kind === "float" || kind === "int" || kind === "text" ? kind : "unknown"
