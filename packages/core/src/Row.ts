/**
 * The row of a sample: fixed columns, the frame's fields, the status, and on request the run's id, the sequence and the tick.
 *
 * Every sink stores values by the rules of this module: `undefined` is null, -0 is 0. NaN and infinities are kept where the target
 * can hold them; elsewhere they are null and counted. Text is stored as it is, except lone surrogates, which no encoding can hold:
 * they become U+FFFD.
 */
import { formatTimestamp } from "./formatTimestamp.ts"
import { distinct, type FieldKind, type FrameField, type FrameFormat, type FrameValue } from "./Frame.ts"
import type { Sample } from "./Sample.ts"

/**
 * The type of a column's values. `any`: numbers and texts.
 *
 * @since 0.1.0
 * @category models
 */
export type ColumnType = Exclude<FieldKind, "unknown"> | "timestamp" | "any"

/**
 * @since 0.1.0
 * @category models
 */
export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
}

/**
 * A value in a row. A `timestamp` cell is in integer microseconds since the epoch.
 *
 * @since 0.1.0
 * @category models
 */
export type Cell = number | string | null

/**
 * Takes the cells of a row one by one. Nothing is allocated per cell.
 *
 * @since 0.1.0
 * @category models
 */
export interface CellWriter {
  /** Not -0. May be NaN or an infinity. */
  float(value: number): void
  /** Not -0. From a `SchemaLock` always a safe integer; from `rowWriter` what the device gave, maybe with decimals, or NaN. */
  int(value: number): void
  /** May contain lone surrogates. */
  text(value: string): void
  /** Integer microseconds since the epoch. */
  timestamp(micros: number): void
  missing(): void
}

/**
 * @since 0.1.0
 * @category options
 */
export interface RowOptions {
  /**
   * Adds the columns `run_id`, `sequence` and `tick` after the status: the run, the place of the sample in it, and the place of its
   * tick on the grid. A table that a sink makes always has them. Default: false.
   */
  readonly rowIds?: boolean | undefined
  /** The old name of `rowIds`. */
  readonly identity?: boolean | undefined
}

/** Whether a cell is a float or a text of the frame, which `writeCells` finds by its position, or is written by `write`. */
export type CellSource = (typeof CellSource)[keyof typeof CellSource]
export const CellSource = { other: 0, float: 1, text: 2 } as const

/** How one cell of a row is written. */
export interface CellPlan {
  readonly source: CellSource
  /** Index in the frame's values; -1 for a fixed column. */
  readonly position: number
  /** Writes a cell of any source. */
  readonly write: (sample: Sample, to: CellWriter) => void
}

/** A column of the rows of one format. */
export interface RowColumn extends Column, CellPlan {
  /** The field's name in its format; null for a fixed column. */
  readonly field: string | null
  readonly read: (sample: Sample) => FrameValue
}

const fixed = (name: string, type: ColumnType, write: CellPlan["write"]): RowColumn => ({
  name,
  type,
  nullable: false,
  field: null,
  position: -1,
  source: CellSource.other,
  write,
  read: (sample) => {
    write(sample, captor)
    return captured
  }
})

let captured: number | string | null = null
const captor: CellWriter = {
  float: (value) => captured = value,
  int: (value) => captured = value,
  text: (value) => captured = value,
  timestamp: (value) => captured = value,
  missing: () => captured = null
}

const BEFORE_FRAME: ReadonlyArray<RowColumn> = [
  fixed("device", "text", (sample, to) => to.text(sample.device)),
  fixed("unit_id", "text", (sample, to) => to.text(sample.unitId)),
  fixed("requested_at", "timestamp", (sample, to) => to.timestamp(sample.requestedAt)),
  fixed("received_at", "timestamp", (sample, to) => to.timestamp(sample.receivedAt)),
  fixed("midpoint_at", "timestamp", (sample, to) => to.timestamp(sample.midpointAt)),
  fixed("latency_s", "float", (sample, to) => to.float(sample.latencySeconds))
]
const STATUS = fixed(
  "status",
  "text",
  ({ frame: { status } }, to) => to.text(status.length === 0 ? "" : status.join(","))
)
const ROW_IDS: ReadonlyArray<RowColumn> = [
  fixed("run_id", "text", (sample, to) => to.text(sample.run.id)),
  fixed("sequence", "int", (sample, to) => to.int(sample.sequence)),
  { ...fixed("tick", "int", ({ tick }, to) => tick === null ? to.missing() : to.int(tick)), nullable: true }
]
const ROW_ID_NAMES: ReadonlySet<string> = new Set(ROW_IDS.map(({ name }) => name))

/** Whether a column of a row is `run_id`, `sequence` or `tick`. A field never has one of these names. */
export const isRowId = ({ name }: Column): boolean => ROW_ID_NAMES.has(name)

