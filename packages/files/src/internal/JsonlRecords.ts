/**
 * Records of JSON lines: one object a line. Pure. `JSON.parse` takes about a microsecond for a line of ten columns.
 *
 * Lines may have other keys than those before. A key that no builder was made for gets one if all columns are read.
 */
import { ColumnBuilder } from "./ColumnBuilder.ts"
import { DAMAGED, INCOMPLETE, type RecordReader } from "./TextRecords.ts"

const NEWLINE = 0x0a

type JsonRow = { readonly [key: string]: unknown }

export class JsonlRecords implements RecordReader {
  readonly builders: Map<string, ColumnBuilder>
  /** The rows of builders for new keys; null if those are passed over. */
  private readonly newRows: number | null

  constructor(builders: ReadonlyMap<string, ColumnBuilder>, newRows: number | null) {
    this.builders = new Map(builders)
    this.newRows = newRows
  }

  read(bytes: Buffer, at: number, end: number, row: number): number {
    const stop = bytes.indexOf(NEWLINE, at)
    if (stop >= end) return INCOMPLETE
    if (this.builders.size === 0 && this.newRows === null) return stop + 1
    const object = parseRow(bytes.toString("utf8", at, stop))
    if (object === null) return DAMAGED
    for (const key in object) this.builderOf(key)?.value(row, object[key])
    return stop + 1
  }

  nextAfter(bytes: Buffer, at: number, end: number): number {
    const stop = bytes.indexOf(NEWLINE, at)
    return stop >= end ? INCOMPLETE : stop + 1
  }

  private builderOf(key: string): ColumnBuilder | undefined {
    const builder = this.builders.get(key)
    if (builder !== undefined || this.newRows === null) return builder
    const added = new ColumnBuilder("any", this.newRows)
    this.builders.set(key, added)
    return added
  }
}

/** The object of a line; null if it has none. */
const parseRow = (line: string): JsonRow | null => {
  try {
    const row: unknown = JSON.parse(line)
    return typeof row === "object" && row !== null && !Array.isArray(row) ? row as JsonRow : null
  } catch {
    return null
  }
}
