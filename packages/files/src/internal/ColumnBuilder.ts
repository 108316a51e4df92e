/**
 * The values of one column of a batch while its rows are read. Reading 86 million rows makes no object for a value.
 */
import { formatTimestamp } from "@sampleline/core"
import type { ColumnValues, RecordedColumn } from "../Recorded.ts"
import { isNaNText, numberIn } from "./Numbers.ts"
import { timeIn, timeOf } from "./Times.ts"

/** A text of so many bytes is looked up by them, before it becomes a string. */
const LONGEST_KNOWN = 64
const KNOWN_SLOTS = 256

export class ColumnBuilder {
  private readonly type: RecordedColumn["type"]
  private numbers: Float64Array
  private nulls: Uint8Array
  private places: Int32Array | null = null
  private texts: Array<string> = []
  private placeByText = new Map<string, number>()
  private known: Array<{ readonly bytes: Uint8Array; readonly place: number } | undefined> = []

  constructor(type: RecordedColumn["type"], rows: number) {
    this.type = type
    this.numbers = new Float64Array(rows)
    this.nulls = new Uint8Array(rows).fill(1)
  }

  /** Whether it has a text. */
  get hasText(): boolean {
    return this.places !== null
  }

  hasNumber(row: number): boolean {
    return this.nulls[row] === 0
  }

  /** Puts a value that is text in the file: what it is depends on the column's type. What does not fit the type is a text. */
  bytes(row: number, bytes: Buffer, from: number, to: number): void {
    if (this.type !== "text") {
      if (from === to) return
      const isTime = this.type === "timestamp"
      const value = isTime ? timeIn(bytes, from, to) : numberIn(bytes, from, to)
      if (value === value || (!isTime && isNaNText(bytes, from, to))) return this.number(row, value)
    }
    this.put(row, this.placeOfBytes(bytes, from, to))
  }

  /** Puts a value of any kind. Other values than numbers and texts are none. */
  value(row: number, value: unknown): void {
    if (typeof value === "number") return this.number(row, value)
    if (typeof value === "string") {
      const time = this.type === "timestamp" ? timeOf(value) : Number.NaN
      if (time === time) this.number(row, time)
      else this.text(row, value)
    } else if (typeof value === "bigint" || typeof value === "boolean") this.number(row, Number(value))
    else if (value !== null && value !== undefined) this.text(row, JSON.stringify(value))
  }

  number(row: number, value: number): void {
    this.numbers[row] = value
    this.nulls[row] = 0
  }

  text(row: number, text: string): void {
    this.put(row, this.placeOf(text))
  }

  /** The values of the first rows. Then it begins anew. */
  take(rows: number): ColumnValues {
    const { length } = this.numbers
    const values = this.values(rows)
    this.numbers = new Float64Array(length)
    this.nulls = new Uint8Array(length).fill(1)
    this.places = null
    this.texts = []
    this.placeByText = new Map()
    this.known = []
    return values
  }

  /** The values of the first rows, if no more come. */
  values(rows: number): ColumnValues {
    // A damaged record may have put a text behind them.
    const hasText = this.places?.subarray(0, rows).some((place) => place >= 0) ?? false
    if (!hasText && this.type !== "text") {
      return { numbers: this.numbers.subarray(0, rows), nulls: this.nulls.subarray(0, rows) }
    }
    for (let row = 0; row < rows; row++) {
      if (this.nulls[row] === 0) this.text(row, this.textOf(this.numbers[row]!))
    }
    return { places: this.textPlaces().subarray(0, rows), texts: this.texts }
  }

  private textOf(number: number): string {
    return this.type === "timestamp" && Number.isFinite(number) ? formatTimestamp(number) : String(number)
  }

  private put(row: number, place: number): void {
    this.textPlaces()[row] = place
  }

  private textPlaces(): Int32Array {
    return this.places ??= new Int32Array(this.numbers.length).fill(-1)
  }

  private placeOf(text: string): number {
    let place = this.placeByText.get(text)
    if (place === undefined) {
      place = this.texts.push(text) - 1
      this.placeByText.set(text, place)
    }
    return place
  }

  /** Few texts come again and again: names of devices and gases. */
  private placeOfBytes(bytes: Buffer, from: number, to: number): number {
    if (to - from > LONGEST_KNOWN) return this.placeOf(bytes.toString("utf8", from, to))
    let hash = to - from
    for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
    const slot = (hash ^ hash >>> 16) & (KNOWN_SLOTS - 1)
    const found = this.known[slot]
    if (found !== undefined && isEqual(found.bytes, bytes, from, to)) return found.place
    const place = this.placeOf(bytes.toString("utf8", from, to))
    this.known[slot] = { bytes: new Uint8Array(bytes.subarray(from, to)), place }
    return place
  }
}

const isEqual = (known: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean => {
  if (known.length !== to - from) return false
  for (let at = 0; at < known.length; at++) if (known[at] !== bytes[from + at]) return false
  return true
}
