/**
 * Samples of appends as columns: what `unpack` gives, by the rules of rows, without an object for each sample. A recording of a day has
 * 86 million of them. Plain loops, because they run for each value. Pure.
 */
import { type FrameValue, latencyMicrosOf, midpointOf } from "@sampleline/core"
import {
  AT,
  checkVersion,
  EVENT,
  FIXED,
  HEADER,
  NO_TICK,
  type Notes,
  NUMBER,
  SAMPLE_WITH_NOTES,
  type Source,
  TEXT
} from "./Packing.ts"

/** A column to read. Times are numbers, in microseconds since the epoch; `any` has numbers and texts. */
export interface PackedColumn {
  readonly name: string
  readonly type: "number" | "text" | "any"
  /** Whether it is a field of the devices, and not one of the columns that all samples have. */
  readonly isField: boolean
}

/**
 * Numbers, and a 1 for each row that has none. Or texts, each as its position in a list, -1 for none. A column of numbers and texts gives
 * texts if it has one.
 */
export type PackedValues =
  | { readonly numbers: Float64Array; readonly nulls: Uint8Array }
  | { readonly places: Int32Array; readonly texts: ReadonlyArray<string> }

/** What the samples of an append have in common. */
export interface PackedContext {
  /** Null: it is not known. */
  readonly runId: string | null
  /** Undefined: it is not known, and samples of it cannot be read. */
  readonly sourceOf: (id: number) => Source | undefined
}

/** Where the value of a column is in the format of a source; undefined if the source has no such field. */
export type PositionOf = (source: Source, column: string) => number | undefined

/** Collects rows, a batch after the other. */
export class PackedColumns {
  private readonly columns: ReadonlyArray<Reader>
  private readonly capacity: number
  private readonly positionOf: PositionOf
  private readonly positions = new Map<Source, ReadonlyArray<number>>()
  private readonly at: Cursor
  /** The rows of the open batch. */
  rows = 0
  /** The item of its append that is the first row. */
  firstItem = 0

  /** A batch has at most `capacity` rows. */
  constructor(columns: ReadonlyArray<PackedColumn>, positionOf: PositionOf, capacity: number) {
    this.columns = columns.map((column, index) => readerOf(column, index, capacity))
    this.capacity = capacity
    this.positionOf = positionOf
    this.at = new Cursor(columns.some(({ isField, name, type }) => isField ? type !== "number" : name === "status"))
  }

  /**
   * Adds the samples from one item of an append up to another, as long as there is room. Gives the item that it has come to. Null if the
   * source of one is not known, or if there are fewer items: then it adds nothing. Throws if the bytes are not those of `pack`.
   */
  add(bytes: Uint8Array, from: number, to: number, { runId, sourceOf }: PackedContext): number | null {
    const { at, columns } = this
    const before = this.rows
    if (at.load(bytes, runId) < to) return null
    for (let item = 0; item < to; item++) {
      if (this.rows === this.capacity) return item
      if (at.isEvent()) {
        at.passEvent()
        continue
      }
      const source = sourceOf(at.number(AT.source))
      if (source === undefined) {
        this.rows = before
        return null
      }
      at.enter(source, this.positionsIn(source))
      if (item >= from) {
        if (this.rows === 0) this.firstItem = item
        for (let column = 0; column < columns.length; column++) columns[column]!.read(this.rows, at)
        this.rows++
      }
      at.leave()
    }
    return to
  }

  /** The rows of the open batch by column. The next batch begins. */
  take(): ReadonlyMap<string, PackedValues> {
    const batch = new Map(this.columns.map(({ name, values }) => [name, values.take(this.rows)]))
    this.rows = 0
    return batch
  }

  /** The position of each column; -1 if the source does not have it. */
  private positionsIn(source: Source): ReadonlyArray<number> {
    let positions = this.positions.get(source)
    if (positions === undefined) {
      positions = this.columns.map(({ name }) => this.positionOf(source, name) ?? -1)
      this.positions.set(source, positions)
    }
    return positions
  }
}

/** An item of an append. */
class Cursor {
  runId: string | null = null
  source: Source | undefined
  positions: ReadonlyArray<number> = []
  /** The append is copied there, because a copy is aligned. */
  private bytes = new Uint8Array(1 << 16)
  private numbers = new Float64Array(this.bytes.buffer)
  private length = 0
  /** Where the numbers of the item begin, and what it and its values are. */
  private numbersAt = 0
  private kindsAt = 0
  private hasNotes = false
  /** The texts of the append, if they are needed, and which is the item's first. */
  private readonly needsTexts: boolean
  private texts: ReadonlyArray<unknown> = []
  private textsAt = 0

  constructor(needsTexts: boolean) {
    this.needsTexts = needsTexts
  }

  /** Begins an append. Gives the number of its items. */
  load(bytes: Uint8Array, runId: string | null): number {
    checkVersion(bytes)
    if (bytes.length > this.bytes.length) {
      this.bytes = new Uint8Array(2 ** Math.ceil(Math.log2(bytes.length)))
      this.numbers = new Float64Array(this.bytes.buffer)
    }
    this.bytes.set(bytes)
    this.length = bytes.length
    const [itemCount = 0, numberCount = 0, kindCount = 0] = new Uint32Array(this.bytes.buffer, 4, 3)
    this.runId = runId
    this.numbersAt = HEADER / 8
    this.kindsAt = HEADER + 8 * numberCount
    this.textsAt = 0
    const textsFrom = this.kindsAt + kindCount
    this.texts = this.needsTexts && textsFrom < this.length
      ? JSON.parse(Buffer.from(this.bytes.buffer, textsFrom, this.length - textsFrom).toString())
      : []
    return itemCount
  }

