/**
 * How a run goes into a table that exists, in every database: which columns both have, how each is stored, and why a table
 * cannot be used. Pure.
 */
import {
  asksForRowIds,
  type Column,
  type ColumnType,
  formatTimestamp,
  isRowId,
  type LockOptions,
  type Sample,
  SchemaLock,
  type TableColumn
} from "@sampleline/core"

/** A column that the database does not fill by itself. */
export interface ExistingColumn {
  readonly name: string
  /** The type as the database calls it. */
  readonly type: string
  readonly isNotNull: boolean
  /** Whether a row must have a value for it: it is NOT NULL, and the database fills in none. */
  readonly isRequired: boolean
  /** Whether the database fills it in where a row has no value: a default, a serial key. Default: false. */
  readonly hasDefault?: boolean | undefined
  /** Whether the user may write it. Default: true. */
  readonly isInsertable?: boolean | undefined
}

/** How a column stores values of the run. */
export interface Storing extends Pick<TableColumn, "type" | "convert"> {
  /** What of each value is lost, e.g. `the time of day`. */
  readonly loses?: string | undefined
}

export interface TableFit<C> {
  readonly lock: SchemaLock
  /** The locked columns that are NOT NULL and for which a sample may have no value, and the run's name of each. */
  readonly notNull: { readonly lock: SchemaLock; readonly names: ReadonlyArray<string> }
  /** The table's column for each locked one. */
  readonly columns: ReadonlyArray<C>
  /** What the table does not store of the run, and why. */
  readonly losses: ReadonlyArray<string>
}

/** What is said of a table that a journal has written to, and that is not there. */
export const tableGone = (table: string): string =>
  `the table ${table} is gone, with what the journal has written to it; nothing was changed. Put the table back, or finish the `
  + "output in another table"

/** Why the samples of a run cannot go into a table. */
export interface TableProblem {
  readonly problem: string
}

/** Locks to the columns that the table and the run share, in the table's order, or says why the table cannot be used. */
export const fitTable = <C extends ExistingColumn>({ batch, existing, nameInTable, options, storing, table }: {
  /** The table in messages. */
  readonly table: string
  readonly existing: ReadonlyArray<C>
  readonly batch: ReadonlyArray<Sample>
  readonly options: LockOptions
  /** How a column stores values of a type; undefined if it cannot. */
  readonly storing: (column: C, type: ColumnType) => Storing | undefined
  /** For databases that cannot store every name. */
  readonly nameInTable?: ((name: string) => string) | undefined
}): TableFit<C> | TableProblem => {
  // A text such as OVER in the first batch does not mean that a field of unknown kind has no numbers.
  const run = SchemaLock.fromFormatsOf(batch, { ...options, rowIds: true })
  const found = sharedColumns(existing, run.columns, nameInTable)
  const isMeant = ({ column, takes }: SharedColumn<C>) =>
    !isRowId(takes) || asksForRowIds(options)
    || (isForRowIds(column, existing, run.measured) && storing(column, takes.type) !== undefined)
  const both = found.both.filter(isMeant)
  const unclear = found.unclear.filter(({ takes }) => !isRowId(takes) || asksForRowIds(options))
  if (both.length === 0 && unclear.length === 0) {
    return { problem: `${table} has none of this run's columns; choose another table` }
  }
  const shared = both.filter(({ column }) => column.isInsertable !== false)
  const forbidden = both.filter(({ column }) => column.isInsertable === false)
  const filled = new Set(shared.map(({ column }) => column.name))
  const required = existing.find(({ isRequired, name }) => isRequired && !filled.has(name))
  if (required !== undefined) {
    const why = forbidden.some(({ column }) => column === required)
      ? `the user may not insert into it; GRANT INSERT on ${table}`
      : "this run has none for it; give it a default"
    return { problem: `its column ${required.name} needs a value, and ${why}` }
  }
  const columns: Array<TableColumn> = []
  const notNull: Array<TableColumn & { readonly takes: string }> = []
  const losses = unclear.map(({ problem }) => problem)
  for (const { column, takes } of shared) {
    const { name, type } = column
    const stored = storing(column, takes.type)
    if (stored === undefined) {
      return { problem: `its column ${name} is of type ${type}, which cannot hold these values; change its type` }
    }
    const filling = { ...stored, name, takes: takes.name, nullable: !column.isNotNull }
    columns.push(filling)
    // Every sample has a device and times, which most tables store as they are.
    const isAlwaysFilled = !takes.nullable && stored.type === takes.type && stored.convert === undefined
    if (column.isNotNull && !isAlwaysFilled) notNull.push(filling)
    if (stored.loses !== undefined) losses.push(`its column ${name} is of type ${type}, so ${stored.loses} is lost`)
  }
  const lock = SchemaLock.fromTable(columns, batch, options)
  if (lock.measured.length === 0 && run.measured.length > 0) {
    return { problem: whyUnmeasured(table, run.measured, forbidden, unclear) }
  }
  if (forbidden.length > 0) {
    losses.push(`leaving out columns that the user may not insert into: ${namesOf(forbidden)}`)
  }
  return {
    lock,
    notNull: {
      lock: SchemaLock.fromTable(notNull, batch, options),
      names: notNull.map(({ takes }) => takes)
    },
    columns: shared.map(({ column }) => column),
    losses
  }
}

