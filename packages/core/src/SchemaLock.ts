/**
 * The columns of a table. The first batch fixes them, or the existing table does.
 *
 * Types come from the formats. If formats disagree, int and float become float, and other pairs become text. Where no format
 * knows the type, the values of the first batch show it; without a value the column takes numbers and texts.
 *
 * A field that comes later has no column: its values are dropped and counted. A missing field is null. A value that its column
 * cannot hold is stored as null and counted. Columns of floats hold NaN and infinities, unless the sink says that its target cannot.
 */
import { DroppedValues } from "./DroppedValues.ts"
import { distinct, type FrameField, type FrameFormat } from "./Frame.ts"
import {
  asksForRowIds,
  type Cell,
  type CellPlan,
  CellSource,
  type CellWriter,
  type Column,
  type ColumnType,
  fieldColumnName,
  isRowId,
  type RowColumn,
  rowColumns,
  type RowOptions,
  toCell,
  writeCell,
  writeCells
} from "./Row.ts"
import type { Run, Sample } from "./Sample.ts"

interface Plan {
  /** One for each locked column. */
  readonly readers: ReadonlyArray<(sample: Sample) => Cell>
  readonly cells: ReadonlyArray<CellPlan>
  /** Fields that have no column. */
  readonly unknown: ReadonlyArray<RowColumn>
}

/**
 * A column of an existing table.
 *
 * @since 0.1.0
 * @category models
 */
export interface TableColumn extends Column {
  /** The column of the run whose values it takes. Default: the one of the same name. */
  readonly takes?: string | undefined
  /** The value as the column stores it, or null if the column cannot hold it. Default: by the column's type. */
  readonly convert?: ((value: number | string) => Cell) | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface LockOptions extends RowOptions {
  /** Whether the target has no types, as a text file. Its columns then keep every value. Default: false. */
  readonly untyped?: boolean | undefined
  /** Whether a column of floats can hold this value, which may be NaN or an infinity. Default: it holds all. */
  readonly holdsFloat?: ((value: number) => boolean) | undefined
}

/**
 * A locked column as plain data.
 *
 * @since 0.1.0
 * @category models
 */
export interface SavedColumn extends Column {
  /** Names the value that it takes: that of the format's column with the same source. */
  readonly source: string
}

type LockedColumn = TableColumn & SavedColumn

/**
 * @since 0.1.0
 * @category models
 */
export class SchemaLock {
  readonly columns: ReadonlyArray<Column>
  /** The values that have no column, or that their column cannot hold. */
  readonly dropped = new DroppedValues()
  private readonly locked: ReadonlyArray<LockedColumn>
  private readonly options: LockOptions
  private readonly plans = new WeakMap<FrameFormat, Plan>()

  private constructor(locked: ReadonlyArray<LockedColumn>, options: LockOptions) {
    this.columns = locked.map(({ name, nullable, type }) => ({ name, type, nullable }))
    this.locked = locked
    this.options = options
  }

  /** Locks to the columns of these formats: the fixed columns, the fields in first-seen order, the status. */
  static fromFormats(formats: Iterable<FrameFormat>, options: LockOptions = {}): SchemaLock {
    const head = new Map<string, LockedColumn>()
    const tail = new Map<string, LockedColumn>()
    for (const format of formats) {
      const columns = rowColumns(format, options)
      const status = columns.findIndex((column) => column.field === null && column.name === "status")
      columns.forEach((column, at) => {
        const source = sourceOf(column)
        const part = at < status ? head : tail
        const type = widen(part.get(source)?.type ?? column.type, column.type)
        const name = column.field === null ? column.name : fieldColumnName(column.field)
        part.set(source, { name, type, nullable: column.nullable, source })
      })
    }
    const taken = new Set([...tail.values()].map((column) => column.name))
    const named = [...head.values()].map((column) => ({
      ...column,
      name: distinct(column.name, taken, (name) => name.toLowerCase())
    }))
    return new SchemaLock([...named, ...tail.values()], options)
  }

  /** The columns of `fromBatch` with the types of the formats alone: whatever the values are, a field of unknown kind has none. */
  static fromFormatsOf(batch: Iterable<Sample>, options: LockOptions = {}): SchemaLock {
    return SchemaLock.fromFormats(formatsOf(batch), options)
  }