  isEvent(): boolean {
    return this.bytes[this.kindsAt] === EVENT
  }

  passEvent(): void {
    this.kindsAt++
    this.textsAt++
  }

  enter(source: Source, positions: ReadonlyArray<number>): void {
    this.source = source
    this.positions = positions
    this.hasNotes = this.bytes[this.kindsAt++] === SAMPLE_WITH_NOTES
  }

  leave(): void {
    const fields = this.source!.format.fields.length
    if (this.needsTexts) this.textsAt += this.textsBefore(fields)
    this.numbersAt += FIXED + fields
    this.kindsAt += fields
  }

  /** A number of a sample before its values. */
  number(at: number): number {
    return this.numbers[this.numbersAt + at]!
  }

  get status(): ReadonlyArray<string> {
    return this.hasNotes ? (this.texts[this.textsAt] as Notes)[0] : []
  }

  get latencyMicros(): number {
    return latencyMicrosOf(this.number(AT.requestedMonotonicNanos), this.number(AT.receivedMonotonicNanos))
  }

  /** The value of a field. A text is there only if texts are needed. */
  value(position: number): FrameValue {
    const kind = this.bytes[this.kindsAt + position]
    if (kind === NUMBER) return this.numbers[this.numbersAt + FIXED + position]!
    return kind === TEXT ? this.texts[this.textsAt + this.textsBefore(position)] as string | undefined : undefined
  }

  /** How many texts the sample has before the value of a field. */
  private textsBefore(position: number): number {
    let texts = this.hasNotes ? 1 : 0
    for (let at = this.kindsAt; at < this.kindsAt + position; at++) if (this.bytes[at] === TEXT) texts++
    return texts
  }
}

/** The columns that all samples have. */
const FIXED_COLUMNS: { readonly [name: string]: (at: Cursor) => FrameValue } = {
  device: ({ source }) => source!.device,
  unit_id: ({ source }) => source!.unitId,
  requested_at: (at) => at.number(AT.requestedAt),
  received_at: (at) => at.number(AT.receivedAt),
  midpoint_at: (at) => midpointOf(at.number(AT.requestedAt), at.latencyMicros),
  latency_s: (at) => at.latencyMicros / 1_000_000,
  status: ({ status }) => status.join(","),
  run_id: ({ runId }) => runId,
  sequence: (at) => at.number(AT.sequence),
  tick: (at) => at.number(AT.tick) === NO_TICK ? null : at.number(AT.tick)
}

/** Reads a column of the rows. */
interface Reader {
  readonly name: string
  readonly values: Numbers | Texts | Anything
  readonly read: (row: number, at: Cursor) => void
}

const readerOf = ({ isField, name, type }: PackedColumn, index: number, capacity: number): Reader => {
  const values = type === "number"
    ? new Numbers(capacity)
    : type === "text"
    ? new Texts(capacity)
    : new Anything(capacity)
  const fixed = isField ? undefined : FIXED_COLUMNS[name]
  return {
    name,
    values,
    read: fixed === undefined
      ? (row, at) => {
        const position = at.positions[index]!
        values.set(row, position < 0 ? undefined : at.value(position))
      }
      : (row, at) => values.set(row, fixed(at))
  }
}

class Numbers {
  private readonly capacity: number
  private numbers: Float64Array
  private nulls: Uint8Array

  constructor(capacity: number) {
    this.capacity = capacity
    this.numbers = new Float64Array(capacity)
    this.nulls = new Uint8Array(capacity)
  }

  set(row: number, value: FrameValue): void {
    const isNumber = typeof value === "number"
    // Not -0.
    this.numbers[row] = isNumber ? value + 0 : 0
    this.nulls[row] = isNumber ? 0 : 1
  }

  take(rows: number): PackedValues {
    const taken = { numbers: this.numbers.subarray(0, rows), nulls: this.nulls.subarray(0, rows) }
    this.numbers = new Float64Array(this.capacity)
    this.nulls = new Uint8Array(this.capacity)
    return taken
  }
}

/** How long a list of texts grows. Those of one batch after the other are the same, as long as they are few. */
const MOST_TEXTS = 1 << 16

class Texts {
  private readonly capacity: number
  private places: Int32Array
  private texts: Array<string> = []
  private placeOf = new Map<string, number>()

  constructor(capacity: number) {
    this.capacity = capacity
    this.places = new Int32Array(capacity)
  }

  set(row: number, value: FrameValue): void {
    this.places[row] = value === null || value === undefined ? -1 : this.place(String(value))
  }

  take(rows: number): PackedValues {
    const taken = { places: this.places.subarray(0, rows), texts: this.texts }
    this.places = new Int32Array(this.capacity)
    if (this.texts.length > MOST_TEXTS) {
      this.texts = []
      this.placeOf = new Map()
    }
    return taken
  }

  private place(text: string): number {
    let place = this.placeOf.get(text)
    if (place === undefined) {
      place = this.texts.push(text.toWellFormed()) - 1
      this.placeOf.set(text, place)
    }
    return place
  }
}

/** Numbers, or texts as soon as a batch has one. */
class Anything {
  private readonly numbers: Numbers
  private readonly texts: Texts
  private hasText = false

  constructor(capacity: number) {
    this.numbers = new Numbers(capacity)
    this.texts = new Texts(capacity)
  }

  set(row: number, value: FrameValue): void {
    if (typeof value === "string") this.hasText = true
    this.numbers.set(row, value)
    this.texts.set(row, typeof value === "number" ? value + 0 : value)
  }

  take(rows: number): PackedValues {
    const [numbers, texts] = [this.numbers.take(rows), this.texts.take(rows)]
    const taken = this.hasText ? texts : numbers
    this.hasText = false
    return taken
  }
}
