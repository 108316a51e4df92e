/**
 * The tabular row of a sample: the fixed columns, the frame's fields under their names, the status, and on demand the
 * run's id and the sequence.
 *
 * What every sink does to values is decided here: `undefined`, NaN and infinities become null, -0 becomes 0, text stays as
 * it is but for lone surrogates, which no encoding can store and which become U+FFFD.
 */
import { distinct, type FieldKind, type FrameField, type FrameFormat, type FrameValue } from "./Frame.ts"
import type { Sample } from "./Sample.ts"

/**
 * @since 0.1.0
 * @category models
 */
export type ColumnType = FieldKind | "timestamp"

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
 * A column of a format's rows and where its cell comes from.
 *
 * @internal
 */
export interface RowColumn extends Column {
  /** The field's name in its format; null for a fixed column. */
  readonly field: string | null
  /** Where the frame has its value; -1 for a fixed column. */
  readonly position: number
  readonly code: CellCode
  readonly read: (sample: Sample) => FrameValue
}

/**
 * Takes the cells of rows one after the other, without anything being made for them.
 *
 * @since 0.1.0
 * @category models
 */
export interface CellWriter {
  /** Finite, and not -0. */
  number(value: number): void
  /** As it is: with the lone surrogates that it may have. */
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
  /** Adds the columns `run_id` and `sequence` after the status. Default: false. */
  readonly rowIds?: boolean | undefined
  /** The old name of `rowIds`. */
  readonly identity?: boolean | undefined
}

/**
 * One of a sample's own properties, a field that is a number or a text, or something else.
 *
 * @internal
 */
export type CellCode = (typeof CellCode)[keyof typeof CellCode]

/** @internal */
export const CellCode = {
  other: 0,
  number: 1,
  text: 2,
  device: 3,
  unitId: 4,
  requestedAt: 5,
  receivedAt: 6,
  midpointAt: 7,
  latency: 8,
  status: 9,
  runId: 10,
  sequence: 11
} as const

const fixed = (name: string, type: ColumnType, code: CellCode, read: RowColumn["read"]): RowColumn => ({
  name,
  type,
  nullable: false,
  field: null,
  position: -1,
  code,
  read
})

const statusText = ({ frame: { status } }: Sample): string => status.length === 0 ? "" : status.join(",")

const BEFORE_FRAME: ReadonlyArray<RowColumn> = [
  fixed("device", "text", CellCode.device, (sample) => sample.device),
  fixed("unit_id", "text", CellCode.unitId, (sample) => sample.unitId),
  fixed("requested_at", "timestamp", CellCode.requestedAt, (sample) => sample.requestedAt),
  fixed("received_at", "timestamp", CellCode.receivedAt, (sample) => sample.receivedAt),
  fixed("midpoint_at", "timestamp", CellCode.midpointAt, (sample) => sample.midpointAt),
  fixed("latency_s", "float", CellCode.latency, (sample) => sample.latencySeconds)
]
const STATUS = fixed("status", "text", CellCode.status, statusText)
const IDENTITY: ReadonlyArray<RowColumn> = [
  fixed("run_id", "text", CellCode.runId, (sample) => sample.run.id),
  fixed("sequence", "int", CellCode.sequence, (sample) => sample.sequence)
]
const FIXED_NAMES = new Set([...BEFORE_FRAME, STATUS, ...IDENTITY].map((column) => column.name))

/**
 * What a field is called as a column: a field that bears a fixed column's name, in whatever case, gets the prefix `frame_`.
 *
 * @internal
 */
export const fieldColumnName = (field: string): string =>
  FIXED_NAMES.has(field.toLowerCase()) ? `frame_${field}` : field

const plans = new WeakMap<
  FrameFormat,
  { readonly plain: ReadonlyArray<RowColumn>; readonly identified: ReadonlyArray<RowColumn> }
>()

/**
 * The columns of the rows that samples of a format make, in order. Names that differ only by case are told apart.
 *
 * @internal
 */
