/**
 * The rows of a Parquet row group by column, in typed arrays: a week of recording makes no garbage, and a worker gets a plain copy
 * of memory.
 */
import type { CellWriter, Column, Sample, SchemaLock } from "@sampleline/core"

/**
 * Numbers and times as doubles, which hold integers up to 2^53, and a 1 for each null. Or texts, each as its position in a list;
 * null is -1.
 */
export type ColumnValues =
  | { readonly numbers: Float64Array; readonly nulls: Uint8Array }
  | { readonly places: Int32Array; readonly texts: ReadonlyArray<string> }

export class RowGroup implements CellWriter {
  rows = 0
  private readonly columns: ReadonlyArray<NumberColumn | TextColumn>
  /** The column of the next cell. */
  private at = 0

  constructor(columns: ReadonlyArray<Column>, capacity: number) {
    this.columns = columns.map(({ type }) => type === "text" ? new TextColumn(capacity) : new NumberColumn(capacity))
  }

  push(lock: SchemaLock, sample: Sample): void {
    this.at = 0
    lock.write(sample, this)
    this.rows++
  }

  /** Removes the last rows. */
  drop(rows: number): void {
    this.rows -= rows
    for (const column of this.columns) column.truncate(this.rows)
  }

  clear(): void {
    this.rows = 0
    for (const column of this.columns) column.clear()
  }

  copy(): ReadonlyArray<ColumnValues> {
    return this.columns.map((column) => column.copy(this.rows))
  }

  float(value: number): void {
    const column = this.columns[this.at++] as NumberColumn
    column.set(this.rows, value)
  }

  int(value: number): void {
    this.float(value)
  }

  timestamp(micros: number): void {
    this.float(micros)
  }

  text(value: string): void {
    const column = this.columns[this.at++] as TextColumn
    column.set(this.rows, value)
  }

  missing(): void {
    this.columns[this.at++]!.setMissing(this.rows)
  }
}

class NumberColumn {
  private numbers: Float64Array
  private nulls: Uint8Array

  constructor(capacity: number) {
    this.numbers = new Float64Array(capacity)
    this.nulls = new Uint8Array(capacity)
  }

  set(row: number, value: number): void {
    if (row === this.numbers.length) {
      this.numbers = grown(this.numbers, new Float64Array(row * 2))
      this.nulls = grown(this.nulls, new Uint8Array(row * 2))
    }
    this.numbers[row] = value
  }

  setMissing(row: number): void {
    this.set(row, 0)
    this.nulls[row] = 1
  }

  /** `set` relies on it: a row that is written again has no null. */
  truncate(rows: number): void {
    this.nulls.fill(0, rows)
  }

  copy(rows: number): ColumnValues {
    return { numbers: this.numbers.slice(0, rows), nulls: this.nulls.slice(0, rows) }
  }

  clear(): void {
    this.truncate(0)
  }
}

class TextColumn {
  private places: Int32Array
  private texts: Array<string> = []
  private readonly placeOf = new Map<string, number>()
  private last: string | undefined
  private lastPlace = -1

  constructor(capacity: number) {
    this.places = new Int32Array(capacity)
  }

  set(row: number, text: string): void {
    if (text !== this.last) {
      let place = this.placeOf.get(text)
      if (place === undefined) {
        place = this.texts.push(text.toWellFormed()) - 1
        this.placeOf.set(text, place)
      }
      this.last = text
      this.lastPlace = place
    }
    this.setPlace(row, this.lastPlace)
  }

  setMissing(row: number): void {
    this.setPlace(row, -1)
  }

  truncate(): void {}

  copy(rows: number): ColumnValues {
    return { places: this.places.slice(0, rows), texts: this.texts }
  }

  clear(): void {
    this.texts = []
    this.placeOf.clear()
    this.last = undefined
  }

  private setPlace(row: number, place: number): void {
    if (row === this.places.length) this.places = grown(this.places, new Int32Array(row * 2))
    this.places[row] = place
  }
}

const grown = <A extends Float64Array | Int32Array | Uint8Array>(values: A, larger: A): A => {
  larger.set(values)
  return larger
}