/**
 * Whether a column named as a row id, such as `sequence`, is for it if nobody asks for row ids: the database or a device may have a
 * number of its own there. A device's field of that name is in `frame_sequence`, if the table was made for it.
 */
const isForRowIds = (
  { hasDefault, isInsertable, name }: ExistingColumn,
  existing: ReadonlyArray<ExistingColumn>,
  measured: ReadonlyArray<string>
): boolean => {
  const ofDevice = `frame_${name.toLowerCase()}`
  const isOfDevice = measured.some((column) => column.toLowerCase() === ofDevice)
    && existing.every((column) => column.name.toLowerCase() !== ofDevice)
  return !hasDefault && isInsertable !== false && !isOfDevice
}

interface SharedColumn<C> {
  readonly column: C
  /** The run's column whose values it takes. */
  readonly takes: Column
}

/** A column of the run that several columns of the table match. */
interface UnclearColumn extends TableProblem {
  readonly takes: Column
}

/** Why no measured value goes into a table. */
const whyUnmeasured = (
  table: string,
  measured: ReadonlyArray<string>,
  forbidden: ReadonlyArray<SharedColumn<ExistingColumn>>,
  unclear: ReadonlyArray<UnclearColumn>
): string => {
  const isMeasured = ({ takes }: { readonly takes: Column }) => measured.includes(takes.name)
  const closed = forbidden.filter(isMeasured)
  if (closed.length > 0) return `the user may not insert into its columns ${namesOf(closed)}; GRANT INSERT on ${table}`
  return unclear.find(isMeasured)?.problem
    ?? `${table} has no column for a measured value (${measured.join(", ")}); add one, or choose another table`
}

const namesOf = (shared: ReadonlyArray<SharedColumn<ExistingColumn>>): string =>
  shared.map(({ column }) => column.name).join(", ")

/**
 * A name is matched exactly, or else without case if that leaves one column of the table and one of the run. `unclear` says where it
 * leaves several of the table.
 */
const sharedColumns = <C extends ExistingColumn>(
  existing: ReadonlyArray<C>,
  run: ReadonlyArray<Column>,
  nameInTable: (name: string) => string = (name) => name
): { readonly both: ReadonlyArray<SharedColumn<C>>; readonly unclear: ReadonlyArray<UnclearColumn> } => {
  const wanted = new Map(run.map((column) => [nameInTable(column.name), column]))
  const names = new Set(existing.map(({ name }) => name))
  const wantedLeft = byLowerCase([...wanted.keys()].filter((name) => !names.has(name)))
  const existingLeft = byLowerCase([...names].filter((name) => !wanted.has(name)))
  const alike = ({ name }: C): Column | undefined => {
    const key = name.toLowerCase()
    const [first, second] = wantedLeft.get(key) ?? []
    return first !== undefined && second === undefined && existingLeft.get(key)?.length === 1
      ? wanted.get(first)
      : undefined
  }
  const both = existing.flatMap((column) => {
    const takes = wanted.get(column.name) ?? alike(column)
    return takes === undefined ? [] : [{ column, takes }]
  })
  const unclear = [...wantedLeft].flatMap(([key, [name]]) => {
    const matches = existingLeft.get(key) ?? []
    if (name === undefined || matches.length < 2) return []
    const problem = `${name} is not stored: several columns match it (${matches.join(", ")}); rename one to ${name}`
    return [{ takes: wanted.get(name)!, problem }]
  })
  return { both, unclear }
}

const byLowerCase = (names: ReadonlyArray<string>): ReadonlyMap<string, ReadonlyArray<string>> =>
  Map.groupBy(names, (name) => name.toLowerCase())

/** A time as RFC 3339 text. */
export const timestampText: TableColumn["convert"] = (micros) => formatTimestamp(Number(micros))

/** A time as databases write one without a zone, in UTC: `2026-03-01 12:00:00.000123`. */
export const datetimeText: TableColumn["convert"] = (micros) =>
  formatTimestamp(Number(micros)).replace("T", " ").slice(0, -1)

/** The day of a time: `2026-03-01`. */
export const dateText: TableColumn["convert"] = (micros) => formatTimestamp(Number(micros)).slice(0, 10)