export const rowColumns = (format: FrameFormat, options?: RowOptions): ReadonlyArray<RowColumn> => {
  let plan = plans.get(format)
  if (plan === undefined) {
    const taken = new Set(FIXED_NAMES)
    const plain = [
      ...BEFORE_FRAME,
      ...format.fields.map((field, position): RowColumn => ({
        name: distinct(fieldColumnName(field.name), taken, (name) => name.toLowerCase()),
        type: field.kind,
        nullable: true,
        field: field.name,
        position,
        code: field.kind === "text" ? CellCode.text : CellCode.number,
        read: (sample) => sample.frame.values[position]
      })),
      STATUS
    ]
    plan = { plain, identified: [...plain, ...IDENTITY] }
    plans.set(format, plan)
  }
  return (options?.rowIds ?? options?.identity) === true ? plan.identified : plan.plain
}

/**
 * The fields of a format and the columns they become in its rows.
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

/**
 * A value as every sink stores it.
 *
 * @internal
 */
export const toCell = (value: FrameValue): Cell => {
  if (typeof value === "number") return Number.isFinite(value) ? value + 0 : null
  if (typeof value === "string") return value.toWellFormed()
  return null
}

/**
 * How samples of one format become rows: their columns, and what gives the cells of a sample in the columns' order.
 *
 * @since 0.1.0
 * @category conversions
 */
export const rowWriter = (format: FrameFormat, options?: RowOptions): {
  readonly columns: ReadonlyArray<Column>
  readonly write: (sample: Sample, to: CellWriter) => void
} => {
  const columns = rowColumns(format, options)
  const cells = columns.map(({ code, position, read, type }): CellPlan => ({
    code,
    position,
    other: (sample, to) => writeCell(toCell(read(sample)), type, to)
  }))
  return { columns, write: (sample, to) => writeCells(cells, sample, to) }
}

/**
 * A cell of a column of this type, to a writer.
 *
 * @internal
 */
export const writeCell = (cell: Cell, type: ColumnType, to: CellWriter): void => {
  if (cell === null) to.missing()
  else if (typeof cell === "string") to.text(cell)
  else if (type === "timestamp") to.timestamp(cell)
  else to.number(cell)
}

/**
 * Where a cell comes from, in a form that is followed without a call for each cell.
 *
 * @internal
 */
export interface CellPlan {
  readonly code: CellCode
  readonly position: number
  /** For what the code does not tell: a value of another type than the column's. */
  readonly other: (sample: Sample, to: CellWriter) => void
}

/** @internal */
export const writeCells = (cells: ReadonlyArray<CellPlan>, sample: Sample, to: CellWriter): void => {
  const { values } = sample.frame
  for (let at = 0; at < cells.length; at++) {
    const cell = cells[at]!
    switch (cell.code) {
      case CellCode.number: {
        const value = values[cell.position]
        if (typeof value === "number" && value - value === 0) to.number(value === 0 ? 0 : value)
        else cell.other(sample, to)
        break
      }
      case CellCode.text: {
        const value = values[cell.position]
        if (typeof value === "string") to.text(value)
        else cell.other(sample, to)
        break
      }
      case CellCode.device:
        to.text(sample.device)
        break
      case CellCode.unitId:
        to.text(sample.unitId)
        break
      case CellCode.requestedAt:
        to.timestamp(sample.requestedAt)
        break
      case CellCode.receivedAt:
        to.timestamp(sample.receivedAt)
        break
      case CellCode.midpointAt:
        to.timestamp(sample.midpointAt)
        break
      case CellCode.latency:
        to.number(sample.latencySeconds)
        break
      case CellCode.status:
        to.text(statusText(sample))
        break
      case CellCode.runId:
        to.text(sample.run.id)
        break
      case CellCode.sequence:
        to.number(sample.sequence)
        break
      default:
        cell.other(sample, to)
    }
  }
}

/**
 * The row of a sample as a plain object: times as text, values as sinks store them.
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

/**
 * Microseconds since the epoch as RFC 3339 text, UTC, with six decimals: `2026-03-01T12:00:00.000123Z`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const formatTimestamp = (micros: number): string => {
  const second = Math.floor(micros / 1_000_000)
  if (second !== lastSecond.at) {
    lastSecond = { at: second, text: new Date(second * 1000).toISOString().slice(0, -4) }
  }
  return `${lastSecond.text}${String(1_000_000 + (micros - second * 1_000_000)).slice(1)}Z`
}

/** The text of the second that was formatted last, up to the point: times come in order, most of them in the same second. */
let lastSecond = { at: Number.NaN, text: "" }