  /** Locks to the columns of a first batch and of the run's other devices, if their formats are known. */
  static fromBatch(batch: Iterable<Sample>, options: LockOptions = {}): SchemaLock {
    const lock = SchemaLock.fromFormatsOf(batch, options)
    if (lock.isTyped) return lock
    const seen = lock.locked.map((column) => column.type)
    for (const sample of batch) {
      lock.row(sample).forEach((cell, at) => {
        if (lock.locked[at]!.type === "any" && cell !== null) {
          seen[at] = widen(seen[at]!, typeof cell === "string" ? "text" : "float")
        }
      })
    }
    return lock.withTypes((_, at) => seen[at]!)
  }

  /**
   * Locks to the columns that both an existing table and a first batch have, in the order and types of the table. The row ids are
   * among them, whether they are asked for or not. The database fills the other columns.
   */
  static fromTable(
    columns: ReadonlyArray<TableColumn>,
    batch: Iterable<Sample>,
    options: LockOptions = {}
  ): SchemaLock {
    const all = SchemaLock.fromBatch(batch, { ...options, rowIds: true })
    const sources = new Map(all.locked.map(({ name, source }) => [name, source]))
    return new SchemaLock(
      columns.flatMap((column) => {
        const source = sources.get(column.takes ?? column.name)
        return source === undefined ? [] : [{ ...column, source }]
      }),
      options
    )
  }

  /** The same lock again, in another process. */
  static fromSaved(columns: ReadonlyArray<SavedColumn>, options: LockOptions = {}): SchemaLock {
    return new SchemaLock(columns, options)
  }

  /** What `fromSaved` needs. Conversions of an existing table are not in it. */
  get saved(): ReadonlyArray<SavedColumn> {
    return this.locked.map(({ name, nullable, source, type }) => ({ name, type, nullable, source }))
  }

  /** Whether every column has a type. One of a field of unknown kind has none until a value has come. */
  get isTyped(): boolean {
    return this.locked.every((column) => column.type !== "any")
  }

  /** The same columns. One without a type becomes text. */
  typed(): SchemaLock {
    return this.withTypes(({ type }) => type === "any" ? "text" : type)
  }

  private withTypes(typeOf: (column: Column, at: number) => ColumnType): SchemaLock {
    return new SchemaLock(this.locked.map((column, at) => ({ ...column, type: typeOf(column, at) })), this.options)
  }

  /** The names of the columns that hold fields of the devices. The others are the same in every run, such as `device`. */
  get measured(): ReadonlyArray<string> {
    return this.locked.filter(({ source }) => source.startsWith(FIELD)).map(({ name }) => name)
  }

  /** The fields of a format that have a column, with its name. */
  fields(format: FrameFormat): ReadonlyArray<{ readonly field: FrameField; readonly column: string }> {
    return format.fields.flatMap((field) => {
      const column = this.locked.find((column) => column.source === `${FIELD}${field.name}`)
      return column === undefined ? [] : [{ field, column: column.name }]
    })
  }

  /** The same columns in another order, given by their names. */
  inOrder(names: ReadonlyArray<string>): SchemaLock {
    return new SchemaLock(names.map((name) => this.locked.find((column) => column.name === name)!), this.options)
  }

  /** The sample's cells in the order of `columns`. They are written into `into`, which may be the previous row. */
  row(sample: Sample, into: Array<Cell> = []): Array<Cell> {
    const { readers } = this.planOf(sample)
    for (let at = 0; at < readers.length; at++) into[at] = readers[at]!(sample)
    return into
  }

  /** Writes the same cells to a writer. */
  write(sample: Sample, to: CellWriter): void {
    writeCells(this.planOf(sample).cells, sample, to)
  }

  /** The plan of the sample's format. Counts the values that have no column. */
  private planOf(sample: Sample): Plan {
    const { format } = sample.frame
    let plan = this.plans.get(format)
    if (plan === undefined) {
      plan = this.plan(format)
      this.plans.set(format, plan)
    }
    const { unknown } = plan
    for (let at = 0; at < unknown.length; at++) {
      if (unknown[at]!.read(sample) !== undefined) this.dropped.count(unknown[at]!.name, NO_COLUMN)
    }
    return plan
  }

