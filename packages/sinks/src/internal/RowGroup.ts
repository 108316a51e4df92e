/**
 * The rows of a Parquet row group by column, as typed arrays: a week of recording makes no garbage, and a worker gets them by
 * a plain copy of memory.
 */
import type { Cell, Column } from "@sampleline/core"

/** Numbers and times as doubles, which hold integers up to 2^53, with NaN for null; or texts by their place in a list, -1 for null. */
export type ColumnValues = Float64Array | { readonly places: Int32Array; readonly texts: ReadonlyArray<string> }

interface Buffer {
  readonly push: (cell: Cell, at: number) => void
  readonly copy: (rows: number) => ColumnValues
  readonly clear: () => void
}

export class RowGroup {
  rows = 0
  private readonly buffers: ReadonlyArray<Buffer>

  constructor(columns: ReadonlyArray<Column>, capacity: number) {
    this.buffers = columns.map((column) => column.type === "text" ? textBuffer(capacity) : numberBuffer(capacity))
  }

  push(row: ReadonlyArray<Cell>): void {
    for (let at = 0; at < row.length; at++) this.buffers[at]!.push(row[at]!, this.rows)
    this.rows++
  }

  /** Forgets the last rows. */
  drop(rows: number): void {
    this.rows -= rows
  }

  clear(): void {
    this.rows = 0
    for (const buffer of this.buffers) buffer.clear()
  }

  copy(): ReadonlyArray<ColumnValues> {
    return this.buffers.map((buffer) => buffer.copy(this.rows))
  }
}

const numberBuffer = (capacity: number): Buffer => {
  let values = new Float64Array(capacity)
  return {
    push: (cell, at) => {
      if (at === values.length) values = grown(values, new Float64Array(at * 2))
      values[at] = cell === null ? Number.NaN : Number(cell)
    },
    copy: (rows) => values.slice(0, rows),
    clear: () => {}
  }
}

const textBuffer = (capacity: number): Buffer => {
  let places = new Int32Array(capacity)
  const placeOf = new Map<string, number>()
  return {
    push: (cell, at) => {
      if (at === places.length) places = grown(places, new Int32Array(at * 2))
      if (cell === null) {
        places[at] = -1
        return
      }
      const text = String(cell)
      let place = placeOf.get(text)
      if (place === undefined) {
        place = placeOf.size
        placeOf.set(text, place)
      }
      places[at] = place
    },
    copy: (rows) => ({ places: places.slice(0, rows), texts: [...placeOf.keys()] }),
    clear: () => placeOf.clear()
  }
}

const grown = <A extends Float64Array | Int32Array>(values: A, larger: A): A => {
  larger.set(values)
  return larger
}
