/**
 * Rows into the table of `SqliteSink`: several a statement, with their cells as parameters.
 */
import type { Cell, CellWriter, Column, Sample } from "@sampleline/core"
import type { SqliteDatabase } from "@sampleline/sqlite"
import { quoted } from "./identifiers.ts"
import { placeholders, type SqliteShape } from "./SqliteTable.ts"
import { TextBuffer } from "./TextBuffer.ts"

/**
 * The cells of all rows of a batch, one after the other. The times of a batch are formatted as one string and are parts of it:
 * SQLite binds a string that was put together at half the speed.
 */
export class Parameters implements CellWriter {
  private readonly shape: SqliteShape
  private values: Array<Cell> = []
  private at = 0
  private readonly times = new TextBuffer()
  /** The position in `values` of each time, and where it ends in `times`. */
  private readonly places: Array<number> = []
  private readonly ends: Array<number> = []

  constructor(shape: SqliteShape) {
    this.shape = shape
  }

  of(batch: ReadonlyArray<Sample>): ReadonlyArray<Cell> {
    const { lock } = this.shape
    // A new array: another batch may come while this one waits for a lock.
    this.values = []
    this.at = 0
    this.times.clear()
    this.places.length = this.ends.length = 0
    for (const sample of batch) lock.write(sample, this)
    const times = this.times.content().toString("latin1")
    for (let n = 0; n < this.places.length; n++) {
      this.values[this.places[n]!] = times.slice(n === 0 ? 0 : this.ends[n - 1], this.ends[n])
    }
    return this.values
  }

  float(value: number): void {
    this.values[this.at++] = value
  }

  int(value: number): void {
    this.values[this.at++] = value
  }

  text(value: string): void {
    this.values[this.at++] = value.toWellFormed()
  }

  timestamp(micros: number): void {
    const { timesAsText } = this.shape
    if (!timesAsText[this.at % timesAsText.length]) return this.int(micros)
    this.times.timestamp(micros)
    this.places.push(this.at++)
    this.ends.push(this.times.length)
  }

  missing(): void {
    this.values[this.at++] = null
  }
}

export interface Inserts {
  readonly one: SqliteDatabase.SqliteStatement
  readonly many: SqliteDatabase.SqliteStatement
  /** How many rows `many` takes. */
  readonly rows: number
}

/** SQLite takes at most this many parameters a statement. More than 16 rows a statement are no faster. */
const MAX_PARAMETERS = 32_766
const MAX_ROWS = 16

export const prepareInserts = (
  database: SqliteDatabase.SqliteDatabase,
  table: string,
  columns: ReadonlyArray<Column>
): Inserts => {
  const rows = Math.max(1, Math.min(MAX_ROWS, Math.floor(MAX_PARAMETERS / columns.length)))
  const insert = `INSERT INTO ${quoted(table)} (${columns.map((column) => quoted(column.name)).join(", ")}) VALUES `
  const row = `(${placeholders(columns.length)})`
  return {
    one: database.prepare(insert + row),
    many: database.prepare(insert + Array.from({ length: rows }, () => row).join(", ")),
    rows
  }
}

export const insertAll = ({ many, one, rows }: Inserts, values: ReadonlyArray<Cell>, width: number): void => {
  let at = 0
  for (; at + rows * width <= values.length; at += rows * width) many.run(values.slice(at, at + rows * width))
  for (; at < values.length; at += width) one.run(values.slice(at, at + width))
}