  private plan(format: FrameFormat): Plan {
    const sources = new Map(rowColumns(format, { rowIds: true }).map((column) => [sourceOf(column), column]))
    const columns = this.locked.map((column) => ({ column, from: sources.get(column.source) }))
    for (const { column } of columns) sources.delete(column.source)
    const readers = columns.map(({ column, from }) => from === undefined ? () => null : this.readerOf(column, from))
    return {
      readers,
      cells: columns.map(({ column, from }, at) => cellPlan(column, from, readers[at]!)),
      // What the user asked for must not be dropped silently.
      unknown: [...sources.values()].filter((column) =>
        column.field !== null || (isRowId(column) && asksForRowIds(this.options))
      )
    }
  }

  private readerOf(column: LockedColumn, from: RowColumn): (sample: Sample) => Cell {
    const { untyped = false } = this.options
    const convert = column.convert
      ?? (untyped && column.type === "text" && from.type !== "int" ? asItIs : converterTo(column.type, this.options))
    return (sample) => {
      const value = toCell(from.read(sample))
      if (value === null) return null
      const cell = convert(value)
      if (cell !== null) return cell
      // A reader would round a fraction among integers, and take NaN for a float.
      if (untyped && typeof value === "string") return value
      this.dropped.count(from.name, CANNOT_HOLD)
      return null
    }
  }
}

/** Why values are dropped. */
const NO_COLUMN = "there is no such column; columns are fixed at the first batch"
const CANNOT_HOLD = "the column cannot hold them"

/** Always an object of the same shape: `writeCells` is faster with them. */
const cellPlan = (
  { convert, type }: LockedColumn,
  from: RowColumn | undefined,
  read: (sample: Sample) => Cell
): CellPlan => {
  const isSame = from !== undefined && convert === undefined && type === from.type
  return {
    // Usual values are written as they are. The others are converted: NaN, text for a float, decimals for an int.
    source: isSame ? from.source : CellSource.other,
    position: isSame ? from.position : -1,
    write: isSame && from.field === null ? from.write : (sample, to) => writeCell(read(sample), type, to)
  }
}

/** How the source of a field's column begins. */
const FIELD = "field "

const sourceOf = (column: RowColumn): string => column.field === null ? `fixed ${column.name}` : FIELD + column.field

/** The formats of a batch, then the known formats of the run's other devices. */
const formatsOf = (batch: Iterable<Sample>): ReadonlySet<FrameFormat> => {
  const formats = new Set<FrameFormat>()
  const runs = new Set<Run>()
  for (const sample of batch) {
    formats.add(sample.frame.format)
    runs.add(sample.run)
  }
  for (const run of runs) {
    for (const { format } of run.devices) if (format !== null) formats.add(format)
  }
  return formats
}

const widen = (a: ColumnType, b: ColumnType): ColumnType => {
  if (a === b || b === "any") return a
  if (a === "any") return b
  return (a === "int" || a === "float") && (b === "int" || b === "float") ? "float" : "text"
}

/** Gives a value in the column's type, or null if the column cannot hold it. */
const converterTo = (
  type: ColumnType,
  { holdsFloat = () => true }: LockOptions
): (value: number | string) => Cell => {
  switch (type) {
    case "text":
      return String
    case "float":
      return (value) => {
        const number = toNumber(value)
        return number !== null && holdsFloat(number) ? number : null
      }
    case "int":
      return (value) => {
        const number = toNumber(value)
        return Number.isSafeInteger(number) ? number : null
      }
    case "timestamp":
      return (value) => typeof value === "number" ? value : null
    case "any":
      return (value) => typeof value === "string" || holdsFloat(value) ? value : null
  }
}

/** A number in a column of texts is written as a number, so that a float has its decimal point. */
const asItIs = (value: number | string): Cell => value

const toNumber = (value: number | string): number | null => typeof value === "number" ? value : parseNumber(value)

const parseNumber = (text: string): number | null => {
  if (!/^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(text)) return null
  const number = Number(text)
  return Number.isFinite(number) ? number + 0 : null
}