/** Whether the user asks for the row ids. */
export const asksForRowIds = (options?: RowOptions): boolean => (options?.rowIds ?? options?.identity) === true

const FIXED_NAMES = new Set([...BEFORE_FRAME, STATUS, ...ROW_IDS].map((column) => column.name))

const fieldColumn = ({ kind, name }: FrameField, position: number, columnName: string): RowColumn => {
  const read = (sample: Sample) => sample.frame.values[position]
  const type = kind === "unknown" ? "any" : kind
  return {
    name: columnName,
    type,
    nullable: true,
    field: name,
    position,
    source: kind === "int" ? CellSource.other : kind === "text" ? CellSource.text : CellSource.float,
    write: (sample, to) => writeCell(toCell(read(sample)), type, to),
    read
  }
}

/** The column name of a field. The name of a fixed column, in any case, gets the prefix `frame_`. */
export const fieldColumnName = (field: string): string =>
  FIXED_NAMES.has(field.toLowerCase()) ? `frame_${field}` : field

const columnsByFormat = new WeakMap<
  FrameFormat,
  { readonly plain: ReadonlyArray<RowColumn>; readonly withRowIds: ReadonlyArray<RowColumn> }
>()

/** The columns of a format's rows, in order. Names that differ only by case are made distinct. */
export const rowColumns = (format: FrameFormat, options?: RowOptions): ReadonlyArray<RowColumn> => {
  let columns = columnsByFormat.get(format)
  if (columns === undefined) {
    const taken = new Set(FIXED_NAMES)
    const fields = format.fields.map((field, position) =>
      fieldColumn(field, position, distinct(fieldColumnName(field.name), taken, (name) => name.toLowerCase()))
    )
    const plain = [...BEFORE_FRAME, ...fields, STATUS]
    columns = { plain, withRowIds: [...plain, ...ROW_IDS] }
    columnsByFormat.set(format, columns)
  }
  return asksForRowIds(options) ? columns.withRowIds : columns.plain
}

/**
 * The fields of a format and the names of their columns.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fieldColumns = (
  format: FrameFormat
): ReadonlyArray<{ readonly field: FrameField; readonly column: string }> => {
  const columns = rowColumns(format).filter((column) => column.field !== null)
  return format.fields.map((field, at) => ({ field, column: columns[at]!.name }))
}

/** A value by the rules of this module. A target that cannot hold NaN or infinities makes them null. */
export const toCell = (value: FrameValue): Cell => {
  if (typeof value === "number") return value + 0
  if (typeof value === "string") return value.toWellFormed()
  return null
}

export const writeCell = (cell: Cell, type: ColumnType, to: CellWriter): void => {
  if (cell === null) to.missing()
  else if (typeof cell === "string") to.text(cell)
  else if (type === "timestamp") to.timestamp(cell)
  else if (type === "int") to.int(cell)
  else to.float(cell)
}

/** Writes a sample's cells in order. Finite floats and texts, which are most cells, cost no call of a plan's function. */
export const writeCells = (cells: ReadonlyArray<CellPlan>, sample: Sample, to: CellWriter): void => {
  const { values } = sample.frame
  for (let at = 0; at < cells.length; at++) {
    const cell = cells[at]!
    switch (cell.source) {
      case CellSource.float: {
        const value = values[cell.position]
        if (typeof value === "number" && value - value === 0) to.float(value === 0 ? 0 : value)
        else cell.write(sample, to)
        break
      }
      case CellSource.text: {
        const value = values[cell.position]
        if (typeof value === "string") to.text(value)
        else cell.write(sample, to)
        break
      }
      default:
        cell.write(sample, to)
    }
  }
}

/**
 * How samples of one format become rows: the columns, and a function that writes a sample's cells in their order.
 *
 * @since 0.1.0
 * @category conversions
 */
export const rowWriter = (format: FrameFormat, options?: RowOptions): {
  readonly columns: ReadonlyArray<Column>
  readonly write: (sample: Sample, to: CellWriter) => void
} => {
  const columns = rowColumns(format, options)
  return { columns, write: (sample, to) => writeCells(columns, sample, to) }
}

/**
 * The row of a sample as a plain object: times as text, values as sinks store them. NaN and infinities stay numbers.
 *
 * @since 0.1.0
 * @category conversions
 */
export const sampleToRow = (sample: Sample, options?: RowOptions): { [column: string]: Cell } =>
  Object.fromEntries(
    rowColumns(sample.frame.format, options).map((column) => {
      const cell = toCell(column.read(sample))
      return [column.name, column.type === "timestamp" ? formatTimestamp(cell as number) : cell]
    })
  )
